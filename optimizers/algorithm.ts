/**
 * What a distributed optimizer is to the training loop: plain data and a pure function of the step. It
 * says what the update does and what the ranks exchange around which step; the loop holds the devices
 * and the network.
 *
 * @module
 */

import type { StepOptions } from "./clipped_step.ts";
import type { WeightsSize } from "./clipping/clip_rule.ts";
import type { StepSize } from "./schedule.ts";

/** What the ranks exchange around one step. */
export interface Communication {
  /**
   * What happens to the gradients before the update: nothing; their average over the ranks takes the
   * place of each rank's own (`replace`), with what a rank has kept of earlier steps, of which no update
   * was made (`collect`); the average is formed for its norm alone (`norm`); or the ranks average
   * gradients of a mini-batch drawn aside, by which they correct their own until the next time
   * (`correct`).
   */
  readonly gradients: "none" | "replace" | "collect" | "norm" | "correct";
  /** Whether the weights are averaged over the ranks, and on which side of the update. */
  readonly weights: "none" | "before" | "after";
}

/** A step at which nothing is sent. */
export const SILENT: Communication = { gradients: "none", weights: "none" };

/** What a round makes of the averaged weights. */
export interface OuterStep {
  /** Rounds from one such step to the next. @default {1} */
  readonly every?: number;
  /**
   * Takes the step, in place. All arrays hold one float for each trained weight.
   *
   * @param average the ranks' average; becomes the point from which the next round begins
   * @param start where the round began; the first of them, if a step is taken after several
   * @param buffer what the optimizer carries from round to round, zero at first
   * @param size η and γ of the round's last step
   */
  move(average: Float32Array, start: Float32Array, buffer: Float32Array, size: StepSize): void;
}

/**
 * Control variates: a rank takes its steps along g − c_i + c, where c_i is what it has learnt of its own
 * gradients and c what all ranks have learnt of theirs.
 */
export interface ControlVariates {
  /**
   * Rounds after which c_i becomes the mean of the gradients that the rank has taken since, of each rank that
   * took part in one of them; c remains the mean of all c_i.
   */
  readonly every: number;
  /**
   * Mini-batches, drawn aside, whose mean gradient at the initial weights each c_i begins as; 0: it begins as
   * zero.
   */
  readonly start: number;
}

/**
 * What ranks send each other in a round instead of weights: of how far each has moved, and what it owes of earlier
 * rounds, as much as a codec leaves. The rest is owed.
 */
export interface SentDisplacements {
  /** The codec, as in `--compress`. */
  readonly compress: string;
  /** β: what is left of a debt after a round, from 0 to 1. */
  readonly decay: number;
}

/** The steps of a round: those after `begin`, up to `end`. */
export interface RoundSpan {
  /** The step after which it begins, 0 for the first. */
  readonly begin: number;
  /** Its last step. */
  readonly end: number;
}

/** Which round a step belongs to, where rounds are of different lengths. Pure. */
export interface RoundSchedule {
  /** The round of step `t`, counted from 1. */
  roundOf(t: number): RoundSpan;
}

/** The weights in parts that are averaged at different steps, see `fragmented`. */
export interface Fragments {
  /** Parts, P. */
  readonly count: number;
  /** Those that are averaged after step `t`, from 0, in increasing order. Pure. */
  due(t: number): readonly number[];
}

/** Averages that are taken over late, see `overlapped`. */
export interface Overlap {
  /** τ, the steps after which; null: when the next is due. */
  readonly delay: number | null;
  /** α, how much of the rank's own weights stays; null: they keep what they have learnt meanwhile. */
  readonly mix: number | null;
}

/** When rounds take place that go by the clock. */
export interface TimedRounds {
  /** T, in seconds. */
  readonly seconds: number;
  /**
   * Whether a rank goes to the next round now, asked after each of its steps.
   *
   * @param elapsed seconds since the last round ended, on this rank's clock
   * @param steps it has taken since
   * @param remaining steps that each rank would have to take for the run to be over
   */
  isDue(elapsed: number, steps: number, remaining: number): boolean;
  /** Whether ranks count for as much as they have learnt from since the last round, not all alike. */
  readonly weighs: boolean;
  /**
   * As {@linkcode Algorithm.driftBound}, for a round to which the ranks came with unequal numbers of steps.
   *
   * @param steps of each rank
   * @param shares how much each counts in the average; they sum to 1
   */
  driftBound(
    clip: number,
    steps: readonly number[],
    shares: readonly number[],
    weights?: WeightsSize,
  ): number | null;
}

/** A distributed optimizer. */
export interface Algorithm {
  /** As in `--algorithm`. */
  readonly name: string;
  /** What the update appends to the training graph. */
  readonly update: StepOptions;
  /**
   * Steps from one averaging of the weights to the next, of the first round where they change; null where
   * none is due at a step.
   */
  readonly interval: number | null;
  /** The rounds, where they are of different lengths, see `scheduled`; absent: all are of `interval` steps. */
  readonly rounds?: RoundSchedule;
  /** The parts of the weights, where they are averaged at different steps; absent: there is one. */
  readonly fragments?: Fragments;
  /** What is exchanged around step `t`, counted from 1. Pure, and the same on every rank. */
  exchange(t: number): Communication;
  /** Whether the average of a round is taken over later, see `overlapped`; absent: it is waited for. */
  readonly overlap?: Overlap;
  /**
   * What a rank does that a round has not drawn. It goes on from its own weights; or it waits: it takes no
   * steps, and gets the average of the others, so that all ranks begin each round at one point.
   *
   * @default {"goes-on"}
   */
  readonly undrawn?: "goes-on" | "waits";
  /**
   * Whether all ranks take the same steps, so that their weights are equal without an average: a round then
   * averages running statistics alone.
   *
   * @default {false}
   */
  readonly alike?: boolean;
  /** What ranks send in a round where it is not their weights. */
  readonly sends?: SentDisplacements;
  /** Control variates; absent: none. */
  readonly controls?: ControlVariates;
  /** When rounds take place that go by the clock, see `timedRounds`; absent: `exchange` tells. */
  readonly timed?: TimedRounds;
  /** Taken by every rank alike after each averaging of the weights; absent: the average stands. */
  readonly outer?: OuterStep;
  /**
   * The proven bound on a rank's distance to the average, ‖x̄ − x_i‖₂, when it meets the others, for a
   * clipping threshold that never exceeded `clip` since they last met; null where none is proven.
   *
   * @param weights what is trained, on which the bound of clipping by parts depends; without it those have none
   * @param steps that each rank has taken since, at most. @default {the interval}
   */
  driftBound(clip: number, weights?: WeightsSize, steps?: number): number | null;
}

/** An interval is a number of steps, 1 or more; throws RangeError. */
export function checkInterval(interval: number): number {
  if (!Number.isSafeInteger(interval) || interval < 1) {
    throw new RangeError(
      `the interval between rounds is a number of steps from 1, not ${interval}`,
    );
  }
  return interval;
}
