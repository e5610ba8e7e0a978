import assert from "node:assert/strict";
import { RunLog } from "../../../../tasks/logs/run_log.ts";
import { reportData } from "../../../../tasks/report/report_data.ts";
import { temporaryFolder } from "../../../_helpers/temporary_folder.ts";
import { knownLines, writeRun } from "../../run_folder.ts";
import { writeGeneratedRun } from "../_generated_runs.ts";

Deno.test("a timeline shows who waits, and names who is waited for", async () => {
  await using folder = await temporaryFolder();
  const run = `${folder.path}/run`;
  await writeGeneratedRun(run, {
    algorithm: "celgc",
    interval: 1,
    ranks: 3,
    epochs: 4,
    stepsPerEpoch: 50,
    kind: "accuracy",
    stepMs: 200,
    syncMs: 40,
    slow: 1,
  });
  const { page } = reportData([await RunLog.open(run)]);
  const figure = page.figures.find(({ id }) => id === "ranks");
  assert.ok(figure?.kind === "timeline");
  const [timeline] = figure.runs;
  assert.equal(timeline!.slowest, 1);
  assert.match(figure.description, /rank 1 computes longest/);
  assert.deepEqual(timeline!.rows.map(({ rank }) => rank), [0, 1, 2]);
  const mean = (values: readonly number[]) => values.reduce((sum, v) => sum + v, 0) / values.length;
  const shares = timeline!.rows.map((row) => row.shares.map(mean));
  const near = (found: number, expected: number) =>
    assert.ok(Math.abs(found - expected) < 2, `${shares}`);
  // Of 340 ms a step the slow rank computes 300, the others 200, and wait 100.
  for (const rank of [0, 2]) {
    near(shares[rank][0], 100 * 200 / 340);
    near(shares[rank][1], 100 * 100 / 340);
  }
  near(shares[1][0], 100 * 300 / 340);
  assert.equal(shares[1][1], 0);
  for (const [, , exchanging] of shares) near(exchanging, 100 * 40 / 340);
});

Deno.test("of many ranks those that compute longest are shown, and rank 0; without times there is none", async () => {
  await using folder = await temporaryFolder();
  const run = `${folder.path}/run`, ranks = 40;
  const common = {
    algorithm: "celgc",
    interval: 1,
    epochs: 1,
    stepsPerEpoch: 4,
    kind: "accuracy",
  } as const;
  await writeGeneratedRun(run, { ...common, ranks, stepMs: 10, syncMs: 2, slow: 37 });
  const { page } = reportData([await RunLog.open(run)]);
  const figure = page.figures.find(({ id }) => id === "ranks");
  assert.ok(figure?.kind === "timeline");
  const shown = figure.runs[0]!.rows.map(({ rank }) => rank);
  assert.ok(shown.length <= 24 && shown[0] === 0 && shown.includes(37), `${shown}`);

  const untimed = knownLines({
    interval: 2,
    scale: 4,
    stepMs: 50,
    syncMs: 10,
    drift: 0.1,
    driftBound: 4,
  })
    .map((line) => {
      const { stepMs: _, ...rest } = line as Record<string, unknown>;
      return rest;
    });
  const other = await writeRun(folder.path, "untimed", {}, untimed);
  const { page: without } = reportData([await RunLog.open(other)]);
  assert.ok(!without.figures.some(({ id }) => id === "ranks"));
});
