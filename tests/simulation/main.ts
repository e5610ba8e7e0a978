/**
 * `deno task simulate`: lives simulated worlds through.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { replayLine, simulate } from "./simulate.ts";

const HELP = `deno task simulate --seed 17            one world: its plan, and how its ranks ended
deno task simulate --seed 17 --trace    with every event
deno task simulate --seeds 1000000      many, from --from (1 if left out)`;

function parse() {
  try {
    return parseArgs({
      options: {
        seed: { type: "string" },
        seeds: { type: "string" },
        from: { type: "string", default: "1" },
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

async function many(from: number, count: number): Promise<boolean> {
  let broken = 0, events = 0;
  for (let seed = from; seed < from + count; seed++) {
    const world = await simulate(seed);
    events += world.events;
    if (world.violation !== null) {
      broken++;
      console.log(`${replayLine(world)}\n`);
    }
    const done = seed - from + 1;
    if (done % 1000 === 0 || done === count) {
      console.log(`${done} worlds, ${events} events, ${broken} broken`);
    }
  }
  return broken === 0;
}

const isWhole = values.seed !== undefined
  ? await one(whole("--seed", values.seed))
  : await many(whole("--from", values.from), whole("--seeds", values.seeds ?? "1000"));
Deno.exit(isWhole ? 0 : 1);
