/**
 * The page of the results, in Markdown: each figure with its claim, what was seen, and how to make it again.
 *
 * @module
 */

import { optionsOf } from "../logs/config.ts";
import { type DrawnFigure, fileName, rowTitle } from "./draw.ts";
import { LINK } from "./link_seconds.ts";
import type { RunLine } from "./lines.ts";
import { commandOf, scaledSweeps, SWEEPS } from "./sweeps.ts";

/** The page's file. */
export const PAGE = "README.md";

/** What is said of all figures. */
export interface PageOptions {
  /** Sentences about data and machine, of whoever ran it; "" for none. */
  readonly note: string;
  /** Share of the epochs that the runs have had. */
  readonly scale: number;
}

/** The page. */
export function resultsPage(figures: readonly DrawnFigure[], { note, scale }: PageOptions): string {
  const isDrawn = ({ lines }: DrawnFigure) => lines.some(({ runs }) => runs.length > 0);
  const drawn = figures.filter(isDrawn), waiting = figures.filter((figure) => !isDrawn(figure));
  return [
    "# Results",
    "",
    ...wrap(
      "What the paper shows, drawn from runs of this project by `deno task reproduce`; this page, its figures and its " +
        "tables of numbers are written by it. Lines are means over seeds, bands reach from the least to the greatest of " +
        "them. Nothing is fitted or smoothed. Behind each claim stands whether the runs agree with it, and by which rule " +
        "that was decided ([findings.ts](../../tasks/reproduce/findings.ts)).",
    ),
    "",
    ...wrap(
      "The runs are far smaller than the paper's, which trains ResNet-32 and ResNet-56 on 50,000 images for 200 epochs and " +
        "more, and AWD-LSTMs of 3 × 1150 for 250 epochs and more: a verdict here is on what runs of this size show.",
    ),
    "",
    ...wrap(
      "The baseline, naive-parallel, averages gradients and weights at every step, as the paper's does: it sends twice the " +
        "bytes of I = 1.",
    ),
    "",
    ...wrap(
      "A table of numbers (CSV) has a line a point: what was measured, the run, of how many seeds it is, where it stands on " +
        "each axis (bytes are those of one rank, `linkSeconds` seconds behind the link), and mean, least and greatest over " +
        "the seeds.",
    ),
    "",
    ...scale === 1
      ? []
      : [...wrap(`Each run has had ${scale} of the epochs that \`--scale 1\` gives it.`), ""],
    ...note === "" ? [] : [...wrap(note), ""],
    "Everything again, from nothing, or on from where it was interrupted:",
    "",
    `    deno task reproduce --data DATA${scaled(scale)} --out runs/reproduce`,
    "",
    ...drawn.flatMap((figure, i) => sectionOf(figure, drawn.slice(0, i), scale)),
    ...waiting.length === 0 ? [] : [
      "## Not run yet",
      "",
      ...waiting.flatMap(({ record }) => bullet(`\`${record.name}\`: ${record.claim}`)),
      "",
    ],
  ].join("\n");
}

/** What is typed for runs of so many of their epochs. */
const scaled = (scale: number) => scale === 1 ? "" : ` --scale ${scale}`;

/** @param before figures that stand above it */
function sectionOf(
  figure: DrawnFigure,
  before: readonly DrawnFigure[],
  scale: number,
): string[] {
  const { record, finding, lines } = figure;
  const same = before.find((other) => other.record.sweep === record.sweep);
  const sweep = SWEEPS[record.sweep], { seeds, name } = sweep;
  const verdict = finding.agrees === null
    ? "No verdict before every line has a run."
    : `**This ${finding.agrees}.**`;
  const made = madeWith(lines), numbers = `Numbers: [${record.name}.csv](${record.name}.csv).`;
  return [
    `## ${record.title}`,
    "",
    ...record.rows.map((row) => `![${rowTitle(record, row)}](${fileName(record, row)})`),
    "",
    ...wrap(
      `The paper's claim: ${record.claim} Here: ${
        finding.seen.join(" ")
      } ${verdict} (${finding.rule})`,
    ),
    "",
    ...tableOf(finding.table),
    ...wrap(captionOf(figure)),
    "",
    ...same ? wrap(`The runs are those of “${same.record.title}”. ${made} ${numbers}`) : [
      ...scaledSweeps(sweep, scale).map((swept) =>
        `    ${commandOf(swept, seeds, `runs/reproduce/${name}`)}`
      ),
      `    deno task reproduce ${record.name} --data DATA${scaled(scale)}`,
      "",
      ...wrap(`${made} ${numbers}`),
    ],
    "",
  ];
}

/** A table of Markdown, its columns in line; nothing without rows. */
function tableOf(rows: readonly (readonly string[])[]): string[] {
  if (rows.length === 0) return [];
  const widths = rows[0].map((_, i) => Math.max(3, ...rows.map((row) => [...row[i]].length)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, i) => cell + " ".repeat(widths[i] - [...cell].length)).join(" | ")} |`;
  const [head, ...body] = rows;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...body.map(line), ""];
}

/** What the runs have in common, how many seeds there are, and what was calculated. */
function captionOf(figure: DrawnFigure): string {
  const { record, lines } = figure;
  const [{ log }] = lines.flatMap((line) => line.runs);
  const { plan } = log.config as { plan: Record<string, number> };
  const ranks = [...new Set(lines.map((line) => line.ranks))].sort((a, b) => a - b);
  const options = optionsOf(log.config);
  const values: Record<string, unknown> = {
    ...options,
    ...plan,
    weights: plan.parameters,
    ranks: ranksOf(ranks),
    decay: decayOf(options),
  };
  const common = record.caption.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const value = values[name];
    return typeof value === "number" ? shownCount(value) : String(value);
  });
  return [common, seedsOf(lines), ...calculatedOf(figure)].join(" ");
}

/** How a figure's seconds behind the link were calculated; nothing where it draws none. */
function calculatedOf({ record, stepSeconds }: DrawnFigure): string[] {
  if (!record.rows.some(({ panels }) => panels.some(({ x }) => x === "linkSeconds"))) return [];
  const steps = [...stepSeconds].filter(([, time]) => Number.isFinite(time)).map(([ranks, time]) =>
    `${Math.round(time * 1000)} ms of ${ranksOf([ranks])}`
  ).join(", ");
  return [
    `Times behind the link are calculated, by [the plan's model](../../tasks/plan/predict.ts), for every rank behind ` +
    `${LINK}, with the steps as they were measured here without their exchanges: ${steps}, the least of the runs' ` +
    "medians; the ranks share the machine's cores, which ranks on machines of their own would not.",
  ];
}

/** For example `2, 4 or 8 ranks`. */
function ranksOf(ranks: readonly number[]): string {
  const [last, ...others] = ranks.toReversed();
  const all = others.length === 0 ? `${last}` : `${others.reverse().join(", ")} or ${last}`;
  return `${all} ${last === 1 ? "rank" : "ranks"}`;
}

/** How η and γ fall, behind what they begin with; "" if they do not. */
function decayOf({ decayAt, decayFactor, decayClip }: Record<string, unknown>): string {
  if (!Array.isArray(decayAt) || decayAt.length === 0) return "";
  const epochs = decayAt.map((epoch) => shownCount(Number(epoch))).join(", ");
  return ` (${decayClip ? "both" : "η"} times ${decayFactor} from epoch ${epochs} on)`;
}

/** How many seeds are finished, of which lines. */
function seedsOf(lines: DrawnFigure["lines"]): string {
  const all = Math.max(...lines.map((line) => line.seeds));
  const groups = new Map<number, string[]>();
  for (const { label, runs } of lines) {
    groups.set(runs.length, [...groups.get(runs.length) ?? [], label]);
  }
  const seeds = (n: number) =>
    all === 1 ? (n === 1 ? "one seed" : "no run yet") : `${n} of ${all} seeds`;
  if (groups.size === 1) return `Finished: ${seeds([...groups.keys()][0])}.`;
  const parts = [...groups].sort(([a], [b]) => b - a).map(([n, labels]) =>
    `${seeds(n)} of ${labels.join(", ")}`
  );
  return `Finished: ${parts.join("; ")}.`;
}

/** The commits and versions that the runs were made with: if there are several, which run with which. */
function madeWith(lines: readonly RunLine[]): string {
  const makers = new Map<string, { count: number; readonly seeds: Map<string, number[]> }>();
  for (const { label, runs } of lines) {
    for (const { seed, log } of runs) {
      const { commit, versions = {} } = log.config as {
        commit?: string;
        versions?: Record<string, string>;
      };
      const named = ["celgc", "deno", "onnxruntime"]
        .map((name) => `${name} ${versions[name] ?? "unknown"}`);
      const maker = `commit ${commit?.slice(0, 12) ?? "unknown"} (${named.join(", ")})`;
      const made = makers.get(maker) ?? { count: 0, seeds: new Map() };
      makers.set(maker, made);
      made.count++;
      made.seeds.set(label, [...made.seeds.get(label) ?? [], seed]);
    }
  }
  const [[first], ...others] = [...makers].sort(([, a], [, b]) => b.count - a.count);
  const rest = others.map(([maker, { seeds }]) => {
    const runs = [...seeds].map(([label, seeds]) =>
      `${label} of ${seeds.length === 1 ? "seed" : "seeds"} ${seeds.join(", ")}`
    );
    return `${runs.join("; ")}: made with ${maker}.`;
  });
  return [
    `Made with ${first}${rest.length === 0 ? "" : ", but for what follows"}.`,
    ...rest,
  ].join(" ");
}

function bullet(text: string): string[] {
  return wrap(text, 98).map((line, i) => `${i === 0 ? "-" : " "} ${line}`);
}

/** Lines of at most 100 characters. */
function wrap(text: string, width = 100): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width) {
      lines[lines.length - 1] = `${last} ${word}`;
    } else lines.push(word);
  }
  return lines;
}

/** A number as prose has it: large ones with commas between thousands. */
function shownCount(value: number): string {
  return Number.isInteger(value) && value >= 1000
    ? value.toLocaleString("en-US")
    : String(Number(value.toPrecision(6)));
}
