/**
 * `deno task bench gpu`: everything that is to be known of a card, in one command that ends in time.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { output } from "./measure.ts";
import { choiceOf, type Engine, type Part, partsOf } from "./parts.ts";
import { Report } from "./report.ts";
import { runPart } from "./run_part.ts";

const HELP = `deno task bench gpu [options]

  --minutes N     when it is to have ended, whatever hangs (default 8); with more, parts have more time each
  --small         sizes at which a software adapter ends, to try the bench itself
  --only TEXT,…   the parts whose names have one of these in them
  --python P      a Python that has PyTorch, or none (default python3)
  --seconds N     how long each way to compute a step is timed (default 1; 0.1 with --small)
  --out FILE      measurements as JSON (default gpu.json); the tables go beside it, as .md
  --list          prints the parts and their limits

Prints tables in Markdown; both files are written anew with every measurement, so that they are there
however it ends. Ctrl-C ends it with what there is. What a part has not said within its limit, or for
want of time, is listed as left out.`;

/** What the limits of parts are made for. */
const MINUTES = 8;
/** Seconds kept for the tables, and for a part that has to be killed. */
const RESERVE = 8;
/** Parts that cannot have as many seconds are not begun. */
const LEAST = 8;
/** After so many parts in a row that have used up their time without a word, an engine's others come last, */
const HUNG = 2;
/** and have no more than so many seconds each. */
const SHORT = 15;
/** Exit code for a signal, as shells have it. */
const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/** Runs the benchmark with the arguments of its command line. */
export async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      minutes: { type: "string", default: String(MINUTES) },
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
  const choice = choiceOf(values.small);
  const minutes = positive("minutes", values.minutes);
  const seconds = positive("seconds", values.seconds ?? String(choice.seconds));
  const torchDevice = values.python === "none" ? undefined : await torchDeviceOf(values.python);
  const python = torchDevice ? values.python : null;
  const patience = choice.patience * Math.max(1, minutes / MINUTES);
  const on = { python, torchDevice: torchDevice ?? "cpu" } as const;
  const parts = partsOf({ ...choice, seconds, patience, ...on })
    .filter(({ name }) => values.only.split(/,(?! )/).some((text) => name.includes(text)));
  if (values.list) {
    return console.log(parts.map(({ name, limit }) => `${limit} s  ${name}`).join("\n"));
  }
  const report = new Report(values.out, minutes);
  if (python === null) {
    const why = values.python === "none" ? "as asked" : `${values.python} does not have it`;
    report.leaveOut("PyTorch", why);
  }
  const stop = new AbortController();
  let exitCode = 0;
  for (const [signal, code] of Object.entries(SIGNALS)) {
    if (Deno.build.os === "windows" && signal !== "SIGINT") continue;
    Deno.addSignalListener(signal as Deno.Signal, () => {
      exitCode = code;
      stop.abort();
    });
  }
  const finish = () => {
    console.log(report.tables);
    // What could not be killed, and what waits for it, does not keep this one.
    Deno.exit(exitCode);
  };
  setTimeout(finish, 1000 * (60 * minutes - 1) - performance.now());
  await runAll(parts, 60 * minutes - RESERVE, report, stop.signal);
  finish();
}

/**
 * Runs the parts one after the other, those of an engine that hangs after those of the others.
 *
 * @param end seconds after the start of this process
 */
export async function runAll(
  parts: readonly Part[],
  end: number,
  report: Pick<Report, "add" | "leaveOut">,
  stop: AbortSignal,
): Promise<void> {
  const queue = [...parts], hung: Record<Engine, number> = { webgpu: 0, torch: 0, cpu: 0 };
  while (queue.length > 0) {
    const next = queue.findIndex(({ engine }) => hung[engine] < HUNG);
    const [part] = queue.splice(Math.max(0, next), 1), { name, engine } = part;
    const left = end - performance.now() / 1000;
    if (stop.aborted || left < LEAST) {
      report.leaveOut(name, stop.aborted ? "stopped before it" : "no time left");
      continue;
    }
    console.error(`${Math.round(performance.now() / 1000)} s: ${name} …`);
    const limit = Math.min(left, next < 0 ? Math.min(SHORT, part.limit) : part.limit);
    const outcome = await runPart(part, limit, (each) => report.add(each), stop);
    if (outcome.why !== undefined) report.leaveOut(name, outcome.why);
    hung[engine] = outcome.hung ? hung[engine] + 1 : 0;
  }
}

/** A number above 0 that was given to an option. */
function positive(option: string, text: string): number {
  const value = Number(text);
  if (value > 0 && value < Infinity) return value;
  console.error(`bench gpu: --${option} must be a number above 0, found "${text}"`);
  Deno.exit(2);
}

/** What a Python's PyTorch computes on; undefined if it has none. */
async function torchDeviceOf(python: string): Promise<"cuda" | "cpu" | undefined> {
  const code = "import torch; print('cuda' if torch.cuda.is_available() else 'cpu')";
  const answer = await output(python, ["-c", code], 60);
  return answer === undefined ? undefined : answer.includes("cuda") ? "cuda" : "cpu";
}

if (import.meta.main) await main(Deno.args);
