/**
 * The page of the results, in Markdown: each figure with its claim, what was seen, and how to make it again.
 *
 * @module
 */

import { optionsOf } from "../logs/config.ts";
import { fileName } from "./draw.ts";
import type { DrawnFigure } from "./draw.ts";
import { LINK } from "./link_seconds.ts";
import type { SeedRun } from "./lines.ts";
import { commandOf, SWEEPS } from "./sweeps.ts";

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
        "them. Nothing is fitted or smoothed. Behind each claim stands whether the runs agree with it, by a rule that is " +
        "the same for all ([findings.ts](../../tasks/reproduce/findings.ts)).",
    ),
    "",
    ...wrap(
      "The baseline, naive-parallel, averages gradients and weights at every step, as the paper's does: it sends twice the " +
        "bytes of I = 1.",
    ),
    "",
    ...scale === 1
      ? []
      : [...wrap(`Each run has had ${scale} of the epochs that its command names.`), ""],
    ...note === "" ? [] : [...wrap(note), ""],
    "Everything again, from nothing, or on from where it was interrupted:",
    "",
    "    deno task reproduce --data DATA --out runs/reproduce",
    "",
    ...drawn.flatMap((figure, i) => sectionOf(figure, drawn.slice(0, i))),
    ...waiting.length === 0 ? [] : [
      "## Not run yet",
      "",
      ...waiting.flatMap(({ record }) => bullet(`\`${record.name}\`: ${record.claim}`)),
      "",
    ],
  ].join("\n");
}

/** @param before figures that stand above it */
function sectionOf(figure: DrawnFigure, before: readonly DrawnFigure[]): string[] {
  const { record, finding, lines } = figure;
  const runs = lines.flatMap((line) => line.runs);
  const same = before.find((other) => other.record.sweep === record.sweep);
  const { sweeps, seeds, name } = SWEEPS[record.sweep];
  const verdict = finding.agrees === null
    ? " No verdict before every line has a run."
    : ` **This ${finding.agrees}.**`;
  return [
    `## ${record.title}`,
    "",
    ...record.rows.map((row) => `![${record.title}](${fileName(record, row)})`),
    "",
    ...wrap(`The paper's claim: ${record.claim} Here: ${finding.seen.join(" ")}${verdict}`),
    "",
    ...wrap(captionOf(figure)),
    "",
    ...same
      ? wrap(`The runs are those of “${same.record.title}”; made ${madeWith(runs, record.name)}`)
      : [
        ...sweeps.map((swept) => `    ${commandOf(swept, seeds, `runs/reproduce/${name}`)}`),
        `    deno task reproduce ${record.name} --data DATA`,
        "",
        ...wrap(`Made ${madeWith(runs, record.name)}`),
      ],
    "",
  ];
}

/** What the runs have in common, how many seeds there are, and what was calculated. */
function captionOf({ record, lines, stepSeconds }: DrawnFigure): string {
  const runs = lines.flatMap((line) => line.runs);
  const { plan } = runs[0].log.config as { plan: Record<string, number> };
  const ranks = [...new Set(lines.map((line) => line.ranks))].sort((a, b) => a - b);
  const values: Record<string, unknown> = {
    ...optionsOf(runs[0].log.config),
    ...plan,
    weights: plan.parameters,
    ranks: ranks.length === 1 ? `${ranks[0]} ranks` : `${ranks.join(" or ")} ranks`,
  };
  const common = record.caption.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const value = values[name];
    return typeof value === "number" ? shownCount(value) : String(value);
  });
  const seconds = record.rows.flatMap((row) => row.panels).some(({ x }) => x === "linkSeconds");
  const steps = [...stepSeconds].filter(([, time]) => Number.isFinite(time)).map(([ranks, time]) =>
    `${Math.round(time * 1000)} ms of ${ranks} ${ranks === 1 ? "rank" : "ranks"}`
  );
  const calculated = seconds
    ? ` Seconds behind the link are calculated, by [the plan's model](../../tasks/plan/predict.ts), for every rank behind ` +
      `${LINK}, with the steps as they were measured here without their exchanges: ${
        steps.join(", ")
      }, the least ` +
      "of the lines' medians; ranks share the machine's cores."
    : "";
  return `${common} ${seedsOf(lines)}${calculated}`;
}

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

/** Commits and versions of the runs, and where their numbers are. */
function madeWith(runs: readonly SeedRun[], name: string): string {
  const configs = runs.map(({ log }) =>
    log.config as { commit?: string; versions?: Record<string, string> }
  );
  const commits = [...new Set(configs.map(({ commit }) => commit?.slice(0, 12) ?? "unknown"))];
  const versions = [
    ...new Set(
      configs.map(({ versions = {} }) =>
        ["celgc", "deno", "onnxruntime"].map((name) => `${name} ${versions[name] ?? "unknown"}`)
          .join(", ")
      ),
    ),
  ];
  return `with commit ${commits.join(", ")} (${
    versions.join("; ")
  }). Numbers: [${name}.csv](${name}.csv).`;
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
  return Number.isInteger(value) && value >= 10_000
    ? value.toLocaleString("en-US")
    : String(Number(value.toPrecision(6)));
}
