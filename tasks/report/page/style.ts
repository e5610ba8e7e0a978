/**
 * How a report's figures look: colours, ticks, the writing of values.
 *
 * @module
 */

import type { ChartOption, FigureView, PageData, ValueFormat } from "./data.ts";

/** Colours of a view. Each run's hue is legible on the ground of either scheme. */
export function paletteOf(dark: boolean): {
  runs: string[];
  stacks: string[];
  busy: string[];
  text: string;
  quiet: string;
  line: string;
  ground: string;
} {
  return dark
    ? {
      runs: "#6ea8fe #ff9466 #46d3a0 #c49bff #f0c552 #4fd3ea #ff86bd #b0d862".split(" "),
      stacks: "#6ea8fe #ff9466 #5b6472".split(" "),
      busy: "#6ea8fe #f0c552 #ff9466".split(" "),
      text: "#e6e9ef",
      quiet: "#9aa4b2",
      line: "#2b323d",
      ground: "#161b22",
    }
    : {
      runs: "#2563eb #d9480f #0b8f62 #8b3fd9 #b7860b #0a8ba6 #d1307a #5c8f10".split(" "),
      stacks: "#2563eb #d9480f #c3cad5".split(" "),
      busy: "#2563eb #e3a008 #d9480f".split(" "),
      text: "#1b2430",
      quiet: "#5c6877",
      line: "#e3e7ed",
      ground: "#ffffff",
    };
}

/**
 * Colour, dashes and mark of a run: baselines in the colour of the text, dashes where hues run
 * out.
 */
export function runStyle(
  data: PageData,
  run: number,
  dark: boolean,
): { color: string; dash: string | number[]; symbol: string } {
  const palette = paletteOf(dark);
  const { baseline } = data.runs[run];
  const slot = data.runs.slice(0, run).filter((other) => other.baseline === baseline).length;
  const hues = baseline ? [palette.text] : palette.runs;
  const dashes = ["solid", [9, 4], [3, 3], [12, 4, 2, 4]];
  return {
    color: hues[slot % hues.length],
    dash: dashes[Math.floor(slot / hues.length) % dashes.length],
    symbol: ["circle", "triangle", "rect", "diamond"][slot % 4],
  };
}

/** A value as a figure writes it, in three or so digits. */
export function writeValue(value: number | null, format: ValueFormat): string {
  if (value === null || !Number.isFinite(value)) return "–";
  if (format === "percent") return `${+(value * 100).toPrecision(3)} %`;
  if (format === "seconds") {
    if (value < 100) return `${+value.toPrecision(3)} s`;
    if (value < 7200) return `${+(value / 60).toPrecision(3)} min`;
    return `${+(value / 3600).toPrecision(3)} h`;
  }
  const size = Math.abs(value);
  if (format === "bytes" || size >= 10000) {
    const units = format === "bytes"
      ? [" B", " kB", " MB", " GB", " TB"]
      : ["", "k", "M", "G", "T"];
    const step = Math.min(4, Math.max(0, Math.floor(Math.log10(Math.max(size, 1)) / 3 + 1e-9)));
    return `${+(value / 1000 ** step).toPrecision(3)}${units[step]}`;
  }
  if (size !== 0 && size < 0.001) return value.toExponential(1).replace("e-", "e−");
  return `${+value.toPrecision(size >= 1000 ? 4 : 3)}`;
}

/** Ticks of a logarithmic axis: 1, 2 and 5 of each decade as far as there is room for them. */
export function logTicks(low: number, high: number): number[] {
  const decades = Math.log10(high / low);
  const digits = decades < 0.7 ? [1, 1.5, 2, 3, 4, 5, 6, 8] : decades < 2.5 ? [1, 2, 5] : [1];
  const every = Math.max(1, Math.ceil(decades / 8));
  const ticks: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    if (power % every !== 0) continue;
    for (const digit of digits) {
      const tick = +(digit * 10 ** power).toPrecision(3);
      if (tick >= low && tick <= high) ticks.push(tick);
    }
  }
  // Within a factor of two or so no axis is read logarithmically.
  if (ticks.length < 3 && decades > 0 && decades < 1) return linearTicks(low, high, 4, false);
  return ticks;
}

/**
 * Ticks of a linear axis at round numbers, about `count` of them; of an axis of seconds at round
 * numbers of seconds, minutes, hours or days.
 */
export function linearTicks(low: number, high: number, count: number, time: boolean): number[] {
  const rough = (high - low) / count;
  const decade = 10 ** Math.floor(Math.log10(rough));
  const round = [1, 2, 2.5, 5, 10].map((digit) => digit * decade);
  const minute = 60, hour = 3600, day = 86400;
  const clock = [
    10,
    15,
    30,
    minute,
    120,
    300,
    600,
    900,
    1800,
    hour,
    2 * hour,
    3 * hour,
    6 * hour,
    12 * hour,
    day,
  ];
  const steps = time && rough > 5 ? clock : round;
  const step = steps.find((s) => s >= rough * 0.999) ?? day * Math.ceil(rough / day);
  const ticks: number[] = [];
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high + step * 1e-6; n++) {
    ticks.push(+(n * step).toPrecision(10));
  }
  return ticks;
}

/**
 * Least and greatest finite value, positive ones alone for a logarithmic axis; null if there is
 * none.
 */
export function extentOf(
  values: Iterable<number | null | undefined>,
  log: boolean,
): [number, number] | null {
  let low = Infinity, high = -Infinity;
  for (const value of values) {
    if (value === null || value === undefined || !Number.isFinite(value) || (log && value <= 0)) {
      continue;
    }
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low > high ? null : [low, high];
}

/** What a legend shows of a curve without marks: a piece of it. */
export function legendIcon(dashed: boolean): string {
  return dashed ? "path://M0,0h9v3h-9zM15,0h9v3h-9z" : "path://M0,0h24v3h-24z";
}

/** Rows that a legend with these entries takes on an image. */
export function legendRows(entries: readonly string[], width: number): number {
  let rows = 1, used = 0;
  for (const entry of entries) {
    const size = entry.length * 8 + 54;
    if (used > 0 && used + size > width - 28) {
      rows++;
      used = 0;
    }
    used += size;
  }
  return rows;
}

/** Height of a figure's small text: larger on an image. */
export function textSize({ standalone }: FigureView): number {
  return standalone ? 14 : 12;
}

/** The legend of a figure whose colours are kinds of something, not runs. */
export function kindLegend(view: FigureView): ChartOption {
  const { standalone, dark } = view, { text, quiet } = paletteOf(dark);
  return {
    left: standalone ? 14 : "auto",
    right: standalone ? undefined : 8,
    top: standalone ? 46 : 0,
    itemWidth: 12,
    itemHeight: 12,
    itemGap: standalone ? 18 : 10,
    textStyle: { color: standalone ? text : quiet, fontSize: textSize(view) },
  };
}

/** The horizontal axis of such a figure, from 0, with its name below. */
export function valueAxis(
  view: FigureView,
  name: string,
  format: ValueFormat,
  most: number,
): ChartOption {
  const small = { color: paletteOf(view.dark).quiet, fontSize: textSize(view) };
  const count = Math.max(2, Math.floor(view.width / 100));
  const ticks = most > 0 ? linearTicks(0, most, count, format === "seconds") : undefined;
  return {
    type: "value",
    name,
    min: 0,
    splitLine: { customValues: ticks, lineStyle: { color: paletteOf(view.dark).line } },
    axisTick: { customValues: ticks },
    nameLocation: "middle",
    nameGap: 28,
    nameTextStyle: small,
    axisLabel: {
      ...small,
      hideOverlap: true,
      customValues: ticks,
      formatter: (v: number) => writeValue(v, format),
    },
  };
}
