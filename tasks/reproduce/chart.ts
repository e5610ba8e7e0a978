/**
 * Pictures of lines with bands, as SVG that a person can read: one path a line, one a band, colours in a style sheet for
 * light and for dark.
 *
 * @module
 */

import { escape } from "../report/escape.ts";
import type { ValueFormat } from "../report/page/data.ts";
import { extentOf, linearTicks, logTicks, paletteOf, writeValue } from "../report/page/style.ts";

/** A point of a drawn line. */
export interface ChartPoint {
  readonly x: number;
  readonly y: number;
  readonly low: number;
  readonly high: number;
}

/** A line. */
export interface ChartLine {
  /** Which of the figure's colours it has: the index of its label. */
  readonly colour: number;
  readonly dashed: boolean;
  readonly points: readonly ChartPoint[];
}

/** An axis. */
export interface ChartAxis {
  readonly title: string;
  readonly format: ValueFormat;
  readonly log: boolean;
  /** What the axis has room for beside this picture's own values, so that pictures can be compared. */
  readonly room?: readonly number[];
}

/** One picture. */
export interface ChartPanel {
  readonly x: ChartAxis;
  readonly y: ChartAxis;
  readonly lines: readonly ChartLine[];
}

/** A file of pictures. */
export interface Chart {
  readonly title: string;
  /** For those who cannot see it. */
  readonly description: string;
  /** Stands behind the labels, such as what is lacking; "" for nothing. */
  readonly note: string;
  /** Labels of the lines; `baseline` ones are in the colour of the text. Those without a point are not shown. */
  readonly labels: readonly { readonly text: string; readonly baseline: boolean }[];
  readonly panels: readonly ChartPanel[];
}

const PANEL = { width: 440, height: 290, left: 62, right: 14, top: 34, bottom: 46 };
const LEGEND_ROW = 20;

/** Most points of a line of which each has its mark; of more, the last has. */
const MARKED_POINTS = 8;

/** The marks, by which lines can be told apart without their colours, around the origin. */
const MARKS = [
  "M-2.8 0a2.8 2.8 0 1 0 5.6 0a2.8 2.8 0 1 0-5.6 0z",
  "M0-3.6L3.4 2.4H-3.4z",
  "M-2.5-2.5h5v5h-5z",
  "M0-3.6L3.6 0L0 3.6L-3.6 0z",
  "M0 3.6L3.4-2.4H-3.4z",
  "M-1-3.4h2v2.4h2.4v2h-2.4v2.4h-2v-2.4h-2.4v-2h2.4z",
  "M-3.6-1.2h7.2v2.4h-7.2z",
  "M-1.2-3.6h2.4v7.2h-2.4z",
];

function markAt(colour: number, x: number, y: number): string {
  return `<path class="mark c${colour}" transform="translate(${place(x)} ${place(y)})" d="${
    MARKS[colour % MARKS.length]
  }"/>`;
}

/** The whole file. */
export function chartSvg(chart: Chart): string {
  const columns = Math.min(2, chart.panels.length), width = columns * PANEL.width;
  const { rows, height: legend } = legendOf(chart, width);
  const height = legend + PANEL.height * Math.ceil(chart.panels.length / columns);
  const panels = chart.panels.map((panel, index) => {
    const x = PANEL.width * (index % columns);
    const y = legend + PANEL.height * Math.floor(index / columns);
    return `<g transform="translate(${x} ${y})">\n${panelOf(panel)}</g>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="title desc">
<title id="title">${escape(chart.title)}</title>
<desc id="desc">${escape(chart.description)}</desc>
<style>
${styleOf(chart, false)}
@media (prefers-color-scheme: dark) {
${styleOf(chart, true)}
}
</style>
<rect class="ground" width="${width}" height="${height}"/>
${rows}
${panels.join("\n")}
</svg>
`;
}

/** Colours of the lines, in the order of the labels. */
function coloursOf({ labels }: Chart, dark: boolean): string[] {
  const palette = paletteOf(dark);
  let hue = 0, plain = 0;
  return labels.map(({ baseline }) =>
    baseline
      ? [palette.text, palette.quiet][plain++ % 2]
      : palette.runs[hue++ % palette.runs.length]
  );
}

function styleOf(chart: Chart, dark: boolean): string {
  const { ground, text, quiet, line } = paletteOf(dark);
  const colours = coloursOf(chart, dark).map((colour, i) =>
    `.line.c${i} { stroke: ${colour}; } .band.c${i}, .mark.c${i} { fill: ${colour}; }`
  );
  return [
    ".ground { fill: " + ground + "; }",
    `text { fill: ${quiet}; font: 12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }`,
    `.label, .name { fill: ${text}; }`,
    ".name { font-weight: 600; }",
    `.grid { stroke: ${line}; }`,
    `.axis { stroke: ${quiet}; }`,
    ".line { fill: none; stroke-width: 1.8; stroke-linejoin: round; }",
    ".dashed { stroke-dasharray: 5 4; stroke-width: 1.2; }",
    ".band { opacity: 0.16; }",
    ...colours,
  ].join("\n");
}

function legendOf(chart: Chart, width: number): { rows: string; height: number } {
  let x = 14, y = 0;
  const move = (size: number) => {
    if (x > 14 && x + size > width) {
      x = 14;
      y += LEGEND_ROW;
    }
    x += size;
    return x - size;
  };
  const drawn = chart.panels.flatMap((panel) => shownOf(panel).filter(hasPoints));
  const entries = chart.labels.flatMap(({ text }, i) => {
    if (!drawn.some(({ colour }) => colour === i)) return [];
    const left = move(40 + 7 * text.length);
    return `<path class="line c${i}" d="M${left} ${y + 18}h22"/>${markAt(i, left + 11, y + 18)}` +
      `<text class="label" x="${left + 28}" y="${y + 22}">${escape(text)}</text>`;
  });
  if (chart.note !== "") {
    const left = move(20 + 7 * chart.note.length);
    entries.push(`<text x="${left}" y="${y + 22}">${escape(chart.note)}</text>`);
  }
  return { rows: entries.join("\n"), height: y + LEGEND_ROW + 14 };
}

/** From values of an axis to places, and where its numbers stand. */
interface Scale {
  readonly at: (value: number) => number;
  readonly ticks: readonly number[];
}

function scaleOf(
  { log, format }: ChartAxis,
  values: readonly number[],
  [from, to]: readonly [number, number],
  count: number,
  fromZero: boolean,
): Scale | null {
  const extent = extentOf(values, log);
  if (extent === null) return null;
  let [low, high] = extent;
  if (fromZero && !log && low > 0) low = 0;
  if (low === high) {
    low = log ? low / 2 : low - 0.5;
    high = log ? high * 2 : high + 0.5;
  }
  if (!fromZero) {
    const margin = log ? (high / low) ** 0.05 : (high - low) * 0.05;
    [low, high] = log
      ? [low / margin, high * margin]
      : [low < 0 ? low - margin : Math.max(0, low - margin), high + margin];
  }
  const position = (value: number) =>
    log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
  return {
    at: (value) => from + (to - from) * position(value),
    ticks: log ? logTicks(low, high) : linearTicks(low, high, count, format === "seconds"),
  };
}

const place = (value: number) => String(Math.round(value * 10) / 10);

/** The lines with those points that the axes can show. */
function shownOf({ x, y, lines }: ChartPanel): ChartLine[] {
  return lines.map((line) => ({
    ...line,
    points: line.points.filter((p) =>
      Number.isFinite(p.y) && (!x.log || p.x > 0) && (!y.log || p.low > 0)
    ),
  }));
}

const hasPoints = ({ points }: ChartLine) => points.length > 0;

/** Where the numbers of both axes lie in a picture. */
interface Scales {
  readonly across: Scale;
  readonly up: Scale;
}

/** The scales of a picture's own points, with the room that it is to have; null where there is none. */
function scalesOf({ x, y }: ChartPanel, points: readonly ChartPoint[]): Scales | null {
  const { width, height, left, right, top, bottom } = PANEL;
  if (points.length === 0) return null;
  const heights = points.flatMap((p) => [p.y, p.low, p.high]);
  const across = scaleOf(x, points.map((p) => p.x), [left, width - right], 5, true);
  const up = scaleOf(y, [...heights, ...y.room ?? []], [height - bottom, top], 5, false);
  return across && up && { across, up };
}

function panelOf(panel: ChartPanel): string {
  const { width, height, left, right, bottom } = PANEL;
  const { x, y } = panel, shown = shownOf(panel).filter(hasPoints);
  const scales = scalesOf(panel, shown.flatMap(({ points }) => points));
  const name = `<text class="name" x="${left}" y="20">${escape(y.title)}</text>`;
  if (scales === null) {
    return `${name}\n<text x="${left}" y="${height / 2}">no run has it yet</text>\n`;
  }
  return [
    name,
    ...rowsOf(y, scales.up),
    `<path class="axis" d="M${left} ${height - bottom}H${width - right}"/>`,
    ...columnsOf(x, scales.across),
    `<text x="${(left + width - right) / 2}" y="${height - 10}" text-anchor="middle">${
      escape(x.title)
    }</text>`,
    ...shown.filter(hasBand).map((line) => bandOf(line, scales)),
    ...shown.map((line) => lineOf(line, scales)),
    "",
  ].join("\n");
}

/** The numbers of the upright axis, each with a line across the picture. */
function rowsOf({ format }: ChartAxis, { at, ticks }: Scale): string[] {
  const { width, left, right } = PANEL;
  return ticks.map((tick) =>
    `<path class="grid" d="M${left} ${place(at(tick))}H${width - right}"/>` +
    `<text x="${left - 6}" y="${place(at(tick) + 4)}" text-anchor="end">${
      escape(writeValue(tick, format))
    }</text>`
  );
}

/** The numbers of the other axis, each under its mark; one that would touch the one before is left out. */
function columnsOf({ format }: ChartAxis, { at, ticks }: Scale): string[] {
  const foot = PANEL.height - PANEL.bottom;
  let taken = -Infinity;
  return ticks.map((tick) => {
    const middle = at(tick), label = writeValue(tick, format);
    const mark = `<path class="axis" d="M${place(middle)} ${foot}v4"/>`;
    const half = (7 * label.length + 4) / 2;
    if (middle - half < taken) return mark;
    taken = middle + half;
    return `${mark}<text x="${place(middle)}" y="${foot + 17}" text-anchor="middle">${
      escape(label)
    }</text>`;
  });
}

const hasBand = ({ points }: ChartLine) => points.some(({ low, high }) => low < high);

/** From the least to the greatest of a line. */
function bandOf({ colour, points }: ChartLine, { across, up }: Scales): string {
  const edge = (points: readonly ChartPoint[], end: "low" | "high") =>
    points.map((p) => `${place(across.at(p.x))} ${place(up.at(p[end]))}`).join("L");
  return `<path class="band c${colour}" d="M${edge(points, "high")}L${
    edge(points.toReversed(), "low")
  }Z"/>`;
}

/** A line with its marks. */
function lineOf({ colour, dashed, points }: ChartLine, { across, up }: Scales): string {
  const d = points.map((p) => `${place(across.at(p.x))} ${place(up.at(p.y))}`).join("L");
  const marked = dashed ? [] : points.length <= MARKED_POINTS ? points : points.slice(-1);
  return [
    `<path class="line c${colour}${dashed ? " dashed" : ""}" d="M${d}"/>`,
    ...marked.map((p) => markAt(colour, across.at(p.x), up.at(p.y))),
  ].join("\n");
}
