import assert from "node:assert/strict";
import {
  CIFAR10_MEAN,
  CIFAR10_RECORD_BYTES,
  CIFAR10_STD,
  loadCifar10,
} from "../../../../tasks/data/images/cifar10.ts";
import { DataError } from "../../../../tasks/data/data_error.ts";
import { channelStatistics, IMAGE_BYTES } from "../../../../tasks/data/images/image_data_set.ts";
import { withFolder } from "../../../_helpers/temporary_folder.ts";
import { testWithData } from "../_real_data.ts";

/** A record file whose bytes tell file, record and place. */
function records(file: number, count: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(count * CIFAR10_RECORD_BYTES);
  for (let r = 0; r < count; r++) {
    const at = r * CIFAR10_RECORD_BYTES;
    bytes[at] = (file + r) % 10;
    for (let i = 0; i < IMAGE_BYTES; i++) bytes[at + 1 + i] = (file * 7 + r * 3 + i) & 255;
  }
  return bytes;
}

Deno.test("CIFAR-10 is read from its folder or the folder above, batches in numeric order", async () => {
  await withFolder(async (parent) => {
    const folder = `${parent}/cifar-10-batches-bin`;
    await Deno.mkdir(folder);
    // 10 sorts before 2 as text; the numbers decide.
    await Deno.writeFile(`${folder}/data_batch_10.bin`, records(10, 2));
    await Deno.writeFile(`${folder}/data_batch_2.bin`, records(2, 3));
    await Deno.writeFile(`${folder}/test_batch.bin`, records(5, 4));
    for (const given of [folder, parent, `${parent}/`]) {
      const { train, test } = await loadCifar10(given);
      assert.equal(train.count, 5);
      assert.deepEqual([...train.labels], [2, 3, 4, 0, 1]);
      assert.equal(train.pixels.length, 5 * IMAGE_BYTES);
      const expected = [[2, 0], [2, 1], [2, 2], [10, 0], [10, 1]].flatMap(([file, r]) =>
        Array.from({ length: IMAGE_BYTES }, (_, i) => (file * 7 + r * 3 + i) & 255)
      );
      assert.deepEqual([...train.pixels], expected);
      assert.equal(test.count, 4);
      assert.equal(test.classes[8], "ship"); // the official names, since the folder gives none
    }
  });
});

Deno.test("a missing, truncated, empty or altered file is named, with sizes and a way out", async () => {
  await withFolder(async (folder) => {
    const refused = async (...parts: (string | RegExp)[]) => {
      await assert.rejects(loadCifar10(folder), (error: unknown) => {
        assert(error instanceof DataError);
        for (const part of parts) {
          if (typeof part === "string") assert(error.message.includes(part), error.message);
          else assert.match(error.message, part);
        }
        return true;
      });
    };
    await refused("data_batch_<n>.bin", folder, "--download");
    await Deno.writeFile(`${folder}/data_batch_1.bin`, records(1, 3));
    await refused(`${folder}/test_batch.bin`, "does not exist", "--download");
    const whole = records(2, 2);
    await Deno.writeFile(`${folder}/test_batch.bin`, whole.subarray(0, whole.length - 100));
    await refused("test_batch.bin", "6046 bytes", "1 records and 2973 bytes over", "3073");
    await Deno.writeFile(`${folder}/test_batch.bin`, new Uint8Array());
    await refused("test_batch.bin", "0 bytes");
    const altered = records(2, 2);
    altered[CIFAR10_RECORD_BYTES] = 10;
    await Deno.writeFile(`${folder}/test_batch.bin`, altered);
    await refused("test_batch.bin", "label 10 in record 1", "0 to 9");
    await Deno.writeFile(`${folder}/test_batch.bin`, records(2, 2));
    await Deno.writeTextFile(`${folder}/batches.meta.txt`, "one\ntwo\n");
    await refused("batches.meta.txt", "10 classes", "found 2");
    await Deno.writeTextFile(
      `${folder}/batches.meta.txt`,
      Array.from({ length: 10 }, (_, i) => `class ${i}`).join("\n") + "\n\n",
    );
    assert.equal((await loadCifar10(folder)).test.classes[9], "class 9");
  });
  await assert.rejects(
    loadCifar10("/no/such/folder"),
    /\/no\/such\/folder does not exist; give --data/,
  );
});

testWithData(
  "cifar10",
  "real CIFAR-10 images are balanced and have the published statistics",
  async (directory) => {
    const { train, test } = await loadCifar10(directory);
    for (const set of [train, test]) {
      const counts = new Uint32Array(10);
      for (const label of set.labels) counts[label]++;
      assert.equal(Math.min(...counts), set.count / 10);
      assert.equal(set.pixels.length, set.count * IMAGE_BYTES);
    }
    assert.equal(train.classes[0], "airplane");
    const { mean, std } = channelStatistics(train.pixels);
    for (let c = 0; c < 3; c++) {
      assert(Math.abs(mean[c] - CIFAR10_MEAN[c]) < 0.01, `mean ${mean[c]} of channel ${c}`);
      assert(Math.abs(std[c] - CIFAR10_STD[c]) < 0.01, `deviation ${std[c]} of channel ${c}`);
    }
  },
);
