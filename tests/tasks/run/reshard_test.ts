import assert from "node:assert/strict";
import { launch, type LaunchOptions, type Run } from "../../../tasks/launch/launch.ts";
import { readMetrics } from "../../../tasks/logs/log_tail.ts";
import { readConfig } from "../../../tasks/run/folder.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";
import { runHere } from "../../_helpers/run_here.ts";

const SMALL = {
  interval: 2,
  maxSteps: 5,
  trainSize: 38,
  batchSize: 4,
  testSize: 20,
  device: "cpu",
  momentum: 0.9,
} as const satisfies LaunchOptions;

/** Copies a run's folder with all that is in it. */
async function copy(from: string, to: string): Promise<void> {
  await Deno.mkdir(to);
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    if (isDirectory) await copy(`${from}/${name}`, `${to}/${name}`);
    else await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
  }
}

/** Steps that each rank has in the log. */
function stepsByRank({ dir }: Run): Record<number, number[]> {
  const steps: Record<number, number[]> = {};
  for (const { type, rank, step } of readMetrics(`${dir}/metrics.jsonl`)) {
    if (type === "step") (steps[rank] ??= []).push(step);
  }
  return steps;
}

const CHANGES: [before: number, after: number, LaunchOptions][] = [
  [4, 2, {}],
  [2, 4, { algorithm: "slowmo", momentum: 0 }],
  [3, 2, { algorithm: "episode", interval: 3 }],
  [2, 3, { overlap: true }],
  [4, 3, { algorithm: "episode++", participants: 2 }],
  [2, 4, { algorithm: "minibatch-clip", interval: 3, momentum: 0 }],
  [3, 2, { compress: "int4" }],
];

for (const [i, [before, after, variant]] of CHANGES.entries()) {
  Deno.test(`${before} ranks become ${after}, the same on every rerun: ${JSON.stringify(variant)}`, async () => {
    await using folder = await temporaryFolder();
    // Whether ranks are processes makes no difference to what they write: those of the first are.
    const run = i === 0 ? launch : runHere;
    const first = `${folder.path}/first`, again = `${folder.path}/again`;
    await run({ ...SMALL, ...variant, ranks: before, checkpointEvery: 5, out: first });
    await copy(first, again);
    const changes = { ranks: after, maxSteps: 9, checkpointEvery: 2 };
    const one = await run({ resume: first, ...changes });
    const two = await run({ resume: again, ...changes });
    assert.equal(one.summary.weightsHash, two.summary.weightsHash);
    assert.equal(one.summary.trainLoss, two.summary.trainLoss);
    assert.equal(one.summary.ranks, after);
    assert.equal(one.summary.steps, 9);
    assert.ok(one.summary.identicalWeights);
    const { options, worlds } = await readConfig(first);
    assert.equal(options.ranks, after);
    assert.deepEqual(worlds, [{ step: 0, ranks: before }, { step: 5, ranks: after }]);
    const steps = stepsByRank(one), ranks = Math.max(before, after);
    for (let rank = 0; rank < ranks; rank++) {
      const all = [1, 2, 3, 4, 5, 6, 7, 8, 9];
      const seen = all.filter((step) => rank < (step <= 5 ? before : after));
      assert.deepEqual(steps[rank], seen, `rank ${rank}`);
    }
    // Samples are counted on from those that all ranks had seen.
    const last = readMetrics(`${first}/metrics.jsonl`).at(-1)!;
    const batch = options.batchSize;
    assert.equal(last.epoch, (5 * before + 4 * after) * batch / SMALL.trainSize);
  });
}

Deno.test("a run that had more ranks goes on as it is, bit for bit", async () => {
  await using folder = await temporaryFolder();
  const whole = `${folder.path}/whole`, parts = `${folder.path}/parts`;
  await runHere({ ...SMALL, ranks: 8, trainSize: 100, checkpointEvery: 5, out: whole });
  await copy(whole, parts);
  const undisturbed = await runHere({ resume: whole, ranks: 3, maxSteps: 9 });
  await runHere({ resume: parts, ranks: 3, maxSteps: 7, checkpointEvery: 7 });
  const resumed = await runHere({ resume: parts, maxSteps: 9 });
  assert.equal(resumed.summary.weightsHash, undisturbed.summary.weightsHash);
  assert.deepEqual((await readConfig(parts)).worlds, [{ step: 0, ranks: 8 }, {
    step: 5,
    ranks: 3,
  }]);
});
