/**
 * `deno task simulate`: lives simulated worlds through.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { type Progress, simulateMany } from "./many.ts";
import { simulate } from "./simulate.ts";

const HELP = `deno task simulate --seed 17            one world: its plan, and how its ranks ended
deno task simulate --seed 17 --trace    with every event
deno task simulate --seeds 1000000      many, from --from (1 if left out), --workers at a time (as many as cores)

Ctrl-C says how to go on. What is broken is printed with its seed, and the exit code is 1.`;

/** How often progress is said, in ms. */
const SAY_MS = 10_000;

function parse() {
  try {
    return parseArgs({
      options: {
        seed: { type: "string" },
        seeds: { type: "string" },
        from: { type: "string", default: "1" },
        workers: { type: "string", default: String(navigator.hardwareConcurrency) },
        trace: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    console.error(`${(error as Error).message.split(". ")[0]}\n\n${HELP}`);
    Deno.exit(2);
  }
}

const values = parse();
if (values.help) {
  console.log(HELP);
  Deno.exit();
}

/** A whole number that an option gives. */
function whole(flag: string, text: string): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number >= 0) return number;
  console.error(`${flag} is a whole number, not ${text}`);
  Deno.exit(2);
}

async function one(seed: number): Promise<boolean> {
  const world = await simulate(seed, {
    stacks: true,
    ...values.trace ? { onEvent: console.log } : {},
  });
  console.log(`seed ${seed}: ${world.plan}`);
  for (const end of world.ends) console.log(`  ${end}`);
  console.log(`${world.events} events, trace ${world.traceHash.toString(16).padStart(8, "0")}`);
  if (world.violation !== null) console.log(`broken: ${world.violation.message}`);
  return world.violation === null;
}

/** Seconds as a person says them. */
function span(seconds: number): string {
  const [unit, of] = seconds < 100 ? ["s", 1] : seconds < 6000 ? ["min", 60] : ["h", 3600];
  return `${(seconds / of).toFixed(unit === "h" ? 1 : 0)} ${unit}`;
}

async function many(from: number, count: number, workers: number): Promise<number> {
  const stop = new AbortController(), begun = performance.now();
  Deno.addSignalListener("SIGINT", () => stop.abort());
  const say = ({ done, events, broken }: Progress) => {
    const seconds = (performance.now() - begun) / 1000, rate = done / seconds;
    const left = done === count ? "" : `, ${span((count - done) / rate)} left`;
    console.log(
      `${done} of ${count} worlds, ${events} events, ${broken} broken, ` +
        `${span(seconds)}, ${rate.toFixed(0)} a second${left}`,
    );
  };
  let said = begun;
  const { next, ...end } = await simulateMany(from, count, Math.max(1, workers), {
    signal: stop.signal,
    broken: (line) => console.log(`${line}\n`),
    progress(progress) {
      if (progress.done === count || performance.now() - said < SAY_MS) return;
      said = performance.now();
      say(progress);
    },
  });
  say({ next, ...end });
  if (next < from + count) {
    console.log(`go on with: deno task simulate --from ${next} --seeds ${from + count - next}`);
    return end.broken > 0 ? 1 : 130;
  }
  return end.broken > 0 ? 1 : 0;
}

const { seed, seeds = "1000", from, workers } = values;
Deno.exit(
  seed !== undefined ? await one(whole("--seed", seed)) ? 0 : 1 : await many(
    whole("--from", from),
    whole("--seeds", seeds),
    whole("--workers", workers),
  ),
);
