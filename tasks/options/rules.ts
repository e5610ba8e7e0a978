/**
 * What ties options to each other, as data: each rule names the options it concerns and says what is wrong
 * with their values. A rule is asked only where all its options are there, so that commands that have some
 * of them keep the rules of these.
 *
 * @module
 */

import {
  ALGORITHM_OPTIONS,
  ALGORITHMS,
  createAlgorithm,
  STEP_OPTIONS,
  stepOf,
} from "../../optimizers/registry.ts";
import { CLIP_RULES } from "../../optimizers/clip_by.ts";
import { checkSampling, parseSampling } from "../../optimizers/sampling.ts";
import { checkPartition, parsePartition } from "../data/sampling/partition.ts";
import {
  ignoredBy,
  ignoredByModel,
  ignoredByOptimizer,
  ignoredBySchedule,
  ignoredByTask,
} from "./applies.ts";
import { AVERAGING_RULES } from "./averaging/rules.ts";
import { RECOVERY_RULES } from "./recovery/rules.ts";
import { DATA_RULES } from "./data/rules.ts";
import { defaultsOf, TASKS } from "./defaults.ts";
import { OptionError } from "./kinds.ts";
import { isLanguageModel, isModelFile } from "./network_names.ts";
import { PRESETS } from "./presets.ts";
import { STEPPING_RULES } from "./stepping/rules.ts";
import { defaultOptions, OPTIONS } from "./table.ts";
import { tlsOf } from "./tls.ts";
import type { OptionName, Options } from "./values.ts";

/** Options as they were given, without defaults. */
export type Explicit = Readonly<Partial<Options>>;

/** One rule. */
interface Rule {
  /** The options without which it has nothing to say. */
  readonly concerns: readonly OptionName[];
  /**
   * Looks at options.
   *
   * @param options as resolved; at least those that it concerns
   * @returns what is to be said of them, in one sentence that names the flags; null if nothing is
   */
  check(options: Options, explicit: Explicit): string | null;
}

/** A rule that sees the options it concerns and no others. */
function rule<Name extends OptionName>(
  concerns: readonly Name[],
  check: (options: Pick<Options, Name>, explicit: Explicit) => string | null,
): Rule {
  return { concerns, check };
}

/** What a check has against something; null if nothing. */
function refusalOf(check: () => unknown): string | null {
  try {
    check();
    return null;
  } catch (error) {
    if (error instanceof RangeError || error instanceof OptionError) return error.message;
    throw error;
  }
}

/** The first of some options that was given another value than it has anyway, and would change nothing. */
function withoutEffect(
  names: readonly OptionName[],
  explicit: Explicit,
  beside: string,
): string | null {
  const defaults = defaultsOf(explicit);
  const idle = names.find((name) =>
    explicit[name] !== undefined && String(explicit[name]) !== String(defaults[name])
  );
  return idle === undefined
    ? null
    : `${OPTIONS[idle].flag} ${explicit[idle]} has no effect with ${beside}`;
}

/** The same, with the way out. */
function idleOption(
  names: readonly OptionName[],
  explicit: Explicit,
  beside: string,
): string | null {
  const found = withoutEffect(names, explicit, beside);
  return found && `${found}: leave it out`;
}

/**
 * Options that go with the algorithm that is compared, and may stand beside the one that it is compared with,
 * where they have no effect.
 */
const COMPARED: readonly OptionName[] = [
  "interval",
  "syncEvery",
  "syncEpochs",
  "overlap",
  "participants",
  "sampling",
  "clip",
  "clipBy",
  "decayClip",
  "ranks",
  "partition",
  "compress",
];

/** The rules, in the order in which they are asked: the first that refuses is the one that is heard. */
const RULES: readonly Rule[] = [
  rule(
    ["algorithm", "average"],
    ({ algorithm, average }) =>
      ALGORITHMS[algorithm].meetsAtOnePoint && average !== "after"
        ? `--algorithm ${algorithm} averages after the step, not before it`
        : null,
  ),
  rule(["algorithm"], ({ algorithm }, explicit) =>
    idleOption(
      ignoredBy(algorithm).filter((name) => !COMPARED.includes(name)),
      explicit,
      `--algorithm ${algorithm}`,
    )),
  rule(
    ["optimizer"],
    ({ optimizer }, explicit) =>
      idleOption(ignoredByOptimizer(optimizer), explicit, `--optimizer ${optimizer}`),
  ),
  rule(
    ["task", "patience", "validFraction"],
    ({ task, patience, validFraction }) =>
      patience !== null && TASKS[task].kind === "images" && task !== "images" && validFraction === 0
        ? "--patience needs a validation set, which is not the test set: give --valid-fraction, such as 0.1"
        : null,
  ),
  ...STEPPING_RULES,
  rule(
    ["accumulate", "algorithm"],
    ({ accumulate, algorithm }) => {
      const { meetsAtOnePoint, ranks } = ALGORITHMS[algorithm];
      // Those whose drawn ranks begin at one point use gradients that no step of their own is taken along.
      return accumulate > 1 && meetsAtOnePoint && ranks === "drawn"
        ? `--accumulate does not go with --algorithm ${algorithm}, which has uses of its own for ` +
          "gradients: give a larger --batch-size"
        : null;
    },
  ),
  rule(["averageStates", "algorithm", ...STEP_OPTIONS], (options) => {
    if (!options.averageStates) return null;
    if (ALGORITHMS[options.algorithm].rounds === "none") {
      return `--average-states has no effect with --algorithm ${options.algorithm}: leave it out`;
    }
    const states = refusalOf(() => stepOf(options)) === null ? stepOf(options).rule.states : null;
    return states?.length === 0
      ? `--average-states has nothing to average with --optimizer ${options.optimizer} and no momentum`
      : null;
  }),
  rule(
    ["averageStates", "overlap"],
    ({ averageStates, overlap }) =>
      averageStates && overlap
        ? "--average-states does not go with --overlap, whose averages come late"
        : null,
  ),
  rule(
    ["schedule"],
    ({ schedule }, explicit) =>
      idleOption(ignoredBySchedule(schedule), explicit, `--schedule ${schedule}`),
  ),
  rule(
    ["task"],
    ({ task }, explicit) => idleOption(ignoredByTask(task), explicit, `--task ${task}`),
  ),
  rule(
    ["model"],
    ({ model }, explicit) => idleOption(ignoredByModel(model), explicit, `--model ${model}`),
  ),
  rule(
    ["algorithm", "ranks"],
    ({ algorithm }, { ranks = 1 }) =>
      ALGORITHMS[algorithm].ranks === "one" && ranks !== 1
        ? `--algorithm ${algorithm} runs on one rank, not on --ranks ${ranks}`
        : null,
  ),
  rule(
    ["world", "ranks"],
    ({ world, ranks }) =>
      world !== null && world < ranks
        ? `--world has all ranks, at least the ${ranks} that --ranks starts here, not ${world}`
        : null,
  ),
  rule(
    ["ranks", "participants"],
    ({ ranks, participants }) =>
      participants !== null && participants > ranks
        ? `--participants must be at most --ranks, ${ranks}, not ${participants}`
        : null,
  ),
  rule(
    ["algorithm", "sampling"],
    ({ algorithm, sampling }) =>
      ALGORITHMS[algorithm].refuses?.includes("sampling") && sampling !== "uniform"
        ? `--sampling ${sampling} does not go with --algorithm ${algorithm}, which needs all ranks in ` +
          "every round"
        : null,
  ),
  rule(
    ["algorithm", "ranks", "participants", "sampling"],
    ({ algorithm, ranks, participants, sampling }) => {
      if (!ALGORITHMS[algorithm].takes.includes("sampling")) return null;
      const count = participants ?? ranks;
      const refusal = refusalOf(() => checkSampling(parseSampling(sampling), ranks, count));
      return refusal && `--sampling: ${refusal}`;
    },
  ),
  rule(["algorithm", "ranks", "participants"], ({ algorithm, ranks, participants }) => {
    if (ALGORITHMS[algorithm].ranks === "drawn" || participants === null) return null;
    if (participants >= ranks) return null;
    return `--algorithm ${algorithm} needs all ${ranks} ranks in every round, not --participants ` +
      `${participants}: give --participants ${ranks}`;
  }),
  rule(["algorithm"], ({ algorithm }, explicit) => {
    const { refuses = [], meetsAtOnePoint } = ALGORITHMS[algorithm];
    if (meetsAtOnePoint) return null; // What that excludes is said elsewhere, and why.
    const defaults = defaultOptions();
    const found = refuses.find((name) => (explicit[name] ?? defaults[name]) !== defaults[name]);
    return found === undefined
      ? null
      : `${OPTIONS[found].flag} does not go with --algorithm ${algorithm}`;
  }),
  rule(
    ["syncEvery", "interval"],
    ({ syncEvery }, { interval = 1 }) =>
      syncEvery !== null && interval !== 1
        ? "--sync-every and --interval both say when a round is: give one of them"
        : null,
  ),
  rule(
    ["syncEvery", "overlap"],
    ({ syncEvery, overlap }) =>
      syncEvery !== null && overlap ? "--overlap does not go with --sync-every" : null,
  ),
  // The rules that follow make algorithms of the options.
  rule(STEP_OPTIONS, (options) => refusalOf(() => stepOf(options))),
  ...AVERAGING_RULES,
  ...RECOVERY_RULES,
  ...(["syncEvery", "overlap"] as const).map((name) =>
    rule(
      ["syncEpochs", name],
      (options) =>
        options.syncEpochs && options[name]
          ? `--sync-epochs does not go with ${OPTIONS[name].flag}`
          : null,
    )
  ),
  rule(
    ["overlap", "ranks", "participants"],
    ({ overlap, ranks, participants }) =>
      overlap && participants !== null && participants < ranks
        ? `--overlap needs all ${ranks} ranks in every round, not --participants ${participants}`
        : null,
  ),
  rule(["algorithm", ...ALGORITHM_OPTIONS], (options) => {
    // What is wrong with a step is said above, of the step.
    const { syncEvery, overlap, fragments, interval } = options;
    const plain = syncEvery === null && !overlap && fragments === 1;
    if (plain && typeof interval === "number") return null;
    return refusalOf(() => createAlgorithm(options.algorithm, options));
  }),
  rule(["algorithm", ...ALGORITHM_OPTIONS], (options) => {
    const { algorithm, clipBy } = options;
    if (!ALGORITHMS[algorithm].takes.includes("clipBy") || !CLIP_RULES[clipBy].usesAverage) {
      return null;
    }
    const refusal = refusalOf(() => createAlgorithm(algorithm, options));
    return refusal && `--clip-by ${clipBy}: ${refusal}`;
  }),
  ...DATA_RULES,
  rule(["task", "model"], ({ task, model }) => {
    const { kind } = TASKS[task], reads = isLanguageModel(model) ? "text" : "images";
    if (isModelFile(model) || (reads === "text") === (kind === "text")) return null;
    return `--model ${model} learns from ${reads}, --task ${task} is ${kind}: take ${
      { text: "--model awd-lstm or gpt", images: "a --model resnet", arrays: "--model mlp" }[kind]
    }, or another --task`;
  }),
  rule(["model", "width", "heads", "positions"], ({ model, width, heads, positions }) => {
    if (model !== "gpt") return null;
    if (width % heads !== 0) {
      return `--width ${width} is no multiple of --heads ${heads}, which share it`;
    }
    return positions === "rotary" && width / heads % 2 !== 0
      ? `--positions rotary turns pairs of features, and with --width ${width} and --heads ${heads} a ` +
        `head has ${width / heads}: make that an even number`
      : null;
  }),
  ...(["loss", "dims"] as const).map((name) =>
    rule(
      ["model", name],
      (options) =>
        options[name] === null || isModelFile(options.model) ||
          name === "loss" && options.model === "mlp"
          ? null
          : `--${name} is for a network from a file, not for --model ${options.model}`,
    )
  ),
  rule(
    ["task", "algorithm"],
    ({ task, algorithm }) =>
      TASKS[task].kind === "text" && ALGORITHMS[algorithm].drawsAside
        ? `--algorithm ${algorithm} draws mini-batches aside, and a text's state goes on from window to ` +
          "window: take another --algorithm, or a task of images"
        : null,
  ),
  rule(
    ["task", "averagingTrigger"],
    ({ task, averagingTrigger }) =>
      TASKS[task].kind !== "text" && averagingTrigger !== null
        ? `--averaging-trigger is for texts; for ${TASKS[task].kind} there is --ema`
        : null,
  ),
  rule(
    ["averaging", "averagingTrigger"],
    ({ averagingTrigger }, explicit) =>
      averagingTrigger === null
        ? idleOption(["averaging"], explicit, "--averaging-trigger none")
        : null,
  ),
  rule(
    ["trace", "traceKernels"],
    ({ trace, traceKernels }) =>
      traceKernels !== null && !trace
        ? "--trace-kernels is part of a trace: give --trace with it"
        : null,
  ),
  rule(
    ["device", "traceKernels"],
    ({ device, traceKernels }) =>
      traceKernels !== null && device === "webgpu"
        ? "--trace-kernels is for the CPU and WebAssembly: a GPU's engine records its commands once, and does not say " +
          "when it replays which"
        : null,
  ),
  rule(["tlsCert", "tlsKey", "tlsCa"], (files) => refusalOf(() => tlsOf(files))),
  rule(
    ["task", "ranks", "partition"],
    ({ task, ranks, partition }) =>
      refusalOf(() => checkPartition(parsePartition(partition), { data: TASKS[task].kind, ranks })),
  ),
];

/** What is said of options that are taken as they are. */
const NOTES: readonly Rule[] = [
  ...COMPARED.map((name) =>
    rule(["algorithm"], ({ algorithm }, explicit) => {
      if (!ignoredBy(algorithm).includes(name)) return null;
      return withoutEffect([name], explicit, `--algorithm ${algorithm}`);
    })
  ),
  rule(["algorithm", "preset"], ({ algorithm, preset }, explicit) => {
    const drawn = preset === null ? undefined : PRESETS[preset].options.participants;
    if (drawn === undefined || explicit.participants !== undefined) return null;
    return ALGORITHMS[algorithm].ranks === "one"
      ? `--participants ${drawn} of --preset ${preset} has no effect with --algorithm ${algorithm}`
      : null;
  }),
  rule(
    ["interval", "maxSteps"],
    ({ interval, maxSteps }, explicit) =>
      typeof interval === "number" && maxSteps !== null && maxSteps > 0 && maxSteps < interval &&
        explicit.interval !== undefined
        ? `--interval ${interval} is longer than the run of --max-steps ${maxSteps}: the ranks meet at its end alone`
        : null,
  ),
  rule(["threads", "device"], ({ threads }) => {
    const cores = navigator.hardwareConcurrency;
    return threads > cores
      ? `--threads ${threads} are more than this machine's ${cores} cores`
      : null;
  }),
];

/** What the rules say of options whose options are all there, in their order. */
function* said(rules: readonly Rule[], options: Explicit, explicit: Explicit): Iterable<string> {
  for (const { concerns, check } of rules) {
    if (!concerns.every((name) => options[name] !== undefined)) continue;
    const sentence = check(options as Options, explicit);
    if (sentence !== null) yield sentence;
  }
}

/**
 * Asks every rule whose options are there.
 *
 * @param options as resolved, or some of them
 * @param explicit those of them that were given
 * @throws OptionError with what the first rule says that refuses them
 */
export function checkRules(options: Explicit, explicit: Explicit): void {
  for (const refusal of said(RULES, options, explicit)) throw new OptionError(refusal);
}

/**
 * What a person should know of options that are possible: that one has no effect, for instance.
 *
 * @param options as resolved
 * @param explicit those of them that were given
 */
export function notesOn(options: Options, explicit: Explicit): string[] {
  return [...said(NOTES, options, explicit)];
}
