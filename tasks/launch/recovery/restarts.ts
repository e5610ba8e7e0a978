/**
 * How often a run that fails starts again, and when: as torchrun's `--max-restarts`, but those count that come
 * no further, and the pause before each grows.
 *
 * @module
 */

import type { Options } from "../../options/table.ts";
import { checkpointSteps } from "../../run/checkpoint.ts";
import { type Again, type Failed, goBack, type ReturningRun } from "./again.ts";

/** Seconds before the first restart; each that comes no further waits twice as long. */
const FIRST_PAUSE = 1;

/** No pause is longer, in seconds. */
const LONGEST_PAUSE = 30;

/** Seconds to wait before the n-th start again in a row, from 1. */
export function restartPause(count: number): number {
  return Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (count - 1));
}

/** A failure of a run. */
export interface Failure {
  /** The step at which it came, if it is known. */
  readonly step: number | null;
  /** The step of the newest checkpoint; 0 without one. */
  readonly from: number;
}

/** A start again. */
export interface Restart {
  /** Seconds to wait before. */
  readonly pause: number;
  /** What a person is to be told of it. */
  readonly line: string;
}

/** The restarts of a run. */
export class Restarts {
  readonly #most: number;
  /** Failures since the run has last come further. */
  #failures: Failure[] = [];

  /** @param most how often in a row it may start again without having come further */
  constructor(most: number) {
    this.#most = most;
  }

  /** Those that a run may have. */
  static of({ onFailure, maxRestarts }: Pick<Options, "onFailure" | "maxRestarts">): Restarts {
    return new Restarts(onFailure === "restart" ? maxRestarts : 0);
  }

  /** What follows a failure; null: the run ends with it. */
  after(failure: Failure): Restart | null {
    const before = this.#failures.at(-1);
    if (before && failure.from > before.from) this.#failures = [];
    const same = failure.step !== null && this.#failures.some(({ step }) => step === failure.step);
    const count = this.#failures.push(failure);
    if (count > this.#most) return null;
    const pause = restartPause(count);
    const again = same
      ? `; it failed at step ${failure.step} before: that comes from the run itself rather than from a machine`
      : "";
    const where = failure.from === 0 ? "the beginning" : `step ${failure.from}`;
    return { pause, line: `restart ${count} of ${this.#most} from ${where} in ${pause} s${again}` };
  }
}

/**
 * Waits.
 *
 * @returns whether it was long enough: false if the signal has aborted meanwhile
 */
export async function pause(seconds: number, signal?: AbortSignal): Promise<boolean> {
  if (signal?.aborted) return false;
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(true), 1000 * seconds), abort = () => resolve(false);
  signal?.addEventListener("abort", abort, { once: true });
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

/**
 * Takes a run back to start again, after a pause; null: it has done so too often, or the signal has aborted meanwhile.
 *
 * @param restarts those so far
 */
export async function restart(
  run: ReturningRun,
  restarts: Restarts,
  { failure, what }: Failed,
  signal?: AbortSignal,
): Promise<Again | null> {
  const newest = (await checkpointSteps(run.directory)).at(-1) ?? 0;
  const next = restarts.after({ step: failure?.step ?? null, from: newest });
  if (!next) return null;
  run.say(`${what}\n${next.line}`);
  if (!await pause(next.pause, signal)) return null;
  const from = await goBack(run, (step, { restarts = [] }) => ({ restarts: [...restarts, step] }));
  return { from };
}
