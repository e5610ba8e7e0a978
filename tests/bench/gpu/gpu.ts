/**
 * `deno task bench gpu`: everything that is to be known of a card, in one command that ends in time.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { type Measurement, nvidia } from "./measure.ts";
import { choiceOf, partsOf } from "./parts.ts";
import { runPart } from "./run_part.ts";
import { tablesOf } from "./tables.ts";

const HELP = `deno task bench gpu [options]

  --minutes N     when it is to have ended, whatever hangs (default 8)
  --small         sizes at which a software adapter ends, to try the bench itself
  --only TEXT,…   the parts whose names have one of these in them
  --python P      a Python that has PyTorch, or none (default python3)
  --seconds N     how long each way to compute a step is timed (default 1; 0.2 with --small)
  --out FILE      measurements as JSON (default gpu.json)
  --list          prints the parts and their limits

Prints tables in Markdown; FILE is written anew after every part. What a part has not said within its
limit, or for want of time, is listed as left out.`;

/** Seconds kept for the tables. */
const RESERVE = 5;
/** Parts that cannot have as many seconds are not begun. */
const LEAST = 8;

/** What all parts have said. */
export interface Report {
  readonly date: string;
  readonly minutes: number;
  readonly measurements: Measurement[];
  /** Part, and why something of it is missing. */
  readonly leftOut: { readonly part: string; readonly why: string }[];
}

/** Runs the benchmark with the arguments of its command line. */
export async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      minutes: { type: "string", default: "8" },
      small: { type: "boolean", default: false },
      only: { type: "string", default: "" },
      python: { type: "string", default: "python3" },
      seconds: { type: "string" },
      out: { type: "string", default: "gpu.json" },
      list: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return console.log(HELP);
  const minutes = Number(values.minutes), choice = choiceOf(values.small);
  const python = values.python === "none" || !await hasTorch(values.python) ? null : values.python;
  const torchDevice = await nvidia("name") === undefined ? "cpu" : "cuda";
  const seconds = Number(values.seconds ?? choice.seconds);
  const parts = partsOf({ ...choice, seconds, python, torchDevice })
    .filter(({ name }) => values.only.split(",").some((text) => name.includes(text)));
  if (values.list) {
    return console.log(parts.map(({ name, limit }) => `${limit} s  ${name}`).join("\n"));
  }
  const end = performance.now() + 60_000 * minutes - 1000 * RESERVE;
  const report: Report = { date: new Date().toISOString(), minutes, measurements: [], leftOut: [] };
  if (python === null) {
    const why = values.python === "none" ? "as asked" : `${values.python} does not have it`;
    report.leftOut.push({ part: "PyTorch", why });
  }
  for (const part of parts) {
    const left = (end - performance.now()) / 1000;
    if (left < LEAST) {
      report.leftOut.push({ part: part.name, why: "no time left" });
      continue;
    }
    console.error(`${part.name} …`);
    const why = await runPart(part, Math.min(part.limit, left), report.measurements);
    if (why !== undefined) report.leftOut.push({ part: part.name, why });
    await Deno.writeTextFile(values.out, JSON.stringify(report, null, 1));
  }
  console.log(tablesOf(report));
}

async function hasTorch(python: string): Promise<boolean> {
  try {
    const probe = new Deno.Command(python, {
      args: ["-c", "import torch"],
      stdout: "null",
      stderr: "null",
    });
    return (await probe.output()).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

if (import.meta.main) await main(Deno.args);
