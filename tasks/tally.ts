/**
 * Sums over a run, on one rank and then over all of them.
 *
 * @module
 */

import type { Communicator } from "../runtime/communicator.ts";
import type { Summary } from "./metrics.ts";

/** What a tally is told of a step. */
export interface TalliedStep {
  readonly loss: number;
  readonly clipped: boolean;
  readonly stepMs: number;
  /** Seconds of the step that went into exchanges. */
  readonly syncSeconds: number;
  /** Whether it is among the last steps of the run, over which the training loss is averaged. */
  readonly inTail: boolean;
}

/** The part of a summary that is summed up. */
export type Totals = Pick<
  Summary,
  | "trainLoss"
  | "trainSeconds"
  | "stepsPerSecond"
  | "samplesPerSecond"
  | "communicationShare"
  | "totalBytesSent"
  | "clipRate"
  | "maxDrift"
  | "driftBound"
>;

/** One rank's sums. */
export class Tally {
  readonly #clips: boolean;
  #seconds = 0;
  #syncSeconds = 0;
  #clipped = 0;
  #tailLoss = 0;
  #tailSteps = 0;
  #rounds = 0;
  #maxDrift = 0;
  #driftBound: number | null = null;

  /** @param clips whether the algorithm clips at all */
  constructor(clips: boolean) {
    this.#clips = clips;
  }

  /** Adds a step. */
  step({ loss, clipped, stepMs, syncSeconds, inTail }: TalliedStep): void {
    this.#seconds += stepMs / 1000;
    this.#syncSeconds += syncSeconds;
    if (clipped) this.#clipped++;
    if (!inTail) return;
    this.#tailLoss += loss;
    this.#tailSteps++;
  }

  /** Adds a round. */
  round(drift: number, bound: number | null): void {
    this.#rounds++;
    this.#maxDrift = Math.max(this.#maxDrift, drift);
    if (bound !== null) this.#driftBound = Math.max(this.#driftBound ?? 0, bound);
  }

  /** Sums over the ranks. Collective. */
  async total(
    comm: Communicator,
    own: { steps: number; batchSize: number; bytesSent: number },
  ): Promise<Totals> {
    const sums = Float64Array.of(
      this.#seconds,
      this.#syncSeconds,
      this.#clipped,
      this.#tailLoss,
      this.#tailSteps,
      own.bytesSent,
    );
    await comm.allreduce(sums, "sum");
    const drift = Float64Array.of(this.#maxDrift);
    await comm.allreduce(drift, "max");
    const [seconds, syncSeconds, clipped, tailLoss, tailSteps, bytesSent] = sums;
    const { steps, batchSize } = own;
    const trainSeconds = seconds / comm.size;
    const perSecond = (count: number) => trainSeconds > 0 ? count / trainSeconds : 0;
    return {
      trainLoss: tailSteps > 0 ? tailLoss / tailSteps : null,
      trainSeconds,
      stepsPerSecond: perSecond(steps),
      samplesPerSecond: perSecond(steps * batchSize * comm.size),
      communicationShare: seconds > 0 ? syncSeconds / seconds : 0,
      totalBytesSent: bytesSent,
      clipRate: this.#clips && steps > 0 ? clipped / (steps * comm.size) : null,
      maxDrift: this.#rounds > 0 ? drift[0] : null,
      driftBound: this.#driftBound,
    };
  }
}
