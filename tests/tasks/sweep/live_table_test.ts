import assert from "node:assert/strict";
import { planCells } from "../../../tasks/sweep/cells.ts";
import type { MetricRecord, Summary } from "../../../tasks/run/metrics.ts";
import { newRow, tableLines, takeRecord, takeSummary } from "../../../tasks/sweep/live_table.ts";
import { tableView } from "../../../tasks/sweep/view.ts";
import { position } from "../run_folder.ts";

/** A terminal: what a person would see of what was written. */
class Screen {
  readonly lines: string[] = [""];
  #row = 0;
  #column = 0;
  hidden = false;

  constructor(readonly columns: number, readonly rows: number) {}

  write(text: string): void {
    // deno-lint-ignore no-control-regex -- what terminals are told by
    for (const [part, csi] of text.matchAll(/\x1b\[([?\d]*[A-Za-z])|[^]/gu)) {
      if (csi === "0J") {
        this.lines.length = this.#row + 1;
        this.lines[this.#row] = this.lines[this.#row].slice(0, this.#column);
      } else if (csi?.endsWith("A")) this.#row -= parseInt(csi);
      else if (csi === "?25l" || csi === "?25h") this.hidden = csi === "?25l";
      else if (csi) assert.match(csi, /^\?7[hl]$/);
      else if (part === "\n") {
        this.lines[++this.#row] ??= "";
        this.#column = 0;
      } else if (part === "\r") this.#column = 0;
      else {
        this.lines[this.#row] = this.lines[this.#row].slice(0, this.#column++) + part;
      }
    }
  }
}

const { cells } = planCells({ interval: [1, 4, 16], maxSteps: 10, ranks: 2 });

const step = (t: number, loss: number) =>
  ({ type: "step", ...position(t, 2), loss, seconds: t }) as unknown as MetricRecord;

const SUMMARY = { steps: 10, trainLoss: 0.5, testAccuracy: 0.75, trainSeconds: 65 } as Summary;

Deno.test("each cell has a row that changes in place, and what is said stands above the table", () => {
  const screen = new Screen(100, 24);
  const view = tableView(cells, screen);
  assert.deepEqual(screen.lines, [
    "  interval=1",
    "  interval=4",
    "  interval=16",
    "0 % of 3 cells",
    "",
  ]);
  assert.ok(screen.hidden);
  view.say("note: something");
  view.begin(0, cells[0], null);
  view.record(step(5, 1.25));
  view.end(0, {
    cell: cells[0],
    dir: "",
    status: "finished",
    reused: false,
    message: null,
    run: { summary: SUMMARY } as never,
  });
  view.begin(1, cells[1], null);
  const [note, first, second, third, all] = screen.lines;
  assert.equal(note, "note: something");
  assert.match(first, /^✓ interval=1 +finished +step 10 +loss 0\.500 .* 75\.0 % +1m 5s$/);
  assert.match(second, /^▶ interval=4 +0 %$/);
  assert.equal(third, "  interval=16");
  assert.match(all, /^33 % of 3 cells {2}\d+s left$/);
  const failed = {
    cell: cells[1],
    dir: "",
    status: "failed",
    reused: false,
    message: "rank 1 died",
    run: null,
  };
  view.end(1, failed as never);
  assert.match(screen.lines[1], /^\[2\/3\] interval=4 failed: rank 1 died$/);
  assert.match(screen.lines[3], /^✗ interval=4 +failed$/);
  view[Symbol.dispose]();
  assert.deepEqual(screen.lines, ["note: something", screen.lines[1], ""]);
  assert.ok(!screen.hidden);
});

Deno.test("a row has the score of its task, of the test data alone", () => {
  const evaluated = (scores: object) =>
    ({ type: "eval", ...position(2, 2), loss: 1, ...scores }) as unknown as MetricRecord;
  const row = newRow("a");
  const after = (scores: object) => {
    takeRecord(row, evaluated(scores), 0.2);
    return row.score;
  };
  assert.equal(after({ accuracy: 0.25 }), "25.0 %");
  assert.equal(after({ split: "train", accuracy: 0.5 }), "25.0 %");
  assert.equal(after({ perplexity: 120.5 }), "perplexity 120.50");
  assert.equal(after({ rmse: 1.23456 }), "RMSE 1.235");
  takeSummary(row, { steps: 10, trainLoss: 1, trainSeconds: 1, testRmse: 0.5 } as Summary);
  assert.equal(row.score, "RMSE 0.5");
});

Deno.test("where rank 0 is lost and the others go on, a row goes on with who writes for them", () => {
  const row = newRow("celgc"), of = (record: object) => record as MetricRecord;
  takeRecord(row, of({ type: "step", ...position(1, 10), loss: 2 }), 0.1);
  takeRecord(row, of({ type: "step", ...position(2, 10), rank: 1, loss: 1 }), 0.2);
  assert.equal(row.step, 1);
  takeRecord(row, of({ type: "round", ...position(2, 10), rank: 1 }), 0.2);
  takeRecord(row, of({ type: "step", ...position(3, 10), rank: 1, loss: 1 }), 0.3);
  assert.deepEqual([row.step, row.loss, row.share], [3, 1, 0.3]);
});

Deno.test("a small terminal has the rows around the running cell, and none that is too long", () => {
  const rows = Array.from(
    { length: 30 },
    (_, i) => newRow(`algorithm=celgc_interval=${i}_lr=0.1_seed=3`),
  );
  for (let i = 0; i < 20; i++) rows[i].state = i < 19 ? "finished" : "running";
  rows[19].share = 0.5;
  rows[19].step = 123;
  const lines = tableLines(rows, { columns: 40, rows: 8, secondsLeft: 3700 });
  assert.equal(lines.length, 8);
  assert.ok(
    lines.some((line) => /^▶ ….*interval=19_lr=0.1_seed=3 +50 %$/.test(line)),
  );
  assert.equal(lines[7], "65 % of 30 cells  1h 1m left  23 not shown");
  for (const line of lines.slice(0, 7)) assert.ok([...line].length <= 40, line);
});

Deno.test("where names need the room the table does without what is missed least", () => {
  const rows = [newRow("algorithm=naive-parallel"), newRow("algorithm=celgc_interval=16")];
  for (const row of rows) {
    row.state = "running";
    for (let t = 1; t <= 20; t++) takeRecord(row, step(t, 3 / t), t / 40);
    row.score = "61.1 %";
  }
  const widest = (columns: number) =>
    tableLines(rows, { columns, rows: 8, secondsLeft: null })[1].replace(/[▁-█]+/, "~");
  assert.equal(
    widest(99),
    "▶ algorithm=celgc_interval=16  50 %  step 20  loss 0.150  ~  61.1 %  20s",
  );
  assert.equal(widest(68), "▶ algorithm=celgc_interval=16  50 %  loss 0.150  ~  61.1 %");
  assert.equal(widest(59), "▶ algorithm=celgc_interval=16  50 %  loss 0.150  61.1 %");
  assert.equal(widest(45), "▶ algorithm=celgc_interval=16  50 %  61.1 %");
  assert.equal(widest(30), "▶ …c_interval=16  50 %  61.1 %");
});
