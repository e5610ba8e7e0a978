import type { BarFigure, ChartOption, FigureView, PageData } from "./data.ts";
import { kindLegend, paletteOf, textSize, valueAxis } from "./style.ts";

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
        width: view.width * 0.32,
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
