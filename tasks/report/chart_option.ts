/**
 * From a figure and a view of it to the chart library's option object.
 *
 * The same functions draw on the page and on the images: the page holds their compiled text
 * (`Function.prototype.toString`). So each is self-contained but for the others, and none reads a
 * constant of a module.
 *
 * @module
 */

import { pointsOf } from "./chart_points.ts";
import {
  extentOf,
  legendIcon,
  legendRows,
  linearTicks,
  logTicks,
  paletteOf,
  runStyle,
  writeValue,
} from "./chart_style.ts";
import type {
  BarFigure,
  FigureView,
  LineFigure,
  PageData,
  PageFigure,
  ValueFormat,
} from "./page_data.ts";

/** An option object of ECharts; the library checks it. */
// deno-lint-ignore no-explicit-any
export type ChartOption = Record<string, any>;

/** The option object of a figure. */
export function chartOption(data: PageData, figure: PageFigure, view: FigureView): ChartOption {
  const palette = paletteOf(view.dark);
  const body = figure.kind === "bars"
    ? barOption(data, figure, view)
    : lineOption(data, figure, view);
  const small = view.width < 520;
  const entries = figure.kind === "bars"
    ? figure.stacks.map((stack) => stack.name)
    : data.runs.filter((_, run) => !view.hidden[run]).map((run) => run.label);
  const title = view.standalone
    ? {
      text: figure.title,
      left: 16,
      top: 12,
      textStyle: { color: palette.text, fontSize: 20, fontWeight: 600 },
    }
    : undefined;
  return {
    animation: false,
    backgroundColor: view.standalone ? palette.ground : "transparent",
    textStyle: {
      fontFamily:
        "Inter, system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif",
    },
    title,
    grid: {
      left: small ? 8 : 12,
      right: view.standalone ? 28 : small ? 12 : 18,
      top: view.standalone ? 62 + 27 * legendRows(entries, view.width) : 26,
      bottom: 8,
      outerBoundsMode: "same",
      outerBoundsContain: "all",
    },
    ...body,
  };
}

/** Curves over the view's axis. */
export function lineOption(data: PageData, figure: LineFigure, view: FigureView): ChartOption {
  const palette = paletteOf(view.dark);
  const axis = data.axes.find((a) => a.key === view.axis) ?? data.axes[0];
  const shown = figure.series.filter((s) => !view.hidden[s.run]);
  const points = shown.map((s) => pointsOf(data, s, view));
  const xs = extentOf(points.flatMap((list) => list.map((p) => p.x)), view.logX) ?? [0, 1];
  const withRange = (s: typeof shown[number]) =>
    view.range && s.low && s.high && s.style !== "bound";
  const ys = extentOf(
    shown.flatMap((s, i) =>
      points[i].flatMap(({ y, low, high }) => withRange(s) ? [y, low, high] : [y])
    ),
    view.logY,
  );
  const value = (v: number | null) => v === null || (view.logY && v <= 0) ? null : v;
  const series = shown.flatMap((s, i) => {
    const style = runStyle(data, s.run, view.dark);
    const dim = view.forward >= 0 && view.forward !== s.run;
    // A log that has one point so far would otherwise show nothing.
    const showSymbol = points[i].length === 1 || (s.style === "points" && points[i].length <= 50);
    const line = {
      type: "line",
      name: data.runs[s.run].label,
      z: view.forward === s.run ? 4 : data.runs[s.run].baseline ? 3 : 2,
      data: points[i].map(({ x, y }) => [x, value(y)]),
      showSymbol,
      symbol: style.symbol,
      symbolSize: 6,
      color: style.color,
      lineStyle: {
        width: s.style === "bound" ? 1.5 : view.forward === s.run ? 3 : 2,
        type: s.style === "bound" ? [4, 4] : style.dash,
        opacity: dim ? 0.15 : s.style === "bound" ? 0.75 : 1,
      },
      itemStyle: { opacity: dim ? 0.15 : 1 },
      emphasis: { disabled: true },
    };
    if (!withRange(s)) return [line];
    const edge = {
      ...line,
      showSymbol: false,
      z: 1,
      silent: true,
      stack: `range ${i}`,
      stackStrategy: "all",
      lineStyle: { opacity: 0 },
      tooltip: { show: false },
    };
    const low = points[i].map((p) => [p.x, value(p.low)]);
    const band = points[i].map((p) => {
      const bottom = value(p.low);
      return [p.x, bottom === null || p.high === null ? null : p.high - bottom];
    });
    return [
      { ...edge, data: low },
      { ...edge, data: band, areaStyle: { color: style.color, opacity: dim ? 0.03 : 0.16 } },
      line,
    ];
  });
  const marked = series.some((s) => s.showSymbol);
  const common = {
    axisLine: { show: true, lineStyle: { color: palette.quiet } },
    splitLine: { show: true, lineStyle: { color: palette.line } },
    minorTick: { show: false },
    minorSplitLine: { show: false },
    nameTextStyle: { color: palette.quiet, fontSize: view.standalone ? 15 : 12 },
  };
  const label = { color: palette.quiet, fontSize: view.standalone ? 14 : 12, hideOverlap: true };
  const write = (format: ValueFormat, custom?: number[]) => ({
    ...label,
    formatter: (v: number) => writeValue(v, format),
    customValues: custom,
  });
  const xFormat = axis.key === "seconds" ? "seconds" : axis.key === "bytes" ? "bytes" : "number";
  const roomy = Math.max(3, Math.floor(view.width / 90));
  const xLow = view.logX || view.window ? xs[0] : 0;
  const xTicks = view.logX
    ? logTicks(xs[0], xs[1])
    : linearTicks(xLow, xs[1], roomy, axis.key === "seconds");
  const margin = ys && view.logY ? Math.max(1.05, (ys[1] / ys[0]) ** 0.04) : 1;
  const yLow = ys && view.logY ? ys[0] / margin : undefined;
  const yHigh = ys && view.logY ? ys[1] * margin : undefined;
  const yTicks = yLow && yHigh ? logTicks(yLow, yHigh) : undefined;
  return {
    legend: view.standalone
      ? {
        type: "plain",
        left: 14,
        right: 14,
        top: 46,
        itemGap: 18,
        textStyle: { color: palette.text, fontSize: 15 },
        itemWidth: 24,
        itemHeight: marked ? 12 : 3,
        data: [...new Set(shown.map((s) => s.run))].map((run) => ({
          name: data.runs[run].label,
          icon: marked ? undefined : legendIcon(runStyle(data, run, view.dark).dash !== "solid"),
        })),
      }
      : { show: false },
    xAxis: {
      ...common,
      type: view.logX ? "log" : "value",
      name: axis.title,
      nameLocation: "middle",
      nameGap: view.standalone ? 30 : 26,
      min: xLow,
      max: xs[1] > xs[0] ? xs[1] : undefined,
      splitLine: { show: false },
      axisTick: { show: true, lineStyle: { color: palette.quiet }, customValues: xTicks },
      axisLabel: write(xFormat, xTicks),
    },
    yAxis: {
      ...common,
      type: view.logY && ys ? "log" : "value",
      name: figure.yName,
      nameLocation: "end",
      nameGap: 10,
      nameTextStyle: { ...common.nameTextStyle, align: "left" },
      min: yLow,
      max: yHigh,
      scale: !figure.fromZero,
      splitNumber: 5,
      axisLine: { show: false },
      axisTick: { show: false, customValues: yTicks },
      axisLabel: write(figure.format, yTicks),
    },
    series,
  };
}

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

/** Everything above, for the page to carry along. */
export const CHART_FUNCTIONS: readonly CallableFunction[] = [
  pointsOf,
  chartOption,
  lineOption,
  barOption,
];
