/**
 * Every algorithm, in one table: what `--algorithm` may be, how each is made from a run's options, which
 * options it takes, and when its ranks meet. Whoever asks what an algorithm is asks here and compares
 * no names; an algorithm that lacks an entry, or an entry that lacks an answer, does not compile.
 *
 * @module
 */

import type { Algorithm } from "./algorithm.ts";
import { AMPLIFICATION, amplifiedScaffold } from "./algorithms/amplified_scaffold.ts";
import type { AlgorithmOptions, ScheduledOptions } from "./algorithm_options.ts";
import { celgc } from "./algorithms/celgc.ts";
import type { StepOptions } from "./clipped_step.ts";
import { diloco, DILOCO_DEFAULTS } from "./algorithms/diloco.ts";
import { fedProx } from "./algorithms/fedprox.ts";
import { episode } from "./algorithms/episode.ts";
import { episodePlusPlus } from "./algorithms/episode_plus_plus.ts";
import { localSgd } from "./algorithms/local_sgd.ts";
import { minibatchClip } from "./algorithms/minibatch_clip.ts";
import { naiveParallel } from "./algorithms/naive_parallel.ts";
import { fragmented } from "./rounds/fragments.ts";
import { formatInterval, parseInterval, roundsOf } from "./rounds/interval.ts";
import { overlapped } from "./rounds/overlap.ts";
import { ruleEntry, type RuleOptions } from "./rule_registry.ts";
import { parseSampling, periodOf } from "./sampling.ts";
import { scaffold, scaffoldClip } from "./algorithms/scaffold.ts";
import { single } from "./algorithms/single.ts";
import { slowMo, SLOWMO_DEFAULTS } from "./algorithms/slowmo.ts";
import { sparseLoco, SPARSELOCO_DEFAULTS } from "./algorithms/sparseloco.ts";
import { scheduled } from "./rounds/scheduled.ts";
import { timedRounds } from "./rounds/timed_rounds.ts";

export type { AlgorithmOptions, ScheduledOptions } from "./algorithm_options.ts";

/** The algorithms, as in `--algorithm`; the first is the default. */
export const ALGORITHM_NAMES = [
  "celgc",
  "naive-parallel",
  "single",
  "local-sgd",
  "slowmo",
  "diloco",
  "episode",
  "fedprox",
  "minibatch-clip",
  "scaffold",
  "scaffold-clip",
  "episode++",
  "amplified-scaffold",
  "sparseloco",
] as const;

/** One of the algorithms. */
export type AlgorithmName = typeof ALGORITHM_NAMES[number];

/** The paper's baseline, with which the others are compared. */
export const BASELINE: AlgorithmName = "naive-parallel";

/** Options of a run, by their names in code, that not every algorithm takes. */
export const SELECTIVE_OPTIONS = [
  "interval",
  "syncEvery",
  "weigh",
  "syncEpochs",
  "average",
  "fragments",
  "overlap",
  "delay",
  "mix",
  "participants",
  "sampling",
  "clip",
  "clipBy",
  "decayClip",
  "outerLr",
  "outerMomentum",
  "proximalMu",
  "period",
  "residualDecay",
  "ranks",
  "partition",
  "compress",
] as const;

/** An option that not every algorithm takes. */
export type SelectiveOption = typeof SELECTIVE_OPTIONS[number];

/** Options of a run, by their names in code, that decide what a step appends to the graph. */
export const STEP_OPTIONS = [
  "optimizer",
  "clipBy",
  "momentum",
  "dampening",
  "nesterov",
  "weightDecay",
  "noDecay",
  "beta1",
  "beta2",
  "eps",
  "proximalMu",
] as const satisfies readonly (keyof AlgorithmOptions)[];

/** All that an algorithm is made from. */
export const ALGORITHM_OPTIONS = [
  ...STEP_OPTIONS,
  "interval",
  "syncEvery",
  "weigh",
  "average",
  "fragments",
  "overlap",
  "delay",
  "mix",
  "outerLr",
  "outerMomentum",
  "period",
  "residualDecay",
  "compress",
  "sampling",
  "ranks",
] as const satisfies readonly (keyof AlgorithmOptions)[];

/** What is known of an algorithm before it is made. */
export interface AlgorithmEntry {
  /** Makes it. Throws RangeError if the options do not fit together. */
  create(options: AlgorithmOptions): Algorithm;
  /** The selective options that change what it does. */
  readonly takes: readonly SelectiveOption[];
  /**
   * Those that it cannot be given, because something else would come of them than they say. What is neither
   * here nor in `takes` has no effect: cells of a sweep that differ in such options alone are one.
   *
   * @default {none}
   */
  readonly refuses?: readonly SelectiveOption[];
  /** Its own value of an option whose default is null. */
  readonly defaults?: Readonly<Partial<Record<SelectiveOption, number>>>;
  /**
   * Whether I can change from round to round: what is exchanged around a step depends on nothing but its place
   * in its round.
   *
   * @default {false}
   */
  readonly schedules?: boolean;
  /** When the ranks average their weights: never, at every step, or every I steps. */
  readonly rounds: "none" | "every-step" | "interval";
  /** Who runs it: one rank alone, all ranks in each round, or as many of them as are drawn. */
  readonly ranks: "one" | "all" | "drawn";
  /** Whether a round begins at one point for all ranks, so that none may miss the end of the last. */
  readonly meetsAtOnePoint: boolean;
  /** Whether what it clips is the ranks' averaged gradient, whose norm is then its own. @default {false} */
  readonly clipsAverage?: boolean;
  /** Whether it takes mini-batches aside, which a text, whose state goes on from batch to batch, has not. */
  readonly drawsAside: boolean;
}

const CLIPPING = ["clip", "clipBy", "decayClip"] as const;
/** Options of a clipped round, which one norm decides. */
const CLIPPED_ROUNDS = ["clip", "decayClip"] as const;
const OUTER = ["outerLr", "outerMomentum"] as const;
const RANKS = ["ranks", "partition", "compress"] as const;
/** Options of who takes part in a round. */
const DRAWN = ["participants", "sampling"] as const;
/** Options of rounds whose averages come in parts, or late. */
const IN_PARTS = ["fragments", "overlap", "delay", "mix"] as const;
/** Options of rounds that are plain averages of the weights. */
const PLAIN_ROUNDS = [
  "interval",
  "syncEvery",
  "weigh",
  "syncEpochs",
  "average",
  ...IN_PARTS,
  ...DRAWN,
] as const;
/** What rounds that begin at one point for all ranks cannot do. */
const WAITING_REFUSES = ["syncEvery"] as const;
/** The same, where all ranks take part in each. */
const TOGETHER_REFUSES = [...WAITING_REFUSES, ...DRAWN] as const;

/** The algorithms by name. */
export const ALGORITHMS: Readonly<Record<AlgorithmName, AlgorithmEntry>> = {
  "celgc": {
    create: (options) => {
      const { interval, average } = options;
      return celgc({ interval, average, step: stepOf(options) });
    },
    takes: [...PLAIN_ROUNDS, ...CLIPPING, ...RANKS],
    schedules: true,
    rounds: "interval",
    ranks: "drawn",
    meetsAtOnePoint: false,
    drawsAside: false,
  },
  "naive-parallel": {
    create: (options) => naiveParallel({ step: stepOf(options) }),
    takes: [...DRAWN, ...CLIPPING, ...RANKS],
    clipsAverage: true,
    rounds: "every-step",
    ranks: "drawn",
    meetsAtOnePoint: false,
    drawsAside: false,
  },
  "single": {
    create: (options) => single({ step: stepOf(options) }),
    takes: [...CLIPPING],
    clipsAverage: true,
    rounds: "none",
    ranks: "one",
    meetsAtOnePoint: false,
    drawsAside: false,
  },
  "local-sgd": {
    create: (options) => {
      const { interval, average } = options;
      return localSgd({ interval, average, step: stepOf(options) });
    },
    takes: [...PLAIN_ROUNDS, ...RANKS],
    schedules: true,
    rounds: "interval",
    ranks: "drawn",
    meetsAtOnePoint: false,
    drawsAside: false,
  },
  "slowmo": {
    create: (options) => {
      const { interval } = options;
      return slowMo({ interval, step: stepOf(options), ...outerOf(options) });
    },
    takes: ["interval", ...IN_PARTS, ...CLIPPING, ...OUTER, ...RANKS],
    refuses: TOGETHER_REFUSES,
    defaults: outerDefaults(SLOWMO_DEFAULTS),
    schedules: true,
    rounds: "interval",
    ranks: "all",
    meetsAtOnePoint: true,
    drawsAside: false,
  },
  "diloco": {
    create: (options) => {
      const { interval } = options;
      return diloco({ interval, step: stepOf(options), ...outerOf(options) });
    },
    takes: ["interval", ...IN_PARTS, ...CLIPPING, ...OUTER, ...RANKS],
    refuses: TOGETHER_REFUSES,
    defaults: outerDefaults(DILOCO_DEFAULTS),
    schedules: true,
    rounds: "interval",
    ranks: "all",
    meetsAtOnePoint: true,
    drawsAside: false,
  },
  "episode": {
    create: (options) => episode({ interval: options.interval, step: stepOf(options) }),
    takes: ["interval", ...DRAWN, ...CLIPPED_ROUNDS, ...RANKS],
    refuses: WAITING_REFUSES,
    schedules: true,
    rounds: "interval",
    ranks: "drawn",
    meetsAtOnePoint: true,
    drawsAside: true,
  },
  "fedprox": {
    create: (options) => {
      const { interval, average, proximalMu: mu } = options;
      return fedProx({ interval, average, mu, step: stepOf(options) });
    },
    takes: ["interval", "average", ...DRAWN, ...CLIPPING, "proximalMu", ...RANKS],
    refuses: ["syncEvery", ...IN_PARTS],
    schedules: true,
    rounds: "interval",
    ranks: "drawn",
    meetsAtOnePoint: false,
    drawsAside: false,
  },
  "minibatch-clip": {
    create: (options) => minibatchClip({ interval: options.interval, step: stepOf(options) }),
    takes: ["interval", ...DRAWN, ...CLIPPING, ...RANKS],
    refuses: WAITING_REFUSES,
    clipsAverage: true,
    rounds: "interval",
    ranks: "drawn",
    meetsAtOnePoint: true,
    drawsAside: false,
  },
  "scaffold": {
    create: (options) => scaffold({ interval: options.interval, step: stepOf(options) }),
    takes: ["interval", ...DRAWN, ...RANKS],
    refuses: WAITING_REFUSES,
    rounds: "interval",
    ranks: "drawn",
    meetsAtOnePoint: true,
    drawsAside: true,
  },
  "scaffold-clip": {
    create: (options) => scaffoldClip({ interval: options.interval, step: stepOf(options) }),
    takes: ["interval", ...DRAWN, ...CLIPPING, ...RANKS],
    refuses: WAITING_REFUSES,
    rounds: "interval",
    ranks: "drawn",
    meetsAtOnePoint: true,
    drawsAside: true,
  },
  "episode++": {
    create: (options) => episodePlusPlus({ interval: options.interval, step: stepOf(options) }),
    takes: ["interval", ...DRAWN, ...CLIPPED_ROUNDS, ...RANKS],
    refuses: WAITING_REFUSES,
    rounds: "interval",
    ranks: "drawn",
    meetsAtOnePoint: true,
    drawsAside: true,
  },
  "amplified-scaffold": {
    create: (options) => {
      const { interval, outerLr, sampling, ranks } = options;
      const period = options.period ?? periodOf(parseSampling(sampling), ranks);
      const amplification = outerLr ?? AMPLIFICATION;
      return amplifiedScaffold({ interval, period, amplification, step: stepOf(options) });
    },
    takes: ["interval", "period", "outerLr", ...DRAWN, ...RANKS],
    refuses: WAITING_REFUSES,
    defaults: { outerLr: AMPLIFICATION },
    rounds: "interval",
    ranks: "drawn",
    meetsAtOnePoint: true,
    drawsAside: false,
  },
  "sparseloco": {
    create: (options) => {
      const { interval, residualDecay, compress, outerLr } = options;
      return sparseLoco({
        interval,
        residualDecay,
        ...compress === "none" ? {} : { compress },
        ...outerLr === null ? {} : { outerLearningRate: outerLr },
        step: stepOf(options),
      });
    },
    takes: ["interval", "residualDecay", "outerLr", ...CLIPPING, ...RANKS],
    refuses: TOGETHER_REFUSES,
    defaults: { outerLr: SPARSELOCO_DEFAULTS.outerLearningRate },
    rounds: "interval",
    ranks: "all",
    meetsAtOnePoint: true,
    drawsAside: false,
  },
};

/** The algorithms that an option changes, in the order of their names. */
export function takersOf(option: SelectiveOption): AlgorithmName[] {
  return ALGORITHM_NAMES.filter((name) => ALGORITHMS[name].takes.includes(option));
}

/** Whether a name is an algorithm's. */
export function isAlgorithm(name: unknown): name is AlgorithmName {
  return ALGORITHM_NAMES.some((known) => known === name);
}

/**
 * Makes an algorithm: with a schedule of intervals where it has one; with `syncEvery` its rounds go by the
 * clock, with `fragments` they average parts of the weights, with `overlap` their averages travel while steps
 * go on.
 *
 * @param learningRate η of step t, on which intervals may depend; so large by default that they are as short
 * as they can be
 * @throws RangeError if the options do not fit together
 */
export function createAlgorithm(
  name: AlgorithmName,
  options: ScheduledOptions,
  learningRate: (t: number) => number = () => Infinity,
): Algorithm {
  const { create, takes, schedules = false } = ALGORITHMS[name];
  const { syncEvery, weigh, fragments } = options;
  const spec = parseInterval(takes.includes("interval") ? options.interval : 1);
  const constant = formatInterval(spec);
  if (typeof constant !== "number" && !schedules) {
    throw new RangeError(
      `the interval of ${name} is one number of steps for the whole run, not "${constant}"`,
    );
  }
  const algorithm = typeof constant === "number"
    ? create({ ...options, interval: constant })
    : scheduled((interval) => create({ ...options, interval }), roundsOf(spec, learningRate));
  if (syncEvery !== null) return timedRounds(algorithm, syncEvery, weigh);
  const inParts = fragments > 1 ? fragmented(algorithm, fragments) : algorithm;
  return options.overlap ? overlapped(inParts, options) : inParts;
}

/** What the options say of a single step. Throws RangeError if they do not fit together. */
export function stepOf(
  { clipBy, optimizer, rule, ...options }:
    & Pick<AlgorithmOptions, "clipBy" | "optimizer" | "rule">
    & RuleOptions,
): StepOptions {
  return { clips: true, clipBy, rule: rule ?? ruleEntry(optimizer).create(options) };
}

/** The outer step's options, as far as they were given. */
function outerOf({ outerLr, outerMomentum }: AlgorithmOptions) {
  return {
    ...(outerLr === null ? {} : { outerLearningRate: outerLr }),
    ...(outerMomentum === null ? {} : { outerMomentum }),
  };
}

function outerDefaults(
  { outerLearningRate: outerLr, outerMomentum }: typeof SLOWMO_DEFAULTS | typeof DILOCO_DEFAULTS,
): Partial<Record<SelectiveOption, number>> {
  return { outerLr, outerMomentum };
}
