/** What is said of a run is the same wherever it is said: the page, the sweep's table, the summary. */

import assert from "node:assert/strict";
import { ALGORITHM_NAMES } from "../../../optimizers/registry.ts";
import { formatSummary } from "../../../tasks/run/words/summary_text.ts";
import { RunLog } from "../../../tasks/logs/run_log.ts";
import { roundCurves } from "../../../tasks/logs/series.ts";
import { totalsOf } from "../../../tasks/logs/totals.ts";
import { writeValue } from "../../../tasks/report/page/style.ts";
import { report } from "../../../tasks/report/report.ts";
import { planCells } from "../../../tasks/sweep/cells.ts";
import type { CellResult } from "../../../tasks/sweep/results.ts";
import { sweep, type SweepOptions } from "../../../tasks/sweep/sweep.ts";
import { formatTable } from "../../../tasks/sweep/table.ts";
import { runHere } from "../../_helpers/run_here.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";
import { TINY } from "./_tiny.ts";

/** Equal but for the order in which numbers were added up. */
function near(actual: number, expected: number, what: string): void {
  const off = Math.abs(actual - expected);
  assert.ok(off <= 1e-9 * Math.abs(expected) + 1e-12, `${what}: ${actual}, ${expected}`);
}

const sweepInto = async (out: string, options: SweepOptions): Promise<readonly CellResult[]> =>
  (await sweep({ ...options, out })).cells;

/** The same, with all ranks in this process. */
async function cellsHere(out: string, options: SweepOptions): Promise<readonly CellResult[]> {
  const cells: CellResult[] = [];
  for (const { name, at, options: given } of planCells(options).cells) {
    const { dir, summary } = await runHere({ ...given, out: `${out}/${name}` });
    const compared = { baseline: null, speedup: null, speedupToLoss: null };
    const how = { status: "finished", reused: false, message: null } as const;
    cells.push({ name, at, dir, summary, ...how, ...compared });
  }
  return cells;
}

/** @param run makes the cells' runs, in folders of a folder */
async function compare(options: SweepOptions, run = sweepInto): Promise<void> {
  await using folder = await temporaryFolder();
  const cells = await run(folder.path, { ...TINY, ...options });
  const { runs, page } = await report([folder.path]);
  const html = await Deno.readTextFile(page);
  for (const { dir, name, summary, status } of cells) {
    assert.equal(status, "finished", name);
    const s = summary!, log = await RunLog.open(dir);
    const run = runs.find(({ directory }) => directory === dir)!;
    near(run.syncSeconds / run.trainSeconds, s.communicationShare, `${name}: communicating`);
    near(run.trainSeconds, s.trainSeconds, `${name}: training time`);
    near(run.stepsPerSecond, s.stepsPerSecond, `${name}: steps/s`);
    // Where rounds go by the clock, a rank's last tenth of its steps is not that of all ranks'.
    if (!s.stepsByRank) near(run.trainLoss, s.trainLoss!, `${name}: training loss`);
    near(run.clipRate, s.clipRate ?? 0, `${name}: clipped`);
    near(run.epochs, s.epochs, `${name}: epochs`);
    assert.equal(Math.floor(run.iterations), s.steps, `${name}: steps`);
    assert.equal(run.rounds, s.rounds, `${name}: rounds`);
    const sent = [...totalsOf(log).bytesSent.values()];
    // The last average that travels arrives behind the records of all ranks but the first.
    const total = sent.reduce((sum, bytes) => sum + bytes, 0);
    if (options.overlap) assert.ok(total <= s.totalBytesSent);
    else assert.equal(total, s.totalBytesSent, `${name}: sent`);
    assert.ok(sent[0] >= Number(log.summary!.bytesSent), `${name}: sent by rank 0`);
    assert.equal(run.bytesSent, Math.max(...sent));
    if (s.rounds > 0) {
      // The curve's shares, each weighted by the time of its rounds, are the whole's.
      const { share } = roundCurves(log, 1);
      assert.ok(share.y[0] > 0 && share.y[0] <= 1, `${name}: ${share.y}`);
    }
    // And as text: three digits on the page, one behind the point in the table and the summary.
    assert.ok(html.includes(`>${writeValue(s.communicationShare, "percent")}<`), name);
    const percent = `${(100 * s.communicationShare).toFixed(1)} %`;
    assert.match(await formatTable([], cells), new RegExp(`${RegExp.escape(name)} .*${percent}`));
    assert.match(formatSummary(s, dir), new RegExp(`communication +${percent}`));
  }
}

Deno.test("the page, the table and the summary say the same of every algorithm", () =>
  compare({
    algorithm: [...ALGORITHM_NAMES],
    // Two rounds and a rest, so that the last steps are not the last round's.
    interval: 2,
    maxSteps: 5,
  }, cellsHere));

Deno.test("they say the same where averages travel while the ranks step on", () =>
  compare({ algorithm: ["celgc"], overlap: true, interval: 2 }));

Deno.test("they say the same where rounds go by the clock and ranks take unequal numbers of steps", () =>
  compare({ algorithm: ["celgc"], syncEvery: 0.1, maxSteps: 20 }));
