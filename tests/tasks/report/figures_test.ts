import assert from "node:assert/strict";
import { pointsOf } from "../../../tasks/report/page/points.ts";
import { reportData } from "../../../tasks/report/report_data.ts";
import type { LineFigure, PageData } from "../../../tasks/report/page/data.ts";
import { RunLog } from "../../../tasks/logs/run_log.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";
import { knownLines, position, writeRun } from "../run_folder.ts";

const KNOWN = { interval: 2, scale: 4, stepMs: 50, syncMs: 10, drift: 0.1, driftBound: 4 };

async function knownReport() {
  await using folder = await temporaryFolder();
  const celgc = await writeRun(
    folder.path,
    "a",
    { algorithm: "celgc", interval: 2, ranks: 2 },
    knownLines(KNOWN),
  );
  const naive = await writeRun(
    folder.path,
    "b",
    { algorithm: "naive-parallel", interval: 2, ranks: 2 },
    knownLines({ interval: 1, scale: 8, stepMs: 100, syncMs: 40, drift: 0, driftBound: null }),
  );
  return reportData([await RunLog.open(celgc), await RunLog.open(naive)]);
}

function lines(page: PageData, id: string): LineFigure {
  const figure = page.figures.find((f) => f.id === id);
  assert.ok(figure && figure.kind === "lines", `there is a figure ${id}`);
  return figure;
}

Deno.test("the baseline comes first, and the figures are those of the paper", async () => {
  const { page } = await knownReport();
  assert.deepEqual(page.runs, [
    {
      label: "naive-parallel",
      baseline: true,
      state: "finished",
      group: "naive-parallel",
      options: { algorithm: "naive-parallel" },
    },
    {
      label: "celgc I=2",
      baseline: false,
      state: "finished",
      group: "celgc I=2",
      options: { algorithm: "celgc", interval: "2" },
    },
  ]);
  assert.deepEqual(page.figures.map((figure) => figure.id), [
    "training-loss",
    "test-accuracy",
    "clip-rate",
    "gradient-norm",
    "drift",
    "bytes-sent",
    "communication-share",
    "time-per-epoch",
    "ranks",
  ]);
  assert.deepEqual(page.axes.map((a) => a.key), [
    "epoch",
    "seconds",
    "iteration",
    "round",
    "bytes",
  ]);
});

Deno.test("the loss is the mean over the ranks, placed on every axis", async () => {
  const { page } = await knownReport();
  const [, celgc] = lines(page, "training-loss").series;
  const t = Array.from({ length: 16 }, (_, i) => i + 1);
  assert.deepEqual(celgc.y, t.map((i) => +(4 / i).toPrecision(5)));
  assert.deepEqual(celgc.low, t.map((i) => +(2 / i).toPrecision(5)));
  assert.deepEqual(celgc.high, t.map((i) => +(6 / i).toPrecision(5)));
  const track = page.tracks[celgc.track];
  assert.deepEqual(track.iteration, t);
  assert.deepEqual(track.epoch, t.map((i) => i / 2));
  assert.deepEqual(track.seconds, t.map((i) => +(i * 0.05).toPrecision(7)));
  assert.deepEqual(track.round, t.map((i) => Math.floor(i / 2)));
  assert.deepEqual(track.bytes, t.map((i) => Math.floor(i / 2) * 1000));
});

Deno.test("the clip rate of an epoch is the share of all ranks' steps that clipped", async () => {
  const { page, summaries } = await knownReport();
  const [, celgc] = lines(page, "clip-rate").series;
  assert.deepEqual(celgc.y, [1, 0.75, 0.5, 0.25, 0, 0, 0, 0]);
  assert.deepEqual(page.tracks[celgc.track].epoch, [1, 2, 3, 4, 5, 6, 7, 8]);
  // 4 + 3 + 2 + 1 of 32.
  assert.equal(summaries[1].clipRate, 10 / 32);
});

Deno.test("the drift stands beside its bound, for the algorithms that have one", async () => {
  const { page, summaries } = await knownReport();
  const { series } = lines(page, "drift");
  assert.deepEqual(series.map(({ run, style }) => [run, style]), [[1, "line"], [1, "bound"]]);
  assert.deepEqual(series[0].y, [0.2, 0.4, 0.6, 0.8, 1, 1.2, 1.4, 1.6]);
  assert.deepEqual(series[1].y, Array(8).fill(4));
  // 1.6 of 4 in the last round.
  assert.equal(summaries[1].driftOfBound, 0.4);
});

Deno.test("the summary compares time per epoch, and time to the baseline's last loss", async () => {
  const { summaries: [naive, celgc] } = await knownReport();
  // 16 steps of 100 ms against 16 of 50 ms.
  assert.ok(Math.abs(celgc.speedup - 2) < 1e-9);
  // The baseline's loss, 8/t, is (8/15 + 8/16)/2 = 0.517 at its end, after 1.6 s. celgc's, 4/t, is
  // (4/7 + 4/8)/2 = 0.536 after 8 steps and (4/8 + 4/9)/2 = 0.472 after 9, which took 0.45 s.
  assert.ok(Math.abs(celgc.speedupToLoss - 1.6 / 0.45) < 1e-9);
  assert.ok(Number.isNaN(naive.speedup) && Number.isNaN(naive.speedupToLoss));
  assert.ok(Math.abs(celgc.trainSeconds - 0.8) < 1e-9);
  // 8 rounds of 10 ms in 0.8 s, 16 rounds of 40 ms in 1.6 s.
  assert.ok(Math.abs(celgc.syncSeconds / celgc.trainSeconds - 0.1) < 1e-9);
  assert.ok(Math.abs(naive.syncSeconds / naive.trainSeconds - 0.4) < 1e-9);
  assert.ok(Math.abs(celgc.stepsPerSecond - 20) < 1e-9);
  assert.equal(celgc.trainLoss, (4 / 15 + 4 / 16) / 2);
  assert.deepEqual(celgc.score, { kind: "accuracy", split: "", last: 0.8, best: 0.8 });
  assert.deepEqual([celgc.iterations, celgc.rounds, celgc.epochs, celgc.bytesSent], [
    16,
    8,
    8,
    8000,
  ]);
});

Deno.test("time spent communicating is a share of the steps it falls among", async () => {
  const { page } = await knownReport();
  const [naive, celgc] = lines(page, "communication-share").series;
  assert.deepEqual(naive.y, Array(16).fill(0.4));
  assert.deepEqual(celgc.y, Array(8).fill(0.1));
  const bars = page.figures.find((figure) => figure.kind === "bars");
  assert.ok(bars?.kind === "bars");
  // An epoch of celgc: 2 steps of 50 ms, one round of 10 ms among them, and nothing else.
  assert.deepEqual(bars.stacks.map(({ values }) => values[1]), [0.09, 0.01, 0]);
});

Deno.test("a run of 20,000 steps becomes a few hundred points that keep its extremes", async () => {
  await using folder = await temporaryFolder();
  const steps = Array.from({ length: 20_000 }, (_, i) => ({
    type: "step",
    ...position(i + 1, 100),
    loss: i === 12_345 ? 77 : i === 4_321 ? 0.001 : 2 + Math.sin(i),
    gradNorm: 1,
    clipped: false,
    stepMs: 1,
  }));
  const run = await writeRun(folder.path, "long", { algorithm: "single" }, steps);
  const { page } = reportData([await RunLog.open(run)]);
  const { series: [loss], note } = lines(page, "training-loss");
  assert.equal(loss.y.length, 200, "one point an epoch");
  assert.match(note, /each epoch/);
  assert.equal(Math.max(...loss.high!.map(Number)), 77);
  assert.equal(Math.min(...loss.low!.map(Number)), 0.001);
  loss.y.forEach((y, i) => assert.ok(loss.low![i]! <= y! && y! <= loss.high![i]!));
  assert.ok(JSON.stringify(page).length < 60_000);
});

Deno.test("a run that has only begun, or does not evaluate, is no error", async () => {
  await using folder = await temporaryFolder();
  const empty = await writeRun(folder.path, "empty", { algorithm: "celgc" }, []);
  assert.deepEqual(reportData([await RunLog.open(empty)]).page.figures, []);
  const one = { type: "step", ...position(1, 10), loss: 2, gradNorm: 1, clipped: true, stepMs: 1 };
  const begun = await writeRun(folder.path, "begun", { algorithm: "celgc" }, [one]);
  const { page, summaries } = reportData([await RunLog.open(begun), await RunLog.open(empty)]);
  assert.deepEqual(lines(page, "training-loss").series.map((s) => s.y), [[2]]);
  assert.equal(page.runs[0].state, "going");
  assert.equal(summaries[0].score, null);
});

Deno.test("a loss that was not finite leaves a gap", async () => {
  await using folder = await temporaryFolder();
  const steps = [2, NaN, 1].map((loss, i) => ({
    type: "step",
    ...position(i + 1, 4),
    loss,
    gradNorm: loss,
    clipped: false,
    stepMs: 1,
  }));
  const run = await writeRun(folder.path, "run", {}, steps);
  const { page } = reportData([await RunLog.open(run)]);
  assert.deepEqual(lines(page, "training-loss").series[0].y, [2, null, 1]);
});

Deno.test("a last bin that has hardly begun is no point of its own", async () => {
  await using folder = await temporaryFolder();
  const steps = (count: number) =>
    Array.from({ length: count }, (_, i) => ({
      type: "step",
      ...position(i + 1, 16),
      loss: 1,
      gradNorm: 1,
      clipped: i >= 8 * 16,
      stepMs: 1,
    }));
  const clipRate = async (count: number) => {
    const run = await writeRun(folder.path, `${count}`, {}, steps(count));
    const { page } = reportData([await RunLog.open(run)]);
    const [series] = lines(page, "clip-rate").series;
    return { y: series.y.at(-1), epoch: page.tracks[series.track].epoch.at(-1) };
  };
  // 2 of the last 18 steps clip; of 8 steps in the ninth epoch, all.
  assert.deepEqual(await clipRate(8 * 16 + 2), { y: 0.11111, epoch: 8.125 });
  assert.deepEqual(await clipRate(8 * 16 + 8), { y: 1, epoch: 8.5 });
});

Deno.test("points that lie together, as between two rounds, are drawn as their mean", async () => {
  const { page } = await knownReport();
  const [, celgc] = lines(page, "training-loss").series;
  const view = { axis: "round", logX: false, window: [1, 2], smooth: 0 } as const;
  // Round 1 is done after step 2, round 2 after step 4; the losses are 4/t, half of it and half more.
  assert.deepEqual(
    pointsOf(page, celgc, view).map(({ x, y, low, high }) => [x, y?.toFixed(3), low, high]),
    [[1, "1.667", 0.66667, 3], [2, "0.900", 0.4, 1.5]],
  );
});

Deno.test("each run of a sweep over seeds is compared with the baseline of its own seed", async () => {
  await using folder = await temporaryFolder();
  const logs: RunLog[] = [];
  for (const seed of [1, 2]) {
    for (
      const [algorithm, interval, stepMs] of [["celgc", 2, 50], ["naive-parallel", 1, 100 * seed]]
    ) {
      const known = { scale: 4, syncMs: 1, drift: 0, driftBound: null };
      const run = await writeRun(
        folder.path,
        `${algorithm}-${seed}`,
        { algorithm, interval, seed, ranks: 2 },
        knownLines({ ...known, interval: interval as number, stepMs: stepMs as number }),
      );
      logs.push(await RunLog.open(run));
    }
  }
  const { page, summaries } = reportData(logs);
  assert.deepEqual(page.runs.map(({ label, baseline }) => [label, baseline]), [
    ["naive-parallel seed=1", true],
    ["naive-parallel seed=2", true],
    ["celgc I=2 seed=1", false],
    ["celgc I=2 seed=2", false],
  ]);
  assert.deepEqual(summaries.map(({ speedup }) => +speedup.toFixed(6)), [NaN, NaN, 2, 4]);
});

Deno.test("where the averaged weights were measured on training data, that is the paper's figure", async () => {
  await using folder = await temporaryFolder();
  const evaluated = knownLines(KNOWN).flatMap((line) =>
    "accuracy" in line ? [line, { ...line, split: "train", loss: 0.25 }] : [line]
  );
  const measured = await writeRun(folder.path, "a", { algorithm: "celgc", interval: 2 }, evaluated);
  const other = await writeRun(
    folder.path,
    "b",
    { algorithm: "celgc", interval: 4 },
    knownLines(KNOWN),
  );
  const { page, summaries } = reportData([await RunLog.open(measured), await RunLog.open(other)]);
  const averaged = lines(page, "averaged-training-loss"), local = lines(page, "training-loss");
  assert.equal(page.figures[0].id, "averaged-training-loss");
  assert.deepEqual(averaged.series.map(({ run, y }) => [run, y]), [[0, [0.25, 0.25]]]);
  assert.match(averaged.source, /Paper/);
  assert.equal(local.source, "");
  assert.match(local.note, /^Of each rank's own weights/);
  assert.equal(local.series.length, 2);
  assert.equal(summaries[0].averagedTrainLoss, 0.25);
  assert.ok(Number.isNaN(summaries[1].averagedTrainLoss));
  assert.deepEqual(summaries[0].score, { kind: "accuracy", split: "", last: 0.8, best: 0.8 });
});
