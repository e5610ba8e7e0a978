/**
 * What a run would have taken behind a slow link: calculated, by the plan's model of it, from what its steps took
 * here and from what it exchanges.
 *
 * @module
 */

import { join } from "node:path";
import type { RunLog } from "../logs/run_log.ts";
import { defaultsOf } from "../options/defaults.ts";
import { algorithmOf } from "../options/resolve.ts";
import type { Options } from "../options/values.ts";
import { networkBehind } from "../plan/exchange_cost.ts";
import type { Measured } from "../plan/measured.ts";
import { predict } from "../plan/predict.ts";
import { FILES, type RunFacts } from "../run/folder.ts";
import type { RunLine, SeedRun } from "./lines.ts";

/** The link of each rank that is calculated with. */
export const LINK = "100mbit,1ms";

/**
 * Seconds of a run's first so many steps with every rank behind {@linkcode LINK}, evaluations left out.
 *
 * @param stepSeconds what a step takes without its exchanges
 */
export function secondsBehind(run: SeedRun, stepSeconds: number): (steps: number) => number {
  const options = { ...defaultsOf(run.options), ...run.options } as Options;
  const { ranks } = options;
  if (ranks === 1) return (steps) => steps * stepSeconds;
  const step = { mean: stepSeconds, slowest: stepSeconds };
  const { parameters } = run.log.config!.plan as RunFacts;
  const measured: Omit<Measured, "run"> = {
    device: "",
    ranks,
    parameters,
    shared: Math.max(parameters, savedFloats(run.log)),
    step: { none: step, replace: step, collect: step, norm: step, correct: step },
    round: { mean: 0, slowest: 0 },
    network: null,
    // What copies and sums within a machine take is left out: the link is slower by far.
    allreduce: [{ floats: 1, seconds: 0 }, { floats: 2, seconds: 0 }],
  };
  const network = networkBehind(LINK);
  const participants = options.participants ?? ranks;
  const algorithm = algorithmOf(options);
  return (steps) => {
    const run = { steps, epochs: 0 };
    return predict({ ...measured, run }, algorithm, steps, { network, participants }).seconds;
  };
}

/** Floats in a run's file of weights, running statistics among them. */
function savedFloats(log: RunLog): number {
  using file = Deno.openSync(join(log.directory, FILES.weights));
  const head = new Uint8Array(8);
  file.readSync(head);
  const header = Number(new DataView(head.buffer).getBigUint64(0, true));
  return (file.statSync().size - 8 - header) / 4;
}

/**
 * What a step took, exchanges left out: each run's median over all its ranks and steps, and of these the least, of the
 * run that was disturbed least by other work. NaN where no run is finished.
 */
export function stepSecondsOf(lines: readonly RunLine[]): number {
  const medians = lines.flatMap(({ runs }) => runs).map(({ log: { steps } }) => {
    const whole = steps.column("stepMs"), sync = steps.column("syncMs");
    const own = steps.rows()
      .map((row) => whole[row] - (Number.isFinite(sync[row]) ? sync[row] : 0))
      .sort((a, b) => a - b);
    return own[own.length >> 1] ?? NaN;
  }).filter(Number.isFinite);
  return medians.length === 0 ? NaN : Math.min(...medians) / 1000;
}
