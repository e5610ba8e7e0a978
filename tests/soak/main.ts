/**
 * `deno task soak`: runs the soak and says what has come of it; the exit code is 1 if a promise is broken.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { soak } from "./_soak.ts";
import { trainingSoak } from "./_training.ts";

const HELP = `deno task soak [options]

  --minutes M   how long (default 3)
  --ranks N     ranks at the beginning (default 8)
  --seed S      decides who is killed when (default 1)
  --stall S     seconds without a round after which it has failed (default 10)
  --training    trains on generated text instead, twice: once it loses a rank every few seconds, and starts
                again from its last checkpoint
  --elastic     there it goes on without the rank, which comes back, and the other is a replay
  --every S     those seconds (default 15)
  --steps N     of that training (default: as many as it has)
  --quiet       prints the outcome alone

Ranks average 10,000 numbers as fast as they can. Every 1 to 2 s one of them is killed or another comes,
six to four. Then the weights of those that are left must be those of a replay of who was there when, bit
for bit, and memory and descriptors of ranks and launcher must not have grown. Linux only.
`;

const OPTIONS = {
  minutes: { type: "string", default: "3" },
  ranks: { type: "string", default: "8" },
  seed: { type: "string", default: "1" },
  stall: { type: "string", default: "10" },
  training: { type: "boolean", default: false },
  elastic: { type: "boolean", default: false },
  every: { type: "string", default: "15" },
  steps: { type: "string" },
  quiet: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
} as const;

function refuse(message: string): never {
  console.error(`soak: ${message}; --help lists the options`);
  Deno.exit(2);
}

function parse() {
  try {
    return parseArgs({ options: OPTIONS }).values;
  } catch (error) {
    return refuse((error as Error).message.split(". ")[0]);
  }
}

/** A number that an option gives: above 0, or also 0. */
function number(flag: string, text: string, orZero = false): number {
  const value = text.trim() === "" ? NaN : Number(text);
  if (value > 0 && value < Infinity || orZero && value === 0) return value;
  return refuse(`${flag} is a number ${orZero ? "from" : "above"} 0, not ${text}`);
}

const options = parse();
if (options.help) {
  console.log(HELP.trimEnd());
  Deno.exit();
}
const say = options.quiet ? undefined : (line: string) => console.error(line);
if (options.training) {
  const trained = await trainingSoak({
    every: number("--every", options.every),
    ranks: number("--ranks", options.ranks),
    onFailure: options.elastic ? "shrink" : "restart",
    maxSteps: options.steps === undefined ? null : number("--steps", options.steps),
    ...say ? { say } : {},
  });
  console.log(JSON.stringify(trained, null, 2));
  const same = trained.disturbed.weightsHash === trained.beside.weightsHash;
  if (!same) console.error("soak: the weights are not those of the run beside it");
  const came = !options.elastic || trained.came > 0;
  if (!came) console.error("soak: no rank has come back");
  Deno.exit(same && came && trained.killed > 0 ? 0 : 1);
}
const longest = number("--stall", options.stall);
const soaked = await soak({
  minutes: number("--minutes", options.minutes),
  ranks: number("--ranks", options.ranks),
  seed: number("--seed", options.seed, true),
  ...say ? { say } : {},
});
console.log(JSON.stringify(soaked, null, 2));
const grown = ([before, after]: typeof soaked.ranks) =>
  after.descriptors > before.descriptors + 16 || after.megabytes > 1.25 * before.megabytes + 32;
const broken = [
  soaked.code !== 0 && `the job ended with code ${soaked.code}`,
  soaked.longestStall > longest && `no round for ${soaked.longestStall} s`,
  soaked.hashes.length !== 1 && `${soaked.hashes.length} different weights`,
  soaked.hashes[0] !== soaked.replayed && "the weights are not those of the replay",
  grown(soaked.ranks) && "a rank has grown",
  grown(soaked.launcher) && "the launcher has grown",
].filter((each) => each !== false);
for (const each of broken) console.error(`soak: ${each}`);
Deno.exit(broken.length > 0 ? 1 : 0);
