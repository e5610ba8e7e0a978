import assert from "node:assert/strict";
import { CIFAR10_RECORD_BYTES } from "../../../../tasks/data/images/cifar10.ts";
import { celgc } from "../../../_helpers/deno.ts";
import { temporaryFolder } from "../../../_helpers/temporary_folder.ts";

/** Writes images of noise in the official binary layout. */
async function writeCifar10(folder: string, train: number, test: number): Promise<void> {
  for (const [name, count] of [["data_batch_1.bin", train], ["test_batch.bin", test]] as const) {
    const bytes = new Uint8Array(count * CIFAR10_RECORD_BYTES);
    for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 2654435761) >>> 24;
    for (let i = 0; i < count; i++) bytes[i * CIFAR10_RECORD_BYTES] = i % 10;
    await Deno.writeFile(`${folder}/${name}`, bytes);
  }
}

/** Real images, if the environment names a folder of them. */
const REAL = Deno.env.get("CELGC_CIFAR10");

Deno.test(`a preset runs as named on ${REAL ?? "images of noise"} in the official layout`, async () => {
  await using folder = await temporaryFolder();
  const data = REAL ?? folder.path;
  if (!REAL) await writeCifar10(data, 300, 40);
  const args = "--preset cifar10-resnet56 --ranks 2 --max-steps 2 --device cpu --json".split(" ");
  const out = `${folder.path}/run`;
  const ended = await celgc("launch", ...args, "--data", data, "--out", out);
  assert.equal(ended.code, 0, ended.stderr);
  const { steps, identicalWeights, trainLoss } = JSON.parse(ended.stdout);
  assert.deepEqual({ steps, identicalWeights }, { steps: 2, identicalWeights: true });
  // Ten classes from untrained weights: the loss is near that of a guess, and finite.
  assert.ok(trainLoss > 1 && trainLoss < 20, `training loss ${trainLoss}`);
  const { options, plan } = JSON.parse(await Deno.readTextFile(`${out}/config.json`));
  assert.equal(plan.parameters, 853_018);
  assert.deepEqual(
    [options.model, options.lr, options.clip, options.batchSize, options.epochs],
    ["resnet56", 0.3, 1, 64, 200],
  );
});

Deno.test("a truncated data file is named in one line before ranks start, and leaves no folder", async () => {
  await using folder = await temporaryFolder();
  await writeCifar10(folder.path, 30, 20);
  const file = `${folder.path}/data_batch_1.bin`;
  await Deno.truncate(file, 30 * CIFAR10_RECORD_BYTES - 5);
  const args = "--task cifar10 --ranks 2 --max-steps 2 --device cpu".split(" ");
  const out = `${folder.path}/run`;
  const ended = await celgc("launch", ...args, "--data", folder.path, "--out", out);
  assert.equal(ended.code, 2);
  assert.equal(ended.stdout, "");
  assert.ok(ended.stderr.includes(file), ended.stderr);
  await assert.rejects(Deno.stat(out), Deno.errors.NotFound);
  assert.doesNotMatch(ended.stderr, /at file:/);
});
