/**
 * From the options that were given to those a run has: defaults, then the task's, then the preset's, then
 * what was given, then the size, then what follows from the others; and the rules that tie them together.
 *
 * @module
 */

import type { Algorithm, UpdateRule } from "../../optimizers/mod.ts";
import { clipAveraged } from "../../optimizers/clip_by.ts";
import { ALGORITHMS, createAlgorithm } from "../../optimizers/registry.ts";
import { parseSampling, participantsBy } from "../../optimizers/sampling.ts";
import { defaultsOf, TASKS } from "./defaults.ts";
import { checkRules, type Explicit } from "./rules.ts";
import { scaleOptions } from "./scale.ts";
import { checkOptions } from "./table.ts";
import type { Options } from "./values.ts";

/**
 * The options of a run.
 *
 * @param given by their names in code; absent ones take the preset's value, then the default
 * @throws OptionError with one line that names the option
 */
export function resolveOptions(given: Readonly<Record<string, unknown>>): Options {
  const explicit = checkOptions(given);
  const full: Options = { ...defaultsOf(explicit), ...explicit };
  const options = withConsequences(scaleOptions(full, explicit), explicit);
  checkRules(options, explicit);
  return options;
}

/** The options with those that follow from others. */
function withConsequences(options: Options, explicit: Explicit): Options {
  const { algorithm, task, data, download } = options, { ranks, takes } = ALGORITHMS[algorithm];
  const drawn = takes.includes("sampling") ? participantsBy(parseSampling(options.sampling)) : null;
  const { files, own } = TASKS[task], onDisk = files !== null && !own;
  return {
    ...options,
    onFailure: explicit.onFailure ??
      (explicit.elastic ? "shrink" : explicit.maxRestarts ? "restart" : options.onFailure),
    // A preset's way of averaging over the steps gives way to the one that is asked for.
    averagingTrigger: explicit.ema ? explicit.averagingTrigger ?? null : options.averagingTrigger,
    ranks: ranks === "one" ? 1 : options.ranks,
    // A preset's participants are not for one rank.
    participants: ranks === "one" ? explicit.participants ?? null : options.participants ?? drawn,
    clipBy: ALGORITHMS[algorithm].clipsAverage ? clipAveraged(options.clipBy) : options.clipBy,
    interval: options.syncEvery === null ? options.interval : 1,
    data: data === null && download && onDisk ? `data/${task}` : data,
  };
}

/**
 * The algorithm that the options describe. Throws RangeError if they do not fit together.
 *
 * @param given.rule instead of the update rule that they name
 * @param given.learningRate η of step t, on which intervals may depend, see `createAlgorithm`
 */
export function algorithmOf(
  options: Options,
  { rule, learningRate }: {
    readonly rule?: UpdateRule | undefined;
    readonly learningRate?: ((t: number) => number) | undefined;
  } = {},
): Algorithm {
  return createAlgorithm(options.algorithm, rule ? { ...options, rule } : options, learningRate);
}
