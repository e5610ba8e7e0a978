import assert from "node:assert/strict";
import { loadPng } from "../../../../deps.ts";
import { Random } from "../../../../runtime/base/random.ts";
import { celgc } from "../../../_helpers/deno.ts";
import { temporaryFolder } from "../../../_helpers/temporary_folder.ts";

Deno.test("a folder of images is learnt, exported and refused where it does not fit", async () => {
  await using folder = await temporaryFolder();
  const { encode } = await loadPng(), random = new Random(1, "images of a test");
  // Three colours under noise, at sizes of their own.
  for (const [label, name] of ["red", "green", "blue"].entries()) {
    await Deno.mkdir(`${folder.path}/data/${name}`, { recursive: true });
    for (let i = 0; i < 20; i++) {
      const width = 20 + i, height = 30 - i % 7;
      const data = Uint8Array.from(
        { length: 3 * width * height },
        (_, at) => (at % 3 === label ? 120 : 40) + random.integer(80),
      );
      await Deno.writeFile(
        `${folder.path}/data/${name}/${i}.png`,
        encode({ width, height, channels: 3, data }),
      );
    }
  }
  const args = "launch --task images --ranks 2 --device cpu --batch-size 6".split(" ");
  const more = "--image-size 20 --augment flip --epochs 6 --json".split(" ");
  const out = `${folder.path}/run`, data = ["--data", `${folder.path}/data`];
  const ended = await celgc(...args, ...more, ...data, "--out", out);
  assert.equal(ended.code, 0, ended.stderr);
  const { testAccuracy, identicalWeights } = JSON.parse(ended.stdout);
  assert.ok(identicalWeights);
  assert.ok(testAccuracy > 0.8, `accuracy ${testAccuracy}`);
  const file = `${folder.path}/model.onnx`;
  const exported = await celgc("export", "--weights", out, "--out", file);
  assert.equal(exported.code, 0, exported.stderr);
  // The network of 3 classes at 20 pixels is a file as well: images get the size that it takes.
  const taken = await celgc(
    ...[...args, ...data, "--model", file, "--max-steps", "1", "--out", `${folder.path}/taken`],
  );
  assert.equal(taken.code, 0, taken.stderr);
  await Deno.mkdir(`${folder.path}/data/violet`);
  await Deno.copyFile(`${folder.path}/data/red/0.png`, `${folder.path}/data/violet/0.png`);
  const four = await celgc(...args, ...data, "--model", file, "--max-steps", "1");
  assert.equal(four.code, 2, four.stderr);
  assert.match(four.stderr, /it tells 3 classes apart, but the task has 4/);
  await Deno.remove(`${folder.path}/data/violet`, { recursive: true });
  await Deno.mkdir(`${folder.path}/parts`);
  for (const split of ["train", "test"]) {
    await Deno.mkdir(`${folder.path}/parts/${split}`);
    for (const name of ["red", "green"]) {
      await Deno.mkdir(`${folder.path}/parts/${split}/${name}`);
      await Deno.copyFile(
        `${folder.path}/data/${name}/1.png`,
        `${folder.path}/parts/${split}/${name}/1.png`,
      );
    }
  }
  const share = await celgc(...args, "--data", `${folder.path}/parts`, "--test-fraction", "0.5");
  assert.equal(share.code, 2, share.stderr);
  assert.match(share.stderr, /--test-fraction 0\.5 has no effect: .* has a test set of its own/);
  // It says what it does not take.
  const again = await celgc(
    ...args,
    ...data,
    "--model",
    file,
    "--image-size",
    "24",
    "--max-steps",
    "1",
  );
  assert.equal(again.code, 2, again.stderr);
  assert.match(again.stderr, /\[.*3, 20, 20\].*images are float32 \[.*3, 24, 24\]/);
  await Deno.writeTextFile(`${folder.path}/data/blue/3.png`, "no image");
  const broken = await celgc(
    ...args,
    ...data,
    "--max-steps",
    "1",
    "--out",
    `${folder.path}/broken`,
  );
  assert.notEqual(broken.code, 0);
  assert.match(
    broken.stderr,
    /cannot read the image .*blue\/3\.png: it is no PNG, JPEG or WebP file/,
  );
});
