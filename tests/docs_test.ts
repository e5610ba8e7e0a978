/** The pages: what they link to is there, what they tell to type is understood, what they list is whole. */

import assert from "node:assert/strict";
import { exportCommand } from "../tasks/cli/export_command.ts";
import { generateCommand } from "../tasks/cli/generate_command.ts";
import { launchCommand } from "../tasks/cli/launch_command.ts";
import { planCommand } from "../tasks/cli/plan_command.ts";
import { reportCommand } from "../tasks/cli/report_command.ts";
import { reproduceCommand } from "../tasks/cli/reproduce_command.ts";
import { runsCommand } from "../tasks/cli/runs_command.ts";
import { sweepCommand } from "../tasks/cli/sweep_command.ts";
import { allFiles, ROOT } from "./_helpers/tree.ts";
import { DESCRIBED, type DescribedKind } from "./tasks/metrics_page.ts";

const files = allFiles();
const pages = files.filter((path) => path.endsWith(".md"))
  .map((path) => ({ path, text: Deno.readTextFileSync(new URL(path, ROOT)) }));

/** Fails with one line for each entry. */
function none(what: string, found: readonly string[]): void {
  assert.equal(found.length, 0, `${what}:\n  ${found.join("\n  ")}`);
}

function isThere(url: URL): boolean {
  try {
    Deno.statSync(url);
    return true;
  } catch {
    return false;
  }
}

/** A page's text without its blocks of code. */
const prose = (text: string) =>
  text.replaceAll(/^```[^]*?^```$/gm, "").replaceAll(/^ {4}.*$/gm, "");

/** What a heading can be linked to by. */
const anchor = (heading: string) =>
  heading.trim().toLowerCase().replaceAll(/[^\p{L}\p{N}\s_-]/gu, "").replaceAll(/\s/g, "-");

const anchorsOf = (text: string) =>
  [...prose(text).matchAll(/^#+ (.*)$/gm)].map(([, heading]) => anchor(heading));

Deno.test("every link of a page leads somewhere", () => {
  const found: string[] = [];
  for (const { path, text } of pages) {
    const links = [...prose(text).matchAll(/\]\(([^)\s]+)\)|^\[[^\]]+\]: (\S+)$/gm)];
    for (const target of links.map(([, inline, below]) => inline ?? below)) {
      if (/^https?:/.test(target)) continue;
      const url = new URL(target, new URL(path, ROOT)),
        hash = decodeURIComponent(url.hash.slice(1));
      url.hash = "";
      if (!isThere(url)) found.push(`${path} → ${target}`);
      else if (hash !== "" && !anchorsOf(Deno.readTextFileSync(url)).includes(hash)) {
        found.push(`${path} → ${target}: there is no such heading`);
      }
    }
  }
  none("links that lead nowhere", found);
});

const COMMANDS = [
  launchCommand,
  sweepCommand,
  planCommand,
  reportCommand,
  reproduceCommand,
  runsCommand,
  generateCommand,
  exportCommand,
];
const flagsOf = new Map(
  COMMANDS.map(({ name, options }) => [
    name,
    new Set([...Object.values(options).map(({ flag }) => flag), "--help"]),
  ]),
);

Deno.test("the options of every command line in a page are the command's own", () => {
  const found: string[] = [];
  for (const { path, text } of pages) {
    for (const [line, command] of text.matchAll(/deno task (\w+).*$/gm)) {
      const own = flagsOf.get(command);
      if (own === undefined) continue;
      // What follows a comment or -- is not the command's.
      const given = line.replace(/\s(#|--\s).*$/, "");
      for (const [flag] of given.matchAll(/(?<=\s)--[a-z][a-z-]*/g)) {
        if (!own.has(flag)) found.push(`${path}: ${line.trim()}: ${command} has no ${flag}`);
      }
    }
  }
  none("options", found);
});

/** Options in the pages that are others': Deno's, a launcher's, an option's beginning. */
const FOREIGN =
  /^--(allow-|lock$|frozen$|doc$|html$|output$|preload|kill-on-bad-exit$|enable-recovery$|mca$|dropout-$|no-check$|node-modules-dir$)/;

Deno.test("options that a page names are some command's", () => {
  const all = new Set([...flagsOf.values()].flatMap((flags) => [...flags]));
  const found: string[] = [];
  for (const { path, text } of pages) {
    // These are about what was, or about programs of their own.
    if (path === "CHANGELOG.md" || path.startsWith("tests/")) continue;
    for (const [, flag] of prose(text).matchAll(/`(--[a-z][a-z-]*)/g)) {
      if (!all.has(flag) && !FOREIGN.test(flag)) found.push(`${path}: ${flag}`);
    }
  }
  none("options", [...new Set(found)]);
});

/** Which table of docs/metrics.md has the fields of an interface, and in which rows those of the objects in it are. */
const TABLES: Readonly<Record<string, DescribedKind | readonly [DescribedKind, string]>> = {
  Position: "position",
  StepRecord: "step",
  RoundRecord: "round",
  EvalRecord: "eval",
  Scores: "summary",
  Summary: "summary",
  WaitingSummary: ["summary", "waiting"],
  Compression: ["summary", "compression"],
  RunHost: ["summary", "hosts"],
  RelayedPair: ["summary", "relayed"],
  RunConfig: "config",
  RunFacts: "plan",
  CellResult: "cell",
};

Deno.test("every field of a run's files is described in its table, and no other is", () => {
  const found: string[] = [], known = new Map<DescribedKind, Set<string>>();
  for (const path of ["tasks/logs/records.ts", "tasks/run/folder.ts", "tasks/sweep/results.ts"]) {
    const text = Deno.readTextFileSync(new URL(path, ROOT));
    const records = [...text.matchAll(/^export interface (\w+)\b[^{]*{([^]*?)^}/gm)]
      .filter(([, record]) => Object.hasOwn(TABLES, record));
    assert.ok(records.length > 0, `${path} has records`);
    for (const [, record, body] of records) {
      const table = TABLES[record], [kind, row] = typeof table === "string" ? [table] : table;
      const rows = DESCRIBED[kind], names = known.get(kind) ?? new Set();
      known.set(kind, names);
      for (const [, name] of body.matchAll(/^ {2}readonly (\w+)\??:/gm)) {
        if (row !== undefined) {
          if (!new RegExp(`\\b${name}\\b`).test(rows.get(row)!)) found.push(`${record}.${name}`);
        } else if (name !== "type" && !rows.has(name)) found.push(`${record}.${name}`);
        else names.add(name);
      }
    }
  }
  assert.equal(known.size, Object.keys(DESCRIBED).length);
  none("fields that are not described", found);
  none(
    "fields that are nowhere",
    [...known].flatMap(([kind, names]) =>
      [...DESCRIBED[kind].keys()].filter((name) => name !== "type" && !names.has(name))
        .map((name) => `${kind}.${name}`)
    ),
  );
});
