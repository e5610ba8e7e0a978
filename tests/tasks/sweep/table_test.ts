import assert from "node:assert/strict";
import type { Summary } from "../../../tasks/run/metrics.ts";
import type { CellResult } from "../../../tasks/sweep/results.ts";
import { formatCsv, formatTable } from "../../../tasks/sweep/table.ts";

const cell = (rest: Partial<CellResult>): CellResult => ({
  name: "cell",
  dir: "/sweep/cell",
  at: {},
  status: "finished",
  reused: false,
  message: null,
  summary: null,
  baseline: null,
  speedup: null,
  speedupToLoss: null,
  ...rest,
});

const summary = (rest: Partial<Summary>) => rest as Summary;

Deno.test("the table has the axes, what was reached, and what it cost", async () => {
  const numbers = { trainLoss: 1.5, testAccuracy: 0.423, rounds: 12, totalBytesSent: 37.4e6 };
  const text = await formatTable(["interval", "partition"], [
    cell({
      name: "interval=1",
      at: { interval: 1, partition: "iid" },
      summary: summary({ ...numbers, trainSeconds: 12.34, communicationShare: 0.25 }),
      baseline: "interval=1",
      speedup: 1,
    }),
    cell({ at: { interval: null, partition: "shards:2" }, status: "failed", message: "no" }),
  ]);
  const [head, first, second] = text.split("\n");
  assert.equal(
    head,
    "interval  partition  train loss  accuracy  rounds     sent    time   comm.  speedup",
  );
  assert.equal(
    first,
    "1         iid            1.5000    42.3 %      12  37.4 MB  12.3 s  25.0 %    1.00×",
  );
  assert.match(second, /^– {9}shards:2 +– .* failed$/);
  assert.match(text, /speedup: interval=1's training time per epoch over the cell's/);
});

Deno.test("a narrow terminal gets the columns that fit, and is told of the others", async () => {
  const numbers = { trainLoss: 1.5, testLoss: 1.6, testAccuracy: 0.423, rounds: 12 };
  const costs = { totalBytesSent: 37.4e6, trainSeconds: 12.34, communicationShare: 0.25 };
  const cells = [1, 4].map((interval) =>
    cell({
      at: { algorithm: "naive-parallel", interval },
      summary: summary({ ...numbers, ...costs }),
      baseline: "algorithm=naive-parallel",
      speedup: 1,
      speedupToLoss: 1,
    })
  );
  const axes = ["algorithm", "interval"];
  const [head, , , , ...notes] = (await formatTable(axes, cells, 80)).split("\n");
  assert.ok(head.length <= 80, head);
  assert.match(head, /^algorithm +interval +train loss +accuracy .* speedup +to loss/);
  assert.equal(notes.at(-1), "not shown, but in summary.csv: test loss, rounds, sent");
  const whole = await formatTable(axes, cells);
  assert.match(whole, /test loss.*rounds/);
  assert.doesNotMatch(whole, /not shown/);
  // The axes and what was reached stay, however narrow it is.
  assert.match(await formatTable(axes, cells, 10), /^algorithm +interval +accuracy +speedup\n/);
});

Deno.test("a language task's perplexity has its column, and only then", async () => {
  const measured = { ...summary({ rounds: 1 }), testPerplexity: 91.234 } as Summary;
  assert.match(await formatTable([], [cell({ summary: measured })]), /perplexity[^]*91\.23/);
  assert.doesNotMatch(await formatTable([], [cell({})]), /perplexity/);
});

Deno.test("CSV quotes commas, quotes and line feeds, and gives plain numbers", async () => {
  const text = await formatCsv("/sweep", ["decayAt"], [
    cell({ at: { decayAt: [80, 120] }, summary: summary({ trainLoss: 0.1, clipRate: null }) }),
    cell({ name: "b", dir: "/sweep/b", at: { decayAt: [] }, message: 'said "no",\nand left' }),
  ]);
  assert.equal(
    text,
    "cell,status,decayAt,trainLoss,clipRate,baseline,speedup,speedupToLoss,dir,message\n" +
      'cell,finished,"80,120",0.1,,,,,cell,\n' +
      'b,finished,none,,,,,,b,"said ""no"",\nand left"\n',
  );
});
