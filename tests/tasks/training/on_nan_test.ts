import assert from "node:assert/strict";
import { permissionsFor } from "../../../runtime/devices/open.ts";
import { launch } from "../../../tasks/launch/launch.ts";
import type { Summary } from "../../../tasks/logs/records.ts";
import { readMetrics } from "../../../tasks/logs/log_tail.ts";
import { readConfig } from "../../../tasks/run/folder.ts";
import { run } from "../../_helpers/jobs.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";

const program = new URL("./programs/poisoned.ts", import.meta.url);

/** A learning rate at which the small network overflows, as it does at half of it, and not at a quarter. */
const LR = 250;

/** Steps that each rank has skipped, and the summary. */
async function trained(order: unknown) {
  const outcome = await run({
    ranks: 2,
    args: [JSON.stringify(order)],
    program,
    allow: permissionsFor("cpu"),
  });
  const told = (rank: number, what: string) => {
    const line = outcome.lines[rank].find((line) => line.startsWith(`${what} `));
    return line === undefined ? null : JSON.parse(line.slice(what.length + 1));
  };
  const skipped = [0, 1].map((rank) => told(rank, "skipped") as number[]);
  return { ...outcome, skipped, summary: told(0, "summary") as Summary };
}

for (const optimizer of ["sgd", "adam"]) {
  const options = { onNan: "skip", optimizer, algorithm: "local-sgd", lr: 0.01 };
  Deno.test(`--on-nan skip: a step of ${optimizer} that is not finite is not taken, each time`, async () => {
    const once = await trained({ options, rank: 1, step: 6 });
    assert.equal(once.code, 0, once.failure?.message ?? "");
    assert.deepEqual(once.skipped, [[], [6]]);
    const { summary } = once;
    assert.deepEqual([summary.skippedSteps, summary.identicalWeights], [1, true]);
    assert.ok(Number.isFinite(summary.testLoss) && Number.isFinite(summary.trainLoss!));
    const again = await trained({ options, rank: 1, step: 6 });
    assert.equal(again.summary.weightsHash, summary.weightsHash);
    const [skips, stops] = await Promise.all([
      trained({ options }),
      trained({ options: { ...options, onNan: "stop" } }),
    ]);
    assert.equal(
      skips.summary.weightsHash,
      stops.summary.weightsHash,
      "without damage no difference",
    );
    assert.notEqual(skips.summary.weightsHash, summary.weightsHash);
    assert.equal(skips.summary.skippedSteps, undefined);
  });
}

Deno.test("--on-nan stop names rank, step and loss, and the way out", async () => {
  const { code, failure } = await trained({ options: {}, rank: 1, step: 6 });
  assert.notEqual(code, 0);
  assert.match(
    failure!.message,
    /at step 6 rank 1 has loss NaN and gradient norm NaN; try a smaller .* --on-nan skip or rollback/,
  );
});

Deno.test("--on-nan skip is refused where gradients are exchanged, rollback without checkpoints", async () => {
  const refused = (options: object, pattern: RegExp) => assert.rejects(launch(options), pattern);
  await refused({ onNan: "skip", algorithm: "naive-parallel" }, /rank goes to the others/);
  await refused({ onNan: "skip", algorithm: "scaffold" }, /rank goes to the others/);
  await refused({ onNan: "skip", accumulate: 2 }, /--accumulate/);
  await refused({ onNan: "rollback" }, /give --checkpoint-every as well/);
});

Deno.test("--on-nan rollback goes back to the last checkpoint with half the learning rate, until it is finite", async () => {
  await using folder = await temporaryFolder();
  const sizes = { ranks: 2, interval: 2, trainSize: 96, testSize: 12, batchSize: 4 };
  const wild = {
    algorithm: "local-sgd",
    lr: LR,
    momentum: 0,
    maxSteps: 12,
    device: "cpu",
  } as const;
  const given = { ...sizes, ...wild, checkpointEvery: 8, onNan: "rollback" } as const;
  const out = `${folder.path}/a`;
  const { summary } = await launch({ ...given, out });
  assert.ok(summary.rollbacks! > 1, "it diverged, and once more");
  const { rollbacks, options } = await readConfig(out);
  assert.equal(rollbacks!.length, summary.rollbacks);
  assert.equal(options.lr, LR);
  const steps = readMetrics(`${out}/metrics.jsonl`)
    .flatMap((record) => record.type === "step" && record.rank === 1 ? [record] : []);
  assert.deepEqual(steps.map(({ step }) => step), Array.from({ length: 12 }, (_, i) => i + 1));
  assert.equal(steps.at(-1)!.lr, LR / 2 ** summary.rollbacks!);
  const again = await launch({ ...given, out: `${folder.path}/b` });
  assert.equal(again.summary.weightsHash, summary.weightsHash);
});
