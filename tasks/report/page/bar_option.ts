import type { BarFigure, ChartOption, FigureView, PageData } from "./data.ts";
import { kindLegend, paletteOf, textSize, valueAxis } from "./style.ts";

/** Share of the width that labels take. */
const LABELS = 0.32;

/** Pixels that the bars take from top to bottom, each beside its whole label. */
export function barsHeight({ runs }: PageData, view: FigureView): number {
  const shown = runs.filter((_, run) => !view.hidden[run]), size = textSize(view);
  // A character is about 0.6 of the text's size, and words leave some of each line.
  const lines = shown.map(({ label }) =>
    Math.ceil(0.7 * size * label.length / (LABELS * view.width))
  );
  return Math.max(1, shown.length) * Math.max(38, Math.max(1, ...lines) * (size + 2) + 10);
}

/** One stacked bar for each run. */
export function barOption(data: PageData, figure: BarFigure, view: FigureView): ChartOption {
  const palette = paletteOf(view.dark);
  const runs = data.runs.map((_, run) => run).filter((run) => !view.hidden[run]);
  const most = Math.max(
    0,
    ...runs.map((run) => figure.stacks.reduce((sum, { values }) => sum + (values[run] ?? 0), 0)),
  );
  return {
    legend: kindLegend(view),
    yAxis: {
      type: "category",
      inverse: true,
      data: runs.map((run) => data.runs[run].label),
      axisLine: { lineStyle: { color: palette.quiet } },
      axisTick: { show: false },
      axisLabel: {
        color: palette.text,
        fontSize: textSize(view),
        interval: 0,
        width: view.width * LABELS,
        // What tells runs apart may stand at the end of their labels.
        overflow: "break",
        lineHeight: textSize(view) + 2,
      },
    },
    xAxis: {
      ...valueAxis(view, figure.yName, figure.format, most),
    },
    series: figure.stacks.map((stack, index) => ({
      type: "bar",
      stack: "all",
      name: stack.name,
      color: palette.stacks[index],
      barMaxWidth: 26,
      data: runs.map((run) => stack.values[run]),
      emphasis: { disabled: true },
    })),
  };
}
