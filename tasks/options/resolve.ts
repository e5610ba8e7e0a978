/**
 * From the options that were given to those a run has: defaults, then the task's, then the preset's, then
 * what was given, then the rules that tie options to each other.
 *
 * @module
 */

import {
  type Algorithm,
  celgc,
  diloco,
  episode,
  localSgd,
  naiveParallel,
  overlapped,
  single,
  slowMo,
  type StepOptions,
  timedRounds,
} from "../../optimizers/mod.ts";
import { checkStep } from "../../optimizers/clipped_step.ts";
import { checkPartition, parsePartition } from "../data/sampling/partition.ts";
import { asOptionError } from "./as_option_error.ts";
import { isModelFile } from "./network_names.ts";
import { OptionError } from "./kinds.ts";
import { checkOptions, defaultOptions, OPTIONS, type Options } from "./table.ts";
import { PRESETS } from "./presets.ts";
import { scaleOptions } from "./scale.ts";
import { ignoredBy, ignoredByTask } from "./applies.ts";
import { filesOf, kindOf, TASK_DEFAULTS } from "./defaults.ts";

/**
 * The options of a run.
 *
 * @param given by their names in code; absent ones take the preset's value, then the default
 * @throws OptionError with one line that names the option
 */
export function resolveOptions(given: Readonly<Record<string, unknown>>): Options {
  const explicit = checkOptions(given);
  const preset = explicit.preset ? PRESETS[explicit.preset].options : {};
  const defaults = defaultOptions();
  const task = explicit.task ?? preset.task ?? defaults.task;
  const full: Options = { ...defaults, ...TASK_DEFAULTS[task], ...preset, ...explicit };
  const options = { ...scaleOptions(full, explicit) };
  checkHeeded(options, explicit);
  if (options.algorithm === "single") {
    if ((explicit.ranks ?? 1) !== 1) {
      throw new OptionError(`--algorithm single runs on one rank, not on --ranks ${options.ranks}`);
    }
    options.ranks = 1;
  }
  if (ALL_RANKS.includes(options.algorithm) && (explicit.participants ?? null) === null) {
    options.participants = null;
  }
  if (options.participants !== null && options.participants > options.ranks) {
    throw new OptionError(
      `--participants must be at most --ranks, ${options.ranks}, not ${options.participants}`,
    );
  }
  const together = TOGETHER.includes(options.algorithm);
  if (together || ALL_RANKS.includes(options.algorithm)) {
    const { algorithm, ranks, participants } = options;
    if (participants !== null && participants < ranks) {
      throw new OptionError(
        `--algorithm ${algorithm} needs all ${ranks} ranks in every ` +
          `${together ? "round" : "step"}, not --participants ${participants}`,
      );
    }
  }
  if (together && options.average !== "after") {
    throw new OptionError(
      `--algorithm ${options.algorithm} averages after the step, not before it`,
    );
  }
  if (options.syncEvery !== null) {
    checkTimed(options, explicit);
    options.interval = 1;
    asOptionError(null, () => algorithmOf(options));
  }
  if (options.overlap) {
    const { ranks, participants } = options;
    if (participants !== null && participants < ranks) {
      throw new OptionError(
        `--overlap needs all ${ranks} ranks in every round, not --participants ${participants}`,
      );
    }
    asOptionError(null, () => algorithmOf(options));
  }
  const kind = kindOf(task), files = filesOf(task);
  if (files === null && (options.data !== null || options.download)) {
    throw new OptionError(
      `${options.data === null ? "--download" : "--data"} is for a data set on disk, but --task ` +
        `${options.task} draws its own; name another, such as --task cifar10`,
    );
  }
  if (options.data === null && options.download) options.data = `data/${options.task}`;
  if (options.data === null && files !== null) {
    throw new OptionError(`--task ${task} needs --data DIR, ${files}, or --download`);
  }
  const file = isModelFile(options.model);
  const reads = options.model === "awd-lstm" ? "text" : "images";
  if (!file && reads !== kind) {
    throw new OptionError(
      `--model ${options.model} learns from ${reads}, --task ${task} is ${kind}: take ` +
        `${kind === "text" ? "--model awd-lstm" : "a --model resnet"}, or another --task`,
    );
  }
  for (const name of ["loss", "dims"] as const) {
    if (file || options[name] === null) continue;
    throw new OptionError(
      `--${name} is for a network from a file, not for --model ${options.model}`,
    );
  }
  if (kind === "text" && options.algorithm === "episode") {
    throw new OptionError(
      "--algorithm episode draws mini-batches aside, and a text's state goes on from window to " +
        "window: take another --algorithm, or a task of images",
    );
  }
  if (kind === "images" && options.averagingTrigger !== null) {
    throw new OptionError("--averaging-trigger is for texts: images have no validation set");
  }
  tlsOf(options);
  asOptionError(null, () => checkStep(stepOptions(options)));
  asOptionError(null, () => {
    const partition = parsePartition(options.partition);
    checkPartition(partition, { data: kind, ranks: options.ranks });
  });
  return options;
}

/**
 * Refuses what was given and would change nothing. An option that has its default is let through, and so
 * are those of rounds where every step is one: they are what a baseline is compared with.
 */
function checkHeeded(options: Options, explicit: Partial<Options>): void {
  const defaults = defaultOptions(), { algorithm, model, task } = options;
  const rounds = ignoredBy(algorithm).filter((name) =>
    name === "outerLr" || name === "outerMomentum" ||
    (name === "average" && ALL_RANKS.includes(algorithm))
  );
  const refuse = (names: readonly (keyof Options)[], where: string) => {
    for (const name of names) {
      if (explicit[name] === undefined || explicit[name] === defaults[name]) continue;
      throw new OptionError(
        `${OPTIONS[name].flag} ${explicit[name]} has no effect with ${where}: leave it out`,
      );
    }
  };
  refuse(rounds, `--algorithm ${algorithm}`);
  // What a network from a file is to learn from may be said elsewhere.
  if (!isModelFile(model)) refuse(ignoredByTask(task), `--task ${task}`);
}

/** Rounds by the clock go with some options only: ranks are not at the same step, and no rerun is the same. */
function checkTimed(options: Options, explicit: Partial<Options>): void {
  if ((explicit.interval ?? 1) !== 1) {
    throw new OptionError("--sync-every and --interval both say when a round is: give one of them");
  }
  for (const name of ["checkpointEvery", "resume", "maxRestarts"] as const) {
    if (!options[name]) continue;
    throw new OptionError(
      `${OPTIONS[name].flag} does not go with --sync-every: ranks are not at the same step, and ` +
        "what they do cannot be done again; --interval can",
    );
  }
  if (options.overlap) throw new OptionError("--overlap does not go with --sync-every");
}

/** The files for TLS, or null without them. Throws OptionError unless there are all or none. */
export function tlsOf(
  options: Partial<Pick<Options, "tlsCert" | "tlsKey" | "tlsCa">>,
): { cert: string; key: string; ca: string } | null {
  const { tlsCert: cert = null, tlsKey: key = null, tlsCa: ca = null } = options;
  if (cert !== null && key !== null && ca !== null) return { cert, key, ca };
  if (cert === null && key === null && ca === null) return null;
  throw new OptionError("TLS needs all of --tls-cert, --tls-key and --tls-ca, or none of them");
}

/** The optimizer that the options describe. Throws RangeError if they do not fit together. */
export function algorithmOf(options: Options): Algorithm {
  const algorithm = waitingOf(options), { syncEvery } = options;
  if (syncEvery !== null) return timedRounds(algorithm, syncEvery);
  return options.overlap ? overlapped(algorithm) : algorithm;
}

/** The optimizer whose rounds wait for their averages. */
function waitingOf(options: Options): Algorithm {
  const step = stepOptions(options);
  const { interval, average } = options;
  switch (options.algorithm) {
    case "celgc":
      return celgc({ interval, average, step });
    case "local-sgd":
      return localSgd({ interval, average, step });
    case "slowmo":
      return slowMo({ interval, step, ...outerOf(options) });
    case "diloco":
      return diloco({ interval, step, ...outerOf(options) });
    case "episode":
      return episode({ interval, step });
    case "naive-parallel":
      return naiveParallel({ step });
    case "single":
      return single({ step });
  }
}

function stepOptions(options: Options): StepOptions {
  const { clipBy, momentum, dampening, nesterov, weightDecay } = options;
  return { clips: true, clipBy, momentum, dampening, nesterov, weightDecay };
}

/** The outer step's options, as far as they were given. */
function outerOf({ outerLr, outerMomentum }: Options) {
  return {
    ...(outerLr === null ? {} : { outerLearningRate: outerLr }),
    ...(outerMomentum === null ? {} : { outerMomentum }),
  };
}

/** Algorithms whose rounds begin at one point for all ranks. */
const TOGETHER: readonly Options["algorithm"][] = ["slowmo", "diloco", "episode"];

/**
 * Algorithms that have no rounds in which some ranks could take part: the baseline's gradients are all
 * ranks' at every step. A preset's participants are not for them.
 */
const ALL_RANKS: readonly Options["algorithm"][] = ["naive-parallel", "single"];
