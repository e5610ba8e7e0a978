import type { ChartOption, FigureView, TimelineFigure } from "./data.ts";
import { kindLegend, paletteOf, textSize, valueAxis } from "./style.ts";

/** Height of a row, of the room it has. */
const HEIGHT = 0.84;

/** A row for each rank, in which each piece of time is filled with what the rank did in it. */
export function timelineOption(figure: TimelineFigure, view: FigureView): ChartOption {
  const palette = paletteOf(view.dark);
  const timeline = figure.runs[view.timeline];
  const colours = [...palette.busy, palette.stacks[2]];
  const rows = timeline?.rows ?? [], bins = rows[0]?.shares[0].length ?? 1;
  const width = (timeline?.seconds ?? 1) / bins;
  /** Where a row begins, from the bottom: rank 0 is on top. */
  const bottom = (row: number) => rows.length - 1 - row;
  const points = (values: readonly number[]) =>
    [...values, values.at(-1)].map((value, bin) => [bin * width, value]);
  return {
    legend: {
      ...kindLegend(view),
      data: figure.kinds.map((name) => ({ name, icon: "roundRect" })),
    },
    xAxis: {
      ...valueAxis(
        view,
        timeline === null ? "no timeline of this run" : `wall clock of ${timeline.label}`,
        figure.format,
        timeline?.seconds ?? 0,
      ),
      max: timeline?.seconds ?? 1,
      splitLine: { show: false },
    },
    yAxis: {
      type: "value",
      min: 0,
      max: Math.max(1, rows.length),
      splitLine: { show: false },
      axisTick: { show: false },
      axisLine: { show: true, lineStyle: { color: palette.quiet } },
      axisLabel: {
        color: palette.text,
        fontSize: textSize(view),
        customValues: rows.map((_, row) => bottom(row) + HEIGHT / 2),
        formatter: (v: number) => `rank ${rows[rows.length - 1 - Math.floor(v)]?.rank ?? ""}`,
      },
    },
    // Areas on each other, the lowest without a colour.
    series: rows.flatMap(({ rank, shares }, row) => {
      const rest = shares[0].map((_, bin) =>
        Math.max(0, 100 - shares.reduce((sum, share) => sum + share[bin], 0))
      );
      const area = {
        type: "line",
        stack: `rank ${rank}`,
        step: "end",
        showSymbol: false,
        silent: true,
        lineStyle: { opacity: 0 },
        emphasis: { disabled: true },
      };
      return [
        { ...area, name: "", data: points(rest.map(() => bottom(row))) },
        ...[...shares, rest].map((share, kind) => ({
          ...area,
          name: figure.kinds[kind],
          color: colours[kind],
          areaStyle: { color: colours[kind], opacity: 1 },
          data: points(share.map((percent) => HEIGHT * percent / 100)),
        })),
      ];
    }),
  };
}
