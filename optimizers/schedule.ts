/**
 * How the learning rate η and the clipping threshold γ change while training: pure functions of where a
 * step stands.
 *
 *     constant   η
 *     step       η · factor^s, s of the given epochs being over (the paper's stage-wise decay)
 *     linear     from η down to η_min at the run's end
 *     cosine     η_min + ½ (η − η_min) (1 + cos πp), p being the share of the run that is over
 *     wsd        η, and over the last fifth of the steps linearly down to η_min: warm-up, stable, decay
 *
 * With a warm-up of W steps the n-th of them, from 1, has n/W of what the schedule says; linear and cosine
 * count p from its end.
 *
 * Cosine: Loshchilov and Hutter, SGDR, ICLR 2017, equation 5, without restarts. Wsd: Zhai et al., Scaling
 * Vision Transformers, CVPR 2022; Hägele et al., Scaling Laws and Compute-Optimal Training Beyond Fixed
 * Training Durations, NeurIPS 2024, from which the fifth is. Warm-up: Goyal et al. 2017.
 *
 * @module
 */

/** Stage-wise decay: at each of the given epochs, multiply by a factor. */
export interface StageDecay {
  /** Epochs at which a stage begins, counted in passes over the data; need not be whole. */
  readonly at: readonly number[];
  /** What η is multiplied by at each. */
  readonly factor: number;
  /** Whether γ is multiplied as well, as in the authors' code. */
  readonly decaysClip: boolean;
}

/** The two sizes a clipped step is given. */
export interface StepSize {
  /** η */
  readonly learningRate: number;
  /** γ */
  readonly clipThreshold: number;
}

/** Where a step stands. */
export interface StepPosition {
  /** Steps done before it; where ranks take unequal numbers of them, in the mean. */
  readonly done: number;
  /** Steps of the run. */
  readonly steps: number;
  /** Passes over the data that are done before it. */
  readonly epoch: number;
}

/** A schedule with its numbers. */
export interface Schedule {
  /** Which one. */
  readonly name: ScheduleName;
  /** W, in steps; 0 for none. */
  readonly warmup: number;
  /** η_min, what linear, cosine and wsd come down to. */
  readonly least: number;
  /** The stages of `step`; for all, whether γ goes as η does. */
  readonly decay: StageDecay;
}

/** One of the schedules, as in `--schedule`. */
export type ScheduleName = "constant" | "step" | "linear" | "cosine" | "wsd";

/** The schedules that are a way from η down to η_min. */
type Descent = Exclude<ScheduleName, "step">;

/** Share of the steps over which wsd decays. */
const WSD_DECAY = 0.2;

/** The share of the way from η down to η_min, from 0 to 1, when the share `p` of the run is over. */
const DESCENTS: Readonly<Record<Descent, (over: number) => number>> = {
  "constant": () => 0,
  "linear": (p) => p,
  "cosine": (p) => (1 - Math.cos(Math.PI * p)) / 2,
  "wsd": (p) => Math.max(0, (p - (1 - WSD_DECAY)) / WSD_DECAY),
};

/** The schedules, as in `--schedule`. */
export const SCHEDULE_NAMES = [
  "constant",
  "step",
  "linear",
  "cosine",
  "wsd",
] as const satisfies readonly ScheduleName[];

/** Whether a schedule comes down to an η_min. */
export const descends = (name: ScheduleName): boolean => name !== "constant" && name !== "step";

/**
 * η and γ of a step. Without a warm-up `step` is {@linkcode stageWise}, bit for bit.
 *
 * @param initial before any decay
 *
 * @example
 * ```ts
 * import { sizeAt } from "./schedule.ts";
 * const decay = { at: [], factor: 1, decaysClip: false };
 * const schedule = { name: "cosine", warmup: 10, least: 0, decay } as const;
 * const initial = { learningRate: 1, clipThreshold: 1 };
 * const rate = (done: number) => sizeAt(initial, schedule, { done, steps: 110, epoch: 0 }).learningRate;
 * console.assert(rate(4) === 0.5 && rate(10) === 1 && Math.abs(rate(60) - 0.5) < 1e-12);
 * ```
 */
export function sizeAt(initial: StepSize, schedule: Schedule, at: StepPosition): StepSize {
  const { name, warmup, least, decay } = schedule, { done, steps, epoch } = at;
  const scheduled = name === "step"
    ? stageWise(initial, decay, epoch)
    : scaled(initial, descent(name, least / initial.learningRate, { done, steps, warmup }), decay);
  return done >= warmup ? scheduled : scaled(scheduled, (done + 1) / warmup, decay);
}

/** What a descent multiplies η by. */
function descent(
  name: Descent,
  least: number,
  { done, steps, warmup }: Omit<StepPosition, "epoch"> & Pick<Schedule, "warmup">,
): number {
  const from = name === "wsd" ? 0 : warmup;
  const over = Math.min(1, Math.max(0, done - from) / Math.max(1, steps - from));
  return 1 - (1 - least) * DESCENTS[name](over);
}

/** Both sizes times a factor, γ as far as it goes with η. */
function scaled(
  { learningRate, clipThreshold }: StepSize,
  factor: number,
  { decaysClip }: Pick<StageDecay, "decaysClip">,
): StepSize {
  return {
    learningRate: learningRate * factor,
    clipThreshold: clipThreshold * (decaysClip ? factor : 1),
  };
}

/**
 * η and γ of a step that begins when `epoch` passes are done: a step that begins exactly at a stage's
 * epoch belongs to that stage.
 *
 * @example
 * ```ts
 * import { stageWise } from "./schedule.ts";
 * const decay = { at: [80, 120], factor: 0.1, decaysClip: false };
 * const { learningRate } = stageWise({ learningRate: 0.5, clipThreshold: 1 }, decay, 80);
 * console.assert(learningRate === 0.05);
 * ```
 */
export function stageWise(initial: StepSize, decay: StageDecay, epoch: number): StepSize {
  const stage = decay.at.filter((begin) => epoch >= begin).length;
  return scaled(initial, decay.factor ** stage, decay);
}
