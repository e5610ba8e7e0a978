/**
 * Curves as the chart library's option object: series, axes, legend.
 *
 * @module
 */

import type {
  ChartOption,
  FigureView,
  LineFigure,
  PageData,
  PageSeries,
  ValueFormat,
} from "./data.ts";
import type { AxisKey } from "../../logs/series.ts";
import { type ChartPoint, pointsOf } from "./points.ts";
import {
  extentOf,
  legendIcon,
  linearTicks,
  logTicks,
  paletteOf,
  runStyle,
  writeValue,
} from "./style.ts";

/** A curve that is shown, and its points. */
interface ShownCurve {
  readonly series: PageSeries;
  readonly points: readonly ChartPoint[];
  /** Whether the range of its bins is drawn around it. */
  readonly ranged: boolean;
}

/** Marks on a line of more points than this hide the line. */
const MARKED_POINTS = 50;

/** Curves over the view's axis. */
export function lineOption(data: PageData, figure: LineFigure, view: FigureView): ChartOption {
  const curves = figure.series
    .filter((series) => !view.hidden[series.run])
    .map((series): ShownCurve => ({
      series,
      points: pointsOf(data, series, view),
      ranged: view.range && !!series.low && !!series.high && series.style !== "bound",
    }));
  const series = curves.flatMap((curve, index) => curveOptions(data, curve, index, view));
  const marked = series.some((s) => s.showSymbol);
  return {
    legend: view.standalone ? legendOption(data, curves, view, marked) : { show: false },
    xAxis: xAxisOption(data, curves, view),
    yAxis: yAxisOption(figure, curves, view),
    series,
  };
}

/** A value that the vertical axis can show. */
function shownValue(value: number | null, { logY }: FigureView): number | null {
  return value === null || (logY && value <= 0) ? null : value;
}

/** A curve's line, with the band of its range behind it where that is shown. */
function curveOptions(
  data: PageData,
  { series, points, ranged }: ShownCurve,
  index: number,
  view: FigureView,
): ChartOption[] {
  const style = runStyle(data, series.run, view.dark);
  const bound = series.style === "bound", forward = view.forward === series.run;
  const dim = view.forward >= 0 && !forward;
  const line = {
    type: "line",
    name: data.runs[series.run].label,
    z: forward ? 4 : data.runs[series.run].baseline ? 3 : 2,
    data: points.map(({ x, y }) => [x, shownValue(y, view)]),
    // A log that has one point so far would otherwise show nothing.
    showSymbol: points.length === 1 ||
      (series.style === "points" && points.length <= MARKED_POINTS),
    symbol: style.symbol,
    symbolSize: 6,
    color: style.color,
    lineStyle: {
      width: bound ? 1.5 : forward ? 3 : 2,
      type: bound ? [4, 4] : style.dash,
      opacity: dim ? 0.15 : bound ? 0.75 : 1,
    },
    itemStyle: { opacity: dim ? 0.15 : 1 },
    emphasis: { disabled: true },
  };
  if (!ranged) return [line];
  // The chart library stacks a band on an invisible line.
  const edge = {
    ...line,
    showSymbol: false,
    z: 1,
    silent: true,
    stack: `range ${index}`,
    stackStrategy: "all",
    lineStyle: { opacity: 0 },
    tooltip: { show: false },
  };
  const low = points.map((p) => [p.x, shownValue(p.low, view)]);
  const band = points.map((p) => {
    const bottom = shownValue(p.low, view);
    return [p.x, bottom === null || p.high === null ? null : p.high - bottom];
  });
  return [
    { ...edge, data: low },
    { ...edge, data: band, areaStyle: { color: style.color, opacity: dim ? 0.03 : 0.16 } },
    line,
  ];
}

/** What both axes have in common. */
function axisOption(view: FigureView): ChartOption {
  const palette = paletteOf(view.dark);
  return {
    axisLine: { show: true, lineStyle: { color: palette.quiet } },
    splitLine: { show: true, lineStyle: { color: palette.line } },
    minorTick: { show: false },
    minorSplitLine: { show: false },
    nameTextStyle: { color: palette.quiet, fontSize: view.standalone ? 15 : 12 },
  };
}

/** The numbers along an axis. */
function tickLabels(format: ValueFormat, ticks: number[] | null | undefined, view: FigureView) {
  return {
    color: paletteOf(view.dark).quiet,
    fontSize: view.standalone ? 14 : 12,
    hideOverlap: true,
    formatter: (v: number) => writeValue(v, format),
    customValues: ticks ?? undefined,
  };
}

function xAxisOption(
  data: PageData,
  curves: readonly ShownCurve[],
  view: FigureView,
): ChartOption {
  const axis = data.axes.find((a) => a.key === view.axis) ?? data.axes[0];
  const [least, most] = extentOf(
    curves.flatMap(({ points }) => points.map((p) => p.x)),
    view.logX,
  ) ?? [0, 1];
  const format = axis.key === "seconds" ? "seconds" : axis.key === "bytes" ? "bytes" : "number";
  const roomy = Math.max(3, Math.floor(view.width / 90));
  const low = view.logX || view.window ? least : 0;
  const ticks = view.logX
    ? logTicks(least, most)
    : linearTicks(low, most, roomy, axis.key === "seconds");
  return {
    ...axisOption(view),
    type: view.logX ? "log" : "value",
    name: axis.title,
    nameLocation: "middle",
    nameGap: view.standalone ? 30 : 26,
    min: low,
    max: most > least ? most : undefined,
    splitLine: { show: false },
    axisTick: {
      show: true,
      lineStyle: { color: paletteOf(view.dark).quiet },
      customValues: ticks,
    },
    axisLabel: tickLabels(format, ticks, view),
  };
}

/** The values of some curves, of which some points may be left out. */
function extentOfCurves(
  curves: readonly ShownCurve[],
  { logY }: FigureView,
  counts: (point: ChartPoint) => boolean = () => true,
): [number, number] | null {
  const values = curves.flatMap(({ points, ranged }) =>
    points.filter(counts).flatMap(({ y, low, high }) => ranged ? [y, low, high] : [y])
  );
  return extentOf(values, logY);
}

/**
 * The ends of a linear axis if they are not those of all values: what is at the beginning, as an untrained network's
 * loss, must not leave less than half of it to all that follows. Null if it does not.
 */
function endsOfRest(curves: readonly ShownCurve[], view: FigureView): [number, number] | null {
  const all = extentOfCurves(curves, view), rest = extentOfCurves(curves, view, ({ x }) => x > 0);
  if (view.logY || !all || !rest || !(rest[1] < all[1] / 2)) return null;
  const margin = (rest[1] - rest[0]) * 0.05;
  return [Math.max(0, rest[0] - margin), rest[1] + margin];
}

/** Where what lies beyond such an axis is. */
const beginningOf = (axis: AxisKey) =>
  axis === "round" || axis === "bytes" ? "before the first round" : "before the first step";

function yAxisOption(
  figure: LineFigure,
  curves: readonly ShownCurve[],
  view: FigureView,
): ChartOption {
  const extent = extentOfCurves(curves, view), rest = endsOfRest(curves, view);
  const logarithmic = view.logY && extent ? extent : null;
  const margin = logarithmic ? Math.max(1.05, (logarithmic[1] / logarithmic[0]) ** 0.04) : 1;
  const low = logarithmic ? logarithmic[0] / margin : rest?.[0];
  const high = logarithmic ? logarithmic[1] * margin : rest?.[1];
  const ticks = logarithmic ? logTicks(low!, high!) : rest && linearTicks(...rest, 5, false);
  const common = axisOption(view);
  return {
    ...common,
    type: logarithmic ? "log" : "value",
    name: rest === null ? figure.yName : `${figure.yName} (greater ${beginningOf(view.axis)})`,
    nameLocation: "end",
    nameGap: 10,
    nameTextStyle: { ...common.nameTextStyle, align: "left" },
    min: low,
    max: high,
    scale: !figure.fromZero,
    splitNumber: 5,
    axisLine: { show: false },
    axisTick: { show: false, customValues: ticks ?? undefined },
    axisLabel: tickLabels(figure.format, ticks, view),
  };
}

/** A legend with an entry for each run that has a curve. */
function legendOption(
  data: PageData,
  curves: readonly ShownCurve[],
  view: FigureView,
  marked: boolean,
): ChartOption {
  return {
    type: "plain",
    left: 14,
    right: 14,
    top: 46,
    itemGap: 18,
    textStyle: { color: paletteOf(view.dark).text, fontSize: 15 },
    itemWidth: 24,
    itemHeight: marked ? 12 : 3,
    data: [...new Set(curves.map(({ series }) => series.run))].map((run) => ({
      name: data.runs[run].label,
      icon: marked ? undefined : legendIcon(runStyle(data, run, view.dark).dash !== "solid"),
    })),
  };
}
