import assert from "node:assert/strict";
import type { FigureView, LineFigure, PageData } from "../../../../tasks/report/page/data.ts";
import { lineOption } from "../../../../tasks/report/page/line_option.ts";

const VIEW: FigureView = {
  ...{ axis: "epoch", logX: false, logY: false, range: false, smooth: 0, hidden: [false] },
  ...{ forward: -1, timeline: 0, window: null, dark: false, width: 900, standalone: false },
};

/** The vertical axis of a loss at the beginning and at three points after it. */
function axisOf(y: readonly number[], view: Partial<FigureView> = {}) {
  const at = y.map((_, i) => 3 * i);
  const track = { epoch: at, seconds: at, iteration: at, round: at, bytes: at };
  const figure: LineFigure = {
    ...{ kind: "lines", id: "loss", title: "Loss", source: "", yName: "loss", format: "number" },
    ...{ log: false, fromZero: false, note: "", description: "" },
    series: [{ run: 0, name: "", style: "points", track: 0, y }],
  };
  const data: PageData = {
    runs: [{ label: "a", baseline: false, state: "finished", group: "a", options: {} }],
    axes: [{ key: "epoch", name: "Epochs", title: "epochs" }],
    tracks: [track],
    figures: [figure],
  };
  return lineOption(data, figure, { ...VIEW, ...view }).yAxis;
}

Deno.test("an untrained network's loss does not leave less than half of the axis to all others", () => {
  const { min, max, name, axisLabel } = axisOf([20, 1.7, 1.2, 0.9]);
  assert.ok(max > 1.7 && max < 1.8 && min > 0.8 && min < 0.9, `${min}, ${max}`);
  assert.equal(name, "loss (greater before the first step)");
  assert.deepEqual(axisLabel.customValues, [1, 1.2, 1.4, 1.6]);
  assert.match(axisOf([20, 1.7, 1.2], { axis: "bytes" }).name, /before the first round/);
  for (const plain of [axisOf([3, 1.7, 1.2]), axisOf([1.7, 1.2]), axisOf([20])]) {
    assert.deepEqual([plain.min, plain.max, plain.name], [undefined, undefined, "loss"]);
  }
  assert.ok(axisOf([20, 1.7, 1.2], { logY: true }).max > 20);
});
