import assert from "node:assert/strict";
import { readAddress, writeAddress } from "../../../../tasks/report/page/address.ts";
import { hasSeeds, mergeCurves, mergeSeeds } from "../../../../tasks/report/page/bands.ts";
import type { PageData, PageRun } from "../../../../tasks/report/page/data.ts";
import { figureCsv } from "../../../../tasks/report/page/downloads.ts";
import { pointsOf } from "../../../../tasks/report/page/points.ts";
import { matches } from "../../../../tasks/report/page/state.ts";

Deno.test("curves are merged where all of them are, straight between their points", () => {
  const merged = mergeCurves([{ x: [0, 2, 4], y: [0, 2, 4] }, { x: [1, 3, 5], y: [5, 5, 5] }]);
  assert.deepEqual(merged.x, [1, 2, 3, 4]);
  assert.deepEqual(merged.low, [1, 2, 3, 4]);
  assert.deepEqual(merged.high, [5, 5, 5, 5]);
  assert.deepEqual(merged.y, [3, 3.5, 4, 4.5]);
  const gap = mergeCurves([{ x: [0, 1, 2], y: [1, null, 3] }, { x: [0, 1, 2], y: [1, 4, 3] }]);
  assert.deepEqual([gap.y, gap.low], [[1, 3, 3], [1, 2, 3]]);
});

const run = (label: string, group: string, options = {}): PageRun => ({
  label,
  group,
  baseline: false,
  state: "finished",
  options,
});

const track = (epoch: number[]) => ({
  epoch,
  seconds: epoch.map((e) => 10 * e),
  iteration: epoch,
  round: epoch,
  bytes: epoch,
});

const DATA: PageData = {
  runs: [
    run("a seed=1", "a", { seed: "1" }),
    run("a seed=2", "a", { seed: "2" }),
    run("b seed=1", "b", { seed: "1" }),
  ],
  axes: [{ key: "epoch", name: "Epochs", title: "epochs" }, {
    key: "seconds",
    name: "Wall clock",
    title: "s",
  }],
  tracks: [track([1, 2]), track([1, 2]), track([1, 3])],
  figures: [{
    kind: "lines",
    id: "f",
    title: "F",
    source: "",
    yName: "loss",
    format: "number",
    log: false,
    fromZero: false,
    note: "",
    description: "",
    series: [[0, 4, 2], [1, 6, 4], [2, 9, 8]].map(([run, ...y]) => ({
      run,
      name: "",
      style: "line",
      track: run,
      y,
    })),
  }, {
    kind: "bars",
    id: "g",
    title: "G",
    source: "",
    yName: "time",
    format: "seconds",
    note: "",
    description: "",
    stacks: [{ name: "computing", values: [1, 3, 5] }],
  }],
};

const VIEW = {
  axis: "seconds",
  logX: false,
  logY: false,
  range: true,
  smooth: 0,
  hidden: [false, false],
  forward: -1,
  timeline: 0,
  window: null,
  dark: false,
  width: 900,
  standalone: false,
} as const;

Deno.test("runs that differ in their seeds alone become one, with a band", () => {
  assert.ok(hasSeeds(DATA));
  const merged = mergeSeeds(DATA, "seconds");
  assert.deepEqual(merged.runs.map(({ label }) => label), ["a (2 seeds)", "b seed=1"]);
  const [lines, bars] = merged.figures;
  assert.ok(lines.kind === "lines" && bars.kind === "bars");
  assert.deepEqual(pointsOf(merged, lines.series[0], VIEW), [
    { x: 10, y: 5, low: 4, high: 6 },
    { x: 20, y: 3, low: 2, high: 4 },
  ]);
  assert.deepEqual(pointsOf(merged, lines.series[1], VIEW).map(({ x, y }) => [x, y]), [[10, 9], [
    30,
    8,
  ]]);
  assert.deepEqual(bars.stacks[0].values, [2, 5]);
  assert.equal(
    figureCsv(merged, lines, VIEW),
    "run,curve,seconds,loss,least,greatest\na (2 seeds),F,10,5,4,6\na (2 seeds),F,20,3,2,4\nb seed=1,F,10,9,,\nb seed=1,F,30,8,,\n",
  );
});

Deno.test("of runs that are one only those count that are looked for", () => {
  const labels = (...found: boolean[]) =>
    mergeSeeds(DATA, "seconds", found).runs.map(({ label }) => label);
  assert.deepEqual(labels(true, false, true), ["a (1 of 2 seeds)", "b seed=1"]);
  assert.deepEqual(labels(false, false, false), ["a (2 seeds)", "b seed=1"]);
  const [lines] = mergeSeeds(DATA, "seconds", [false, true, true]).figures;
  assert.ok(lines.kind === "lines");
  assert.equal(lines.series[0].y, (DATA.figures[0] as typeof lines).series[1].y);
});

Deno.test("lines are smoothed over so many points on each side, fewer at the ends", () => {
  const data = { ...DATA, tracks: [track([1, 2, 3, 4, 5])] };
  const series = { run: 0, name: "", style: "line", track: 0, y: [1, 2, 9, 4, 5] } as const;
  const smooth = (reach: number) =>
    pointsOf(data, series, { ...VIEW, smooth: reach }).map(({ y }) => y);
  assert.deepEqual(smooth(0), [1, 2, 9, 4, 5]);
  assert.deepEqual(smooth(1), [1, 4, 5, 6, 5]);
  assert.deepEqual(smooth(9), [1, 4, 4.2, 6, 5]);
  const marked = pointsOf(data, { ...series, style: "points" }, { ...VIEW, smooth: 1 });
  assert.deepEqual(marked.map(({ y }) => y), [1, 2, 9, 4, 5]);
});

Deno.test("a view is kept in the address, and what is not understood there is left out", () => {
  const view = {
    axis: "seconds",
    logX: true,
    range: false,
    seeds: null,
    smooth: 4,
    hidden: ["a & b = 2", "ü#"],
    filter: "celgc -seed=2",
    logY: new Map([["drift", false], ["f", true]]),
    sort: -3,
    timeline: "a seed=1",
  } as const;
  assert.deepEqual(readAddress(writeAddress(view), DATA), view);
  const plain = readAddress("", DATA);
  assert.equal(writeAddress(plain), "#epoch");
  assert.deepEqual(readAddress("#nothing&smooth=-7&smooth=x&sort=NaN&%&hide=%E0%A4%A&=", DATA), {
    ...plain,
    hidden: ["%E0%A4%A"],
  });
});

Deno.test("a filter takes words of a label and options, and what must not be", () => {
  const one = run("celgc I=4 η=0.1 seed=2", "celgc I=4 η=0.1", {
    interval: "4",
    seed: "2",
    lr: "0.1",
  });
  for (const filter of ["", "CEL", "I=4", "interval=4 -seed=1", "lr=0.1 celgc"]) {
    assert.ok(matches(one, filter), filter);
  }
  for (const filter of ["naive", "interval=16", "-celgc", "celgc seed=1", "interval=4 -seed=2"]) {
    assert.ok(!matches(one, filter), filter);
  }
});
