import assert from "node:assert/strict";
import { allreduceSeconds } from "../../../runtime/collectives/allreduce_cost.ts";
import { planCells } from "../../../tasks/sweep/cells.ts";
import { chartSvg } from "../../../tasks/reproduce/chart.ts";
import { FIGURES } from "../../../tasks/reproduce/figures.ts";
import {
  clipsMoreOften,
  fewerIterations,
  keepsUp,
  type SeenLine,
  staysBelowBound,
} from "../../../tasks/reproduce/findings.ts";
import { secondsBehind, stepSecondsOf } from "../../../tasks/reproduce/link_seconds.ts";
import { readLines } from "../../../tasks/reproduce/lines.ts";
import { mean, pointsOf } from "../../../tasks/reproduce/measures.ts";
import { commandOf, SWEEPS, sweepsOf } from "../../../tasks/reproduce/sweeps.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";

const CHOICE = { data: "data", scale: 1 };

Deno.test("every record plans its cells, and its command gives the same options", () => {
  for (const record of Object.values(SWEEPS)) {
    const cells = sweepsOf(record, 1, CHOICE).flatMap((swept) => planCells(swept).cells);
    assert.ok(cells.length >= 3, record.name);
    for (const swept of record.sweeps) {
      const command = commandOf(swept, record.seeds, "runs/x");
      for (const [name, value] of Object.entries(swept)) {
        const flag = `--${name.replaceAll(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`;
        assert.ok(command.includes(value === true ? flag : `${flag} ${value}`), `${flag} ${value}`);
      }
      assert.match(command, /--seed [\d,]+ --out runs\/x$/);
    }
  }
  assert.equal(new Set(FIGURES.map(({ name }) => name)).size, FIGURES.length);
});

Deno.test("a scaled record has its share of epochs, and other cells", () => {
  const [whole] = sweepsOf(SWEEPS.intervals, 1, CHOICE);
  const [tenth] = sweepsOf(SWEEPS.intervals, 1, { ...CHOICE, scale: 0.1 });
  assert.deepEqual([whole.epochs, whole.decayAt, whole.evalEvery], [12, [9], 3]);
  const near = (a: unknown, b: number) => assert.ok(Math.abs(Number(a) - b) < 1e-12, `${a}`);
  near(tenth.epochs, 1.2);
  near((tenth.decayAt as number[])[0], 0.9);
  near(tenth.evalEvery, 0.3);
  assert.notEqual(planCells(whole).cells[0].hash, planCells(tenth).cells[0].hash);
});

Deno.test("a sweep of which nothing is finished has its lines, and no runs", async () => {
  await using folder = await temporaryFolder();
  const lines = await readLines(SWEEPS.ranks, folder.path, CHOICE);
  assert.deepEqual(
    lines.map(({ label, ranks, runs, seeds }) => [label, ranks, runs.length, seeds]),
    [["single N=1", 1, 0, 1], ["celgc N=2", 2, 0, 1], ["celgc N=4", 4, 0, 1], [
      "celgc N=8",
      8,
      0,
      1,
    ]],
  );
});

/** A line of invented points. */
function lineOf(
  algorithm: string,
  interval: number | null,
  ranks: number,
  values: [number, number][],
): SeenLine {
  const points = values.map(([iteration, mean]) => ({
    at: {
      epoch: iteration / 10,
      iteration,
      round: iteration / (interval ?? 1),
      bytes: iteration / (interval ?? 1),
      linkSeconds: iteration,
    },
    mean,
    low: mean - 0.01,
    high: mean + 0.01,
  }));
  const label = interval === null ? algorithm : `${algorithm} I=${interval}`;
  const run = {} as never; // what a finding counts, and does not open
  return {
    line: { label, at: { algorithm, interval }, ranks, runs: [run], seeds: 1 },
    points: () => points,
    total: (name) => {
      const value = mean(values.map(([, value]) => value));
      return name === "gradNorm" ? null : { mean: value, low: value, high: value };
    },
  };
}

Deno.test("an interval keeps up if it is within the spread or 3 % of the baseline", () => {
  const base = lineOf("naive-parallel", null, 8, [[10, 0.3], [20, 0.6]]);
  const near = lineOf("celgc", 4, 8, [[20, 0.585]]), far = lineOf("celgc", 16, 8, [[20, 0.5]]);
  assert.equal(keepsUp([base, near], "testAccuracy").agrees, "agrees");
  assert.equal(keepsUp([base, near, far], "testAccuracy").agrees, "agrees in part");
  assert.equal(keepsUp([base, far], "testAccuracy").agrees, "does not agree");
  assert.equal(keepsUp([far], "testAccuracy").agrees, null);
  // A perplexity is better the lower it is.
  assert.equal(keepsUp([base, far], "validPerplexity").agrees, "agrees");
  const { seen, table } = keepsUp([base, near, far], "testAccuracy");
  assert.match(
    seen.join(" "),
    /As good: celgc I=4\. Behind it: celgc I=16\. celgc I=4 came there in 1\/4 of naive-parallel's rounds/,
  );
  assert.equal(table[0].at(-1), "behind the link to 50 %");
  assert.deepEqual(table[3], [
    "celgc I=16",
    "50 % (49 % to 51 %)",
    "1.25",
    "1.25 B",
    "20 s",
    "20 s",
  ]);
  // Between 0.3 after 10 s and 0.6 after 20 s.
  assert.equal(table[1].at(-1), "16.7 s");
  const soon = lineOf("celgc", 16, 8, [[5, 0.4], [10, 0.5]]);
  assert.match(
    keepsUp([base, near, soon], "testAccuracy").seen.at(-1)!,
    /^To 50 %, which all reached, naive-parallel needed 16\.7 s .*, and celgc I=16, .*, 10 s\.$/,
  );
  assert.match(
    keepsUp([base, lineOf("celgc", 1, 8, [[20, 0.6]])], "testAccuracy").seen[2],
    /in all of naive/,
  );
  // A far worse mean is within what seeds differ by, where they differ much.
  const wild = {
    ...far,
    points: () => far.points("testAccuracy").map((p) => ({ ...p, low: 0.3 })),
  };
  assert.equal(keepsUp([base, wild], "testAccuracy").agrees, "agrees");
});

Deno.test("CELGC clips more often if it does at every interval", () => {
  const base = lineOf("naive-parallel", null, 8, [[10, 0.2], [20, 0]]);
  const often = lineOf("celgc", 1, 8, [[10, 0.9], [20, 0.7]]);
  const rarely = lineOf("celgc", 4, 8, [[10, 0], [20, 0.1]]);
  const { seen, agrees, table } = clipsMoreOften([base, often]);
  assert.equal(agrees, "agrees");
  assert.deepEqual(seen, ["Of the baseline's steps 10 % clipped.", "More often: celgc I=1."]);
  assert.deepEqual(table.slice(1), [["naive-parallel", "10 %", "–"], ["celgc I=1", "80 %", "–"]]);
  assert.equal(clipsMoreOften([base, often, rarely]).agrees, "agrees in part");
  assert.equal(clipsMoreOften([base, rarely]).agrees, "does not agree");
  assert.equal(clipsMoreOften([often]).agrees, null);
});

Deno.test("a drift beyond its bound in one run does not agree, however far below it the others stay", () => {
  const base = lineOf("naive-parallel", null, 8, [[10, 9]]);
  const below = lineOf("celgc", 1, 8, [[10, 0.6]]), beyond = lineOf("celgc", 4, 8, [[10, 0.9]]);
  const { seen, agrees, table } = staysBelowBound([base, below]);
  assert.equal(agrees, "agrees");
  assert.deepEqual(seen, [
    "The nearest that a drift came to its bound was 60 % of it, with celgc I=1.",
  ]);
  assert.deepEqual(table.slice(1), [["celgc I=1", "60 %"]]);
  const once = { ...beyond, total: () => ({ mean: 0.9, low: 0.7, high: 1.001 }) };
  assert.equal(staysBelowBound([base, below, once]).agrees, "does not agree");
  assert.equal(staysBelowBound([base]).agrees, null);
});

Deno.test("iterations to a loss are read between evaluations", () => {
  const one = lineOf("single", null, 1, [[100, 2], [400, 1]]);
  const four = lineOf("celgc", 4, 4, [[25, 2], [75, 1.5], [125, 0.5]]);
  const { seen, agrees, table } = fewerIterations([one, four], "averagedTrainLoss");
  assert.equal(agrees, "agrees");
  assert.match(seen[0], /of 1, the lowest .*, N = 4 needed 1\/4 of one rank's iterations/);
  assert.deepEqual(table.slice(1), [["single", "400", "1.00×"], ["celgc I=4", "100", "4.00×"]]);
  const slow = lineOf("celgc", 4, 4, [[50, 2], [200, 1]]);
  assert.equal(fewerIterations([one, slow], "averagedTrainLoss").agrees, "agrees in part");
});

Deno.test("seconds behind the link are steps and what each exchange takes", async () => {
  await using folder = await temporaryFolder();
  const floats = 1000, header = new TextEncoder().encode("{}");
  const file = new Uint8Array(8 + header.length + 4 * floats);
  new DataView(file.buffer).setBigUint64(0, BigInt(header.length), true);
  await Deno.writeFile(`${folder.path}/model.safetensors`, file);
  const log = { directory: folder.path, config: { plan: { parameters: floats } } };
  const run = (options: object) => ({ seed: 1, log, options: { ranks: 8, ...options } }) as never;
  const network = { latencySeconds: 1e-3, bytesPerSecond: 100e6 / 8 };
  const exchange = allreduceSeconds(network, 8, 4 * floats);
  const close = (found: number, expected: number) =>
    assert.ok(Math.abs(found - expected) < 1e-9, `${found}, ${expected}`);
  close(secondsBehind(run({ algorithm: "celgc", interval: 4 }), 0.1)(40), 4 + 10 * exchange);
  close(secondsBehind(run({ algorithm: "celgc", interval: 1 }), 0.1)(40), 4 + 40 * exchange);
  close(secondsBehind(run({ algorithm: "single", ranks: 1 }), 0.1)(40), 4);
  // The paper's baseline averages gradients and weights at each step.
  close(secondsBehind(run({ algorithm: "naive-parallel" }), 0.1)(40), 4 + 80 * exchange);
});

Deno.test("a step takes what it took in the run that was disturbed least, without its exchanges", () => {
  const line = (whole: number[], sync: number[]) => {
    const columns: Record<string, number[]> = { stepMs: whole, syncMs: sync };
    const steps = { column: (name: string) => columns[name], rows: () => whole.map((_, i) => i) };
    return { label: "", at: {}, ranks: 2, seeds: 1, runs: [{ log: { steps } }] as never };
  };
  const quiet = line([100, 120, 500], [10, 20, 30]), crowded = line([900, 900, 900], [0, 0, 0]);
  assert.equal(stepSecondsOf([crowded, quiet]), 0.1);
  assert.equal(stepSecondsOf([{ ...quiet, runs: [...crowded.runs, ...quiet.runs] }]), 0.1);
  assert.equal(stepSecondsOf([{ ...quiet, runs: [] }]), NaN);
});

Deno.test("a point stands where every finished seed has one, with least and greatest", () => {
  const run = (seed: number, losses: number[]) => {
    const rows = losses.map((_, i) => i);
    const columns: Record<string, number[]> = {
      rank: rows.map(() => 0),
      iteration: rows.map((i) => 10 * i),
      epoch: rows,
      round: rows,
      seconds: rows,
      bytesSent: rows.map((i) => 100 * i),
      loss: losses,
    };
    const evals = { column: (name: string) => columns[name], rows: () => rows };
    const log = { evals, splits: rows.map(() => "train"), config: { plan: { parameters: 1 } } };
    return { seed, log, options: { algorithm: "single", ranks: 1 } };
  };
  const line = { label: "", at: {}, ranks: 1, seeds: 3, runs: [run(1, [9, 3, 1]), run(2, [9, 5])] };
  const points = pointsOf({ ...line, runs: line.runs as never }, "averagedTrainLoss", NaN);
  assert.deepEqual(
    points.map(({ at, mean, low, high }) => [at.iteration, at.bytes, mean, low, high]),
    [
      [10, 100, 4, 3, 5],
    ],
  );
});

Deno.test("seeds that take unequal numbers of iterations for an epoch meet at epochs", () => {
  const run = (seed: number, iteration: number[], loss: number[]) => {
    const rows = loss.map((_, i) => i), epoch = [0, 1, 2];
    const none = rows.map(() => 0), bytesSent = iteration.map((t) => 2 * t);
    const columns: Record<string, number[]> = {
      ...{ rank: none, round: iteration, seconds: none },
      ...{ iteration, epoch, bytesSent, loss },
    };
    const evals = { column: (name: string) => columns[name], rows: () => rows };
    const log = { evals, splits: rows.map(() => "train"), config: { plan: { parameters: 1 } } };
    return { seed, log, options: { algorithm: "single", ranks: 1 } } as never;
  };
  const runs = [run(1, [0, 188, 370], [9, 5, 2]), run(2, [0, 180, 374], [9, 4, 3])];
  const line = { label: "", at: {}, ranks: 1, seeds: 2, runs };
  assert.deepEqual(
    pointsOf(line, "averagedTrainLoss", NaN).map((
      { at, mean, low, high },
    ) => [at.epoch, at.iteration, at.bytes, mean, low, high]),
    [[1, 184, 368, 4.5, 4, 5], [2, 372, 744, 2.5, 2, 3]],
  );
});

Deno.test("a picture has a path for each line and band, a legend, and nothing that a label can break", () => {
  const points = [{ x: 1, y: 2, low: 1, high: 3 }, { x: 2, y: 4, low: 4, high: 4 }];
  const axis = { format: "number", log: false } as const;
  const svg = chartSvg({
    title: "a <b> & c",
    description: "d",
    note: "2 of 3 runs so far",
    labels: [{ text: "<script>", baseline: true }, { text: "other", baseline: false }, {
      text: "nowhere",
      baseline: false,
    }],
    panels: [{
      x: { ...axis, title: "x" },
      y: { ...axis, title: "y" },
      lines: [
        { colour: 0, dashed: false, points },
        { colour: 1, dashed: true, points: points.map((p) => ({ ...p, low: p.y, high: p.y })) },
      ],
    }, { x: { ...axis, title: "x" }, y: { ...axis, title: "y" }, lines: [] }],
  });
  assert.equal(svg.match(/<path class="band/g)?.length, 1);
  assert.equal(svg.match(/<path class="line c1 dashed"/g)?.length, 1);
  assert.match(svg, /no run has it yet/);
  assert.match(svg, />2 of 3 runs so far</);
  assert.ok(!svg.includes("nowhere"), "what is drawn nowhere has no label");
  assert.ok(svg.includes("a &#60;b&#62; &#38; c") && !svg.includes("<script>"));
  assert.doesNotMatch(svg, /NaN|undefined|Infinity/);
});

Deno.test("an axis has room for what other pictures show, and no label that touches another", () => {
  const points = [{ x: 2e7, y: 2, low: 2, high: 2 }, { x: 4e9, y: 4, low: 4, high: 4 }];
  const x = { title: "x", format: "bytes", log: true } as const;
  const draw = (room: number[]) =>
    chartSvg({
      ...{ title: "t", description: "d", note: "", labels: [{ text: "a", baseline: true }] },
      panels: [{
        x,
        y: { title: "y", format: "number", log: false, room },
        lines: [{ colour: 0, dashed: false, points }],
      }],
    });
  const numbers = (svg: string) =>
    [...svg.matchAll(/text-anchor="end">([\d.]+)</g)].map((m) => +m[1]);
  assert.ok(Math.max(...numbers(draw([]))) <= 4);
  assert.ok(Math.max(...numbers(draw([2, 9]))) >= 8);
  const labels = [...draw([]).matchAll(/<text x="([\d.]+)" [^>]*middle">([^<]+ [MG]B)</g)];
  assert.ok(labels.length >= 5);
  for (const [i, [, at, text]] of labels.entries()) {
    if (i === 0) continue;
    const [, before, other] = labels[i - 1];
    assert.ok(+at - +before >= 3.5 * (text.length + other.length) + 4, `${other}, ${text}`);
  }
});
