import assert from "node:assert/strict";
import type { Worlds } from "../../../../tasks/data/sampling/worlds.ts";
import { launch, type LaunchOptions } from "../../../../tasks/launch/launch.ts";
import { readMetrics } from "../../../../tasks/logs/log_tail.ts";
import { OptionError } from "../../../../tasks/options/kinds.ts";
import { readConfig, writeConfig } from "../../../../tasks/run/folder.ts";
import { temporaryFolder } from "../../../_helpers/temporary_folder.ts";

const SMALL = {
  ...{ ranks: 2, interval: 2, epochs: 1, evalEvery: 0.4, trainSize: 150, testSize: 20 },
  ...{ device: "cpu", momentum: 0.9, batchSize: 8 },
} as const satisfies LaunchOptions;

Deno.test("a run that is run again with the ranks that it had when has its bits, and each sample once", async () => {
  await using folder = await temporaryFolder();
  const out = `${folder.path}/run`;
  const whole = await launch({ ...SMALL, out });
  const again = await launch({ replay: out, out: `${folder.path}/again` });
  assert.equal(again.summary.weightsHash, whole.summary.weightsHash);
  const worlds: Worlds = [
    { step: 0, ranks: 2 },
    { step: 4, ranks: 1, members: [1], lost: [{ rank: 0, since: 2 }] },
    { step: 6, ranks: 3, members: [1, 0, 2] },
  ];
  // As the record of a run that had lost its first rank, and then got two others.
  await writeConfig(out, { ...await readConfig(out), worlds });
  const one = await launch({ replay: out, out: `${folder.path}/one` });
  const two = await launch({ replay: out, out: `${folder.path}/two`, checkpointEvery: 2 });
  assert.equal(one.summary.weightsHash, two.summary.weightsHash);
  assert.notEqual(one.summary.weightsHash, whole.summary.weightsHash);
  assert.deepEqual(one.summary.membership, worlds);
  assert.deepEqual((await readConfig(one.dir)).worlds, worlds);
  // 2 steps of 2 ranks, 2 that only rank 1's are kept of, 2 of it alone, then 3 ranks until 150 images are seen.
  const steps = 6 + Math.ceil((150 - 2 * 16 - 2 * 8 - 2 * 8) / 24);
  assert.equal(one.summary.steps, steps);
  const records = readMetrics(`${one.dir}/metrics.jsonl`);
  const rounds = records.flatMap((record) => record.type === "round" ? [record] : []);
  assert.deepEqual(
    rounds.slice(0, 4).map(({ step, participants }) => [step, participants]),
    [[2, [0, 1]], [4, [1]], [6, [1]], [8, [1, 0, 2]]],
  );
});

Deno.test("what cannot be repeated is refused with a reason", async () => {
  await using folder = await temporaryFolder();
  const out = `${folder.path}/run`, other = `${folder.path}/other`;
  await launch({ ...SMALL, maxSteps: 2, out });
  const refused = (given: LaunchOptions, message: RegExp) =>
    assert.rejects(launch({ out: other, ...given }), (error) => {
      assert.ok(error instanceof OptionError, `${error}`);
      assert.match(error.message, message);
      return true;
    });
  await refused({ replay: folder.path }, /must be the folder of a run/);
  await refused({ replay: out, lr: 3 }, /--lr is .* there, and cannot be changed to 3/);
  await refused({ replay: out, ranks: 3 }, /needs 2 ranks, one for each/);
  await refused({ replay: out, onFailure: "restart" }, /leave --on-failure restart out/);
  const config = await readConfig(out);
  await writeConfig(out, { ...config, worlds: [{ step: 0, ranks: 2 }, { step: 2, ranks: 3 }] });
  await refused({ replay: out }, /was resumed with another number of ranks/);
  await writeConfig(out, { ...config, rollbacks: [0] });
  await refused({ replay: out }, /went back because it diverged/);
});
