/**
 * A figure from its finished runs: its pictures, its numbers, and what is said of them.
 *
 * @module
 */

import { loadCsv } from "../../deps.ts";
import { type Chart, type ChartAxis, type ChartLine, type ChartPanel, chartSvg } from "./chart.ts";
import type { FigureRecord, PanelRecord, RowRecord } from "./figures.ts";
import type { Finding, SeenLine } from "./findings.ts";
import { LINK, stepSecondsOf } from "./link_seconds.ts";
import type { RunLine } from "./lines.ts";
import {
  type FigureAxis,
  type MeasureName,
  MEASURES,
  pointsOf,
  type SeedPoint,
  totalOf,
} from "./measures.ts";

/** A figure that was drawn. */
export interface DrawnFigure {
  readonly record: FigureRecord;
  /** Pictures by the names of their files. */
  readonly pictures: ReadonlyMap<string, string>;
  /** The numbers, as CSV. */
  readonly csv: string;
  readonly finding: Finding;
  readonly lines: readonly RunLine[];
  /** What a step takes without its exchanges, by how many ranks a run has, in seconds. */
  readonly stepSeconds: ReadonlyMap<number, number>;
}

/** What can be drawn over, in the order of the columns of numbers. */
const AXES: Readonly<Record<FigureAxis, Omit<ChartAxis, "log">>> = {
  epoch: { title: "epochs", format: "number" },
  iteration: { title: "iterations of each rank", format: "number" },
  round: { title: "communication rounds", format: "number" },
  bytes: { title: "bytes sent by each rank", format: "bytes" },
  linkSeconds: { title: `time behind ${LINK}, calculated`, format: "seconds" },
};

/** Draws a figure. */
export async function drawFigure(
  record: FigureRecord,
  lines: readonly RunLine[],
): Promise<DrawnFigure> {
  const stepSeconds = new Map(
    [...new Set(lines.map(({ ranks }) => ranks))].map((ranks) => [
      ranks,
      stepSecondsOf(lines.filter((line) => line.ranks === ranks)),
    ]),
  );
  const seen = lines.map((line) => seeLine(line, stepSeconds.get(line.ranks)!));
  const finding = judge(record, seen);
  const pictures = new Map(record.rows.map((row) => [
    fileName(record, row),
    chartSvg(chartOf(record, row, seen, finding)),
  ]));
  return { record, pictures, csv: await csvOf(record, seen), finding, lines, stepSeconds };
}

/** What was seen; a verdict only where every line has a run. */
function judge(record: FigureRecord, seen: readonly SeenLine[]): Finding {
  const finding = record.find(seen);
  const complete = seen.every(({ line }) => line.runs.length > 0);
  return complete ? finding : { ...finding, agrees: null };
}

/** The name of a row's file. */
export function fileName(record: FigureRecord, row: RowRecord): string {
  return `${row.name === "" ? record.name : `${record.name}-${row.name}`}.svg`;
}

function seeLine(line: RunLine, stepSeconds: number): SeenLine {
  const known = new Map<MeasureName, readonly SeedPoint[]>();
  return {
    line,
    points(measure) {
      if (!known.has(measure)) known.set(measure, pointsOf(line, measure, stepSeconds));
      return known.get(measure)!;
    },
    total: (name) => totalOf(line, name),
  };
}

function chartOf(
  record: FigureRecord,
  row: RowRecord,
  seen: readonly SeenLine[],
  { seen: sentences, table: [head = [], ...rows] }: Finding,
): Chart {
  const shown = seen.filter(({ line }) => line.runs.length > 0);
  const inWords = rows.map(([label, ...values]) =>
    `${label}: ${values.map((value, i) => `${head[i + 1]} ${value}`).join(", ")}.`
  );
  return {
    title: rowTitle(record, row),
    description: [...sentences, ...inWords].join(" "),
    note: seedsNote(seen),
    labels: shown.map(({ line }) => ({
      text: line.label,
      baseline: line.at.algorithm !== "celgc",
    })),
    panels: row.panels.map((panel) => panelOf(panel, shown)),
  };
}

/** What a row shows, for example `Large batches: test accuracy over epochs`. */
export function rowTitle({ title }: FigureRecord, { panels }: RowRecord): string {
  const over = Map.groupBy(panels, ({ x }) => AXES[x].title);
  const shown = [...over].map(([axis, panels]) =>
    `${panels.map(({ y }) => MEASURES[y].title).join(" and ")} over ${axis}`
  );
  return `${title}: ${shown.join("; ")}`;
}

/** Of how many seeds the lines are, and what is lacking of the runs that a figure is to have. */
function seedsNote(seen: readonly SeenLine[]): string {
  const of = (
    count: (line: RunLine) => number,
  ) => [...new Set(seen.map(({ line }) => count(line)))];
  const [done, ...others] = of(({ runs }) => runs.length), [all] = of(({ seeds }) => seeds);
  if (others.length === 0) {
    const seeds = done === all
      ? (all === 1 ? "one seed" : `${all} seeds`)
      : `${done} of ${all} seeds so far`;
    return done > 1 ? `${seeds}: mean and range` : seeds;
  }
  const sum = (count: (line: RunLine) => number) =>
    seen.reduce((total, { line }) => total + count(line), 0);
  return `${sum(({ runs }) => runs.length)} of ${sum(({ seeds }) => seeds)} runs so far`;
}

/** Pictures of one measure have one scale, also where some of a figure's lines cannot be drawn. */
function panelOf({ x, y, logX, logY, dashed }: PanelRecord, seen: readonly SeenLine[]): ChartPanel {
  const linesOf = (measure: MeasureName, isDashed: boolean) =>
    seen.map((one, colour): ChartLine => ({
      colour,
      dashed: isDashed,
      points: one.points(measure).map(({ at, mean, low, high }) => ({
        x: at[x],
        y: mean,
        low,
        high,
      })),
    }));
  const { title, format } = MEASURES[y];
  const also = dashed ? `; dashed: ${MEASURES[dashed].title}` : "";
  return {
    x: { ...AXES[x], log: logX ?? false },
    y: {
      title: title + also,
      format,
      log: logY ?? false,
      room: seen.flatMap((one) => one.points(y).flatMap(({ low, high }) => [low, high])),
    },
    lines: [...linesOf(y, false), ...dashed ? linesOf(dashed, true) : []],
  };
}

/** Every point of every line, one a row. */
async function csvOf(record: FigureRecord, seen: readonly SeenLine[]): Promise<string> {
  const { stringify } = await loadCsv();
  const panels = record.rows.flatMap((row) => row.panels);
  const measures = [...new Set(panels.flatMap(({ y, dashed }) => dashed ? [y, dashed] : [y]))];
  const axes = (Object.keys(AXES) as FigureAxis[])
    .filter((axis) => axis !== "linkSeconds" || panels.some(({ x }) => x === axis));
  const rows = measures.flatMap((measure) =>
    seen.flatMap(({ line, points }) =>
      points(measure).map(({ at, mean, low, high }) => [
        measure,
        line.label,
        String(line.runs.length),
        ...axes.map((axis) => number(at[axis])),
        ...[mean, low, high].map(number),
      ])
    )
  );
  const head = ["measure", "runs", "seeds", ...axes, "mean", "low", "high"];
  return stringify([head, ...rows]);
}

const number = (value: number) =>
  Number.isFinite(value) ? String(Number(value.toPrecision(6))) : "";
