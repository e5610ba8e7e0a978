/**
 * What a caller of `train()` may hang into a run: functions that see its steps, rounds and evaluations, and can
 * stop it. They change no number of it.
 *
 * @module
 */

import type { EvalRecord, Position, RoundRecord, StepRecord } from "../../run/metrics.ts";

/** The run that a callback looks at. */
export interface CallbackRun {
  /** Whose steps are seen here. */
  readonly rank: number;
  /** All ranks of the run. */
  readonly ranks: number;
  /** Steps that each rank is to take; where rounds go by the clock, in the mean. */
  readonly steps: number;
  /**
   * Ends the run on all ranks, at the next point at which they agree: after a round, an evaluation or, where
   * there is one rank, a step. Then come the last average and the final evaluation, as at any end; the summary
   * has the reason in `stoppedBy`. Of several ranks that ask at once, the lowest is heard, and of several reasons
   * the first.
   *
   * @param reason one line, for people
   */
  stop(reason: string): void;
}

/** A step that is about to be taken. */
export interface BegunStep {
  /** Counted from 1. */
  readonly step: number;
  /** Passes over the training data before it. */
  readonly epoch: number;
  /** η, before the batch's own scale. */
  readonly lr: number;
  /** γ, likewise. */
  readonly clip: number;
}

/** Ranks that are about to meet. */
export interface BegunRound {
  /** Steps done. */
  readonly step: number;
  /** Its number, counted from 1. */
  readonly round: number;
}

/** What a hook is: called, and waited for if it returns a promise, before the rank goes on. */
export type Hook<Seen> = (seen: Seen, run: CallbackRun) => void | Promise<void>;

/**
 * Functions that are called along a run, on every rank that has given them: each sees its own rank's steps, and
 * all rounds and evaluations. Ranks may have different callbacks, and some none.
 *
 * A step's numbers are seen when they are there, which on a GPU is up to a few steps later, and always before a
 * round or an evaluation at that step is over. An error in one of them ends the job, and is told with its name.
 * They are no part of a checkpoint.
 *
 * @example
 * ```ts
 * import type { Callback } from "./callback.ts";
 * const enough: Callback = {
 *   name: "enough",
 *   afterEvaluation([{ split, loss }], run) {
 *     if (loss < 0.1) run.stop(`loss ${loss} on the ${split ?? "test"} set`);
 *   },
 * };
 * console.assert(enough.name === "enough");
 * ```
 */
export interface Callback {
  /** What it is called in errors and in the summary. */
  readonly name: string;
  /** Before a step of this rank. */
  readonly beforeStep?: Hook<BegunStep>;
  /** A step of this rank, as `metrics.jsonl` has it. */
  readonly afterStep?: Hook<Omit<StepRecord, "type">>;
  /** Before ranks meet, or take over averages that were on their way. */
  readonly beforeRound?: Hook<BegunRound>;
  /**
   * A round whose average has been taken over; `syncMs` and `drift` are this rank's, and 0 where it took no part.
   */
  readonly afterRound?: Hook<Omit<RoundRecord, "type">>;
  /** Before an evaluation; the position is this rank's. */
  readonly beforeEvaluation?: Hook<Position>;
  /** What it has come to, the same on every rank: first of the split that is watched. */
  readonly afterEvaluation?: Hook<readonly Omit<EvalRecord, "type">[]>;
}

/** The hooks by name, in the order in which a run comes to them. */
export const HOOKS = [
  "beforeStep",
  "afterStep",
  "beforeRound",
  "afterRound",
  "beforeEvaluation",
  "afterEvaluation",
] as const satisfies readonly Exclude<keyof Callback, "name">[];

/** What a hook of this name sees. */
export type Seen<Name extends typeof HOOKS[number]> = Parameters<NonNullable<Callback[Name]>>[0];

/** A callback of the caller's has failed; the error is its cause. */
export class CallbackError extends Error {
  /** The name of the class. */
  override readonly name = "CallbackError";
}
