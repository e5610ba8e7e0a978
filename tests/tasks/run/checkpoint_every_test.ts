import assert from "node:assert/strict";
import { launch, type LaunchOptions } from "../../../tasks/launch/launch.ts";
import { secondsOf } from "../../../tasks/options/recovery/checkpoint_every.ts";
import { OptionError } from "../../../tasks/options/kinds.ts";
import { OPTIONS } from "../../../tasks/options/table.ts";
import { checkpointSteps, readManifest } from "../../../tasks/run/checkpoint.ts";
import { encode, writeCheckpoint } from "../../../tasks/run/write_checkpoint.ts";
import { runHere } from "../../_helpers/run_here.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";
import { onAll, world } from "../../_helpers/world.ts";

const SMALL = {
  interval: 2,
  maxSteps: 60,
  trainSize: 96,
  testSize: 12,
  batchSize: 4,
  epochs: 1000,
  evalEvery: 1000,
  device: "cpu",
} as const satisfies LaunchOptions;

Deno.test("checkpoints come after so many steps or so much time, as a text and in code", () => {
  const { checkpointEvery } = OPTIONS;
  assert.equal(checkpointEvery.parse("100"), 100);
  assert.equal(checkpointEvery.parse(" 10min"), "10min");
  assert.deepEqual(["90s", "1.5min", "2h"].map(secondsOf), [90, 90, 7200]);
  assert.equal(secondsOf(100), null);
  assert.equal(checkpointEvery.check("30s"), "30s");
  assert.equal(checkpointEvery.check(null), null);
  for (const wrong of ["0", "0s", "10 minutes", "-5", "1.5", "never", ""]) {
    assert.throws(() => checkpointEvery.parse(wrong), OptionError, wrong);
  }
  assert.throws(
    () => checkpointEvery.parse("10 minutes"),
    /^OptionError: --checkpoint-every must be a whole number of steps from 1, or a time such as 30s, 10min or 1h, not "10 minutes"$/,
  );
});

for (const ranks of [1, 2]) {
  Deno.test(`checkpoints by the clock: ranks ${ranks} agree on the step, and go on from it bit for bit`, async () => {
    await using folder = await temporaryFolder();
    // Several have clocks of their own only as processes.
    const run = ranks === 1 ? runHere : launch;
    const whole = await run({ ...SMALL, ranks, out: `${folder.path}/whole` });
    assert.deepEqual(await checkpointSteps(whole.dir), []);
    const out = `${folder.path}/parts`;
    // So short that each time the ranks are asked one is due.
    await run({ ...SMALL, ranks, maxSteps: 40, checkpointEvery: "1ms", keep: 100, out });
    const steps = await checkpointSteps(out);
    assert.ok(steps.length > 2, `${steps}`);
    for (const step of steps) {
      assert.equal((await readManifest(out, step)).files.length, ranks, `${step}`);
      assert.equal(ranks === 1 ? 0 : step % SMALL.interval, 0, `ranks had met at step ${step}`);
    }
    const last = steps.at(-1)!;
    assert.ok(last < SMALL.maxSteps);
    const { summary } = await run({ resume: out, maxSteps: SMALL.maxSteps });
    assert.equal(summary.weightsHash, whole.summary.weightsHash);
  });
}

Deno.test("a time that has not passed writes nothing", async () => {
  await using folder = await temporaryFolder();
  const { dir } = await runHere({
    ...SMALL,
    ranks: 2,
    maxSteps: 8,
    checkpointEvery: "1h",
    out: `${folder.path}/run`,
  });
  assert.deepEqual(await checkpointSteps(dir), []);
});

Deno.test("--keep K keeps the newest K, also those of the run that was resumed", async () => {
  await using folder = await temporaryFolder();
  const out = `${folder.path}/run`;
  await runHere({ ...SMALL, ranks: 2, maxSteps: 12, checkpointEvery: 2, keep: 3, out });
  assert.deepEqual(await checkpointSteps(out), [8, 10, 12]);
  // Only the last has been evaluated: the untrained weights' score is none of a checkpoint's.
  const lossAt = async (step: number) => (await readManifest(out, step)).loss;
  assert.equal(await lossAt(10), undefined);
  assert.equal(typeof await lossAt(12), "number");
  await runHere({ resume: out, maxSteps: 15, checkpointEvery: 7, keep: 1 });
  assert.deepEqual(await checkpointSteps(out), [12, 14]);
});

Deno.test("beside the newest the checkpoint with the lowest loss is kept, on every host", async () => {
  await using folder = await temporaryFolder();
  await using mesh = await world(3);
  const directory = `${folder.path}/run`,
    part = {
      save: () => Promise.resolve({ tensors: [], numbers: { one: 1 } }),
      restore: () => Promise.resolve(),
    };
  const write = async (step: number, loss: number | null, keep: number) => {
    const outcomes = await onAll(mesh, async (comm, rank) => {
      const folders = { directory: rank === 0 ? directory : "", local: `${folder.path}/${rank}` };
      await writeCheckpoint(comm, folders, step, await encode([part]), { keep, loss });
    });
    for (const outcome of outcomes) {
      if (outcome.status === "rejected") throw outcome.reason;
    }
  };
  const kept = async () => {
    const [first, ...others] = await Promise.all(
      [directory, `${folder.path}/1`, `${folder.path}/2`].map(checkpointSteps),
    );
    for (const other of others) assert.deepEqual(other, first);
    return first;
  };
  await write(1, null, 2);
  await write(2, 0.9, 2);
  await write(3, 0.5, 2);
  await write(4, 0.5, 2);
  assert.deepEqual(await kept(), [3, 4]);
  await write(5, 0.7, 2);
  await write(6, null, 2);
  assert.deepEqual(await kept(), [3, 5, 6], "of equal ones the first");
  await write(7, 0.4, 2);
  await write(8, 0.6, 2);
  await write(9, 0.6, 2);
  assert.deepEqual(await kept(), [7, 8, 9], "another has become the best");
  await Deno.writeTextFile(`${directory}/checkpoint/step-7/checkpoint.json`, "{");
  await write(10, 0.8, 1);
  assert.deepEqual(await kept(), [8, 10], "a damaged one counts for nothing");
  await write(11, 0.1, 2);
  const aside = `${directory}/checkpoint/step-11`;
  await Deno.rename(aside, `${aside}.damaged`);
  await write(12, 0.05, 2);
  assert.deepEqual(await checkpointSteps(directory), [10, 12]);
  const other = await checkpointSteps(`${folder.path}/1`);
  assert.ok(other.includes(10), "nor does one that rank 0's host has set aside");
});
