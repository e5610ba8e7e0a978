import assert from "node:assert/strict";
import { barOption, barsHeight } from "../../../../tasks/report/page/bar_option.ts";
import { standaloneHeight } from "../../../../tasks/report/page/chart_option.ts";
import type { BarFigure, FigureView, PageData } from "../../../../tasks/report/page/data.ts";

const LONG = "celgc I=4 η=0.5 batchSize=4 epochs=3 testSize=20 trainSize=100";

const dataOf = (labels: readonly string[]): PageData => ({
  runs: labels.map((label) => ({
    ...{ label, baseline: false, state: "finished", group: label, options: {} },
  })),
  ...{ axes: [], tracks: [], figures: [] },
});
const viewOf = (labels: readonly string[], width: number, standalone = false) =>
  ({ width, standalone, dark: false, hidden: labels.map(() => false) }) as unknown as FigureView;

Deno.test("bars have room for their labels, however long these are and narrow the figure", () => {
  const heightOf = (labels: readonly string[], width: number) =>
    barsHeight(dataOf(labels), viewOf(labels, width));
  assert.equal(heightOf(["celgc I=4", "celgc I=16"], 600), 2 * 38);
  // 62 characters of 7 pixels are three lines of 192 pixels, and 4 of 120 or more.
  const [wide, narrow] = [600, 376].map((width) => heightOf([LONG, "single"], width) / 2);
  assert.ok(wide >= 3 * 14 && narrow >= 4 * 14 && narrow > wide, `${wide}, ${narrow}`);
  const labels = Array.from({ length: 12 }, (_, i) => `${LONG} seed=${i}`);
  const view = viewOf(labels, 960, true);
  const figure = { kind: "bars", stacks: [], yName: "", format: "seconds" } as unknown as BarFigure;
  assert.ok(standaloneHeight(dataOf(labels), figure, view, 540) > 540);
  const hidden = { ...view, hidden: labels.map((_, i) => i > 0) };
  assert.equal(standaloneHeight(dataOf(labels), figure, hidden, 540), 270);
  const { yAxis } = barOption(dataOf(labels), figure, hidden) as {
    yAxis: { data: string[]; axisLabel: { interval: number } };
  };
  assert.deepEqual([yAxis.data, yAxis.axisLabel.interval], [[`${LONG} seed=0`], 0]);
});
