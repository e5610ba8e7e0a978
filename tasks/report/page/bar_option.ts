import type { BarFigure, ChartOption, FigureView, PageData } from "./data.ts";
import { paletteOf, writeValue } from "./style.ts";

/** One stacked bar for each run. */
export function barOption(data: PageData, figure: BarFigure, view: FigureView): ChartOption {
  const palette = paletteOf(view.dark);
  const runs = data.runs.map((_, run) => run).filter((run) => !view.hidden[run]);
  const size = view.standalone ? 14 : 12;
  return {
    legend: {
      left: view.standalone ? 14 : "auto",
      right: view.standalone ? undefined : 8,
      top: view.standalone ? 46 : 0,
      itemWidth: 12,
      itemHeight: 12,
      itemGap: view.standalone ? 18 : 10,
      textStyle: { color: view.standalone ? palette.text : palette.quiet, fontSize: size },
    },
    yAxis: {
      type: "category",
      inverse: true,
      data: runs.map((run) => data.runs[run].label),
      axisLine: { lineStyle: { color: palette.quiet } },
      axisTick: { show: false },
      axisLabel: {
        color: palette.text,
        fontSize: size,
        width: view.width * 0.32,
        overflow: "truncate",
      },
    },
    xAxis: {
      type: "value",
      name: figure.yName,
      nameLocation: "middle",
      nameGap: 28,
      nameTextStyle: { color: palette.quiet, fontSize: size },
      splitNumber: Math.max(2, Math.floor(view.width / 140)),
      splitLine: { lineStyle: { color: palette.line } },
      axisLabel: {
        color: palette.quiet,
        fontSize: size,
        hideOverlap: true,
        formatter: (v: number) => writeValue(v, figure.format),
      },
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
