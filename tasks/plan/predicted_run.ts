/**
 * A run while it is predicted, step by step.
 *
 * @module
 */

import type { Algorithm } from "../../optimizers/mod.ts";
import { takenOver } from "../../optimizers/rounds/overlap.ts";
import type { ExchangeCost } from "./exchange_cost.ts";
import type { Exchanges } from "./exchanges.ts";
import type { GradientSync, Measured } from "./measured.ts";

/** All weights, as one part. */
const WHOLE: readonly number[] = [0];

/** The wall clock of a run, and the averages that travel while it goes on, one after the other. */
class Timeline {
  /** The wall clock. */
  seconds = 0;
  /** Seconds in which averages that have been sent travel while steps go on. */
  hiddenSeconds = 0;
  /** When the average of a part that travels will have arrived. */
  readonly #arrivals = new Map<number, number>();
  /** When the link is free again. */
  #linkFree = 0;

  /** Sends the average of a part, for which so many seconds are needed once the link is free. */
  send(part: number, seconds: number): void {
    this.#linkFree = Math.max(this.seconds, this.#linkFree) + seconds;
    this.hiddenSeconds += seconds;
    this.#arrivals.set(part, this.#linkFree);
  }

  /** Waits for the average of a part, where it is still on its way. */
  receive(part: number): void {
    const arrival = this.#arrivals.get(part);
    if (arrival === undefined) return;
    this.#arrivals.delete(part);
    if (arrival <= this.seconds) return;
    this.hiddenSeconds -= arrival - this.seconds;
    this.seconds = arrival;
  }

  /** Waits for all that is on its way. */
  receiveAll(): void {
    for (const part of [...this.#arrivals.keys()]) this.receive(part);
  }
}

/** What a run has come to so far: its steps and rounds are taken one after the other. */
export class PredictedRun {
  readonly #measured: Pick<Measured, "step" | "round">;
  readonly #algorithm: Algorithm;
  readonly #exchanges: Exchanges;
  readonly #timeline = new Timeline();
  /** Seconds of the mean rank's steps. */
  #working = 0;
  /** Rounds of averaging: one for each part that is averaged. */
  rounds = 0;
  /** Payload bytes that all ranks have sent. */
  bytesSent: number;
  /** Most payload bytes that one rank has sent for the rounds after one step. */
  peakBytesSent = 0;

  constructor(
    measured: Pick<Measured, "step" | "round">,
    algorithm: Algorithm,
    exchanges: Exchanges,
  ) {
    this.#measured = measured;
    this.#algorithm = algorithm;
    this.#exchanges = exchanges;
    this.bytesSent = exchanges.start.bytes;
  }

  /** Wall clock of the training. */
  get seconds(): number {
    return this.#timeline.seconds;
  }

  /** Seconds in which averages travel while steps go on. */
  get hiddenSeconds(): number {
    return Math.max(0, this.#timeline.hiddenSeconds);
  }

  /** Share of the wall clock that goes into exchanges, waiting included. */
  get communicationShare(): number {
    return this.seconds > 0 ? 1 - this.#working / this.seconds : 0;
  }

  /**
   * Step `t`, and the rounds after it.
   *
   * @throws RangeError if no step was measured that exchanges gradients as this one does
   */
  step(t: number): void {
    const { gradients, weights } = this.#algorithm.exchange(t);
    this.#takeStep(gradients);
    for (const part of takenOver(this.#algorithm, t)) this.#timeline.receive(part);
    if (weights !== "none") this.#holdRounds(this.#dueAt(t));
  }

  /** The end of `steps` steps: averages that are on their way arrive. */
  receiveAll(): void {
    this.#timeline.receiveAll();
  }

  /**
   * The mean that a run comes to, of the parts that step `t`, the last, has not left at one point on all ranks.
   *
   * @param meets whether all ranks have the average of a round
   */
  meet(t: number, meets: boolean): void {
    const { endings } = this.#exchanges;
    const averaged = this.#algorithm.exchange(t).weights === "after" || this.#algorithm.alike;
    const met = meets && averaged ? this.#dueAt(t) : [];
    if (met.length === endings.length) return;
    this.#timeline.seconds += this.#measured.round.slowest;
    for (const [part, ending] of endings.entries()) {
      if (met.includes(part)) continue;
      this.rounds++;
      this.#wait(ending);
    }
  }

  /** A step without its rounds. */
  #takeStep(gradients: GradientSync): void {
    const step = this.#measured.step[gradients];
    if (!step) throw new RangeError(`no step that exchanges gradients to ${gradients} was timed`);
    this.#working += step.mean;
    this.#timeline.seconds += step.slowest;
    this.#wait(this.#exchanges.gradients[gradients]);
  }

  /** Rounds of these parts, and the control variates that are renewed after them. */
  #holdRounds(parts: readonly number[]): void {
    const { controls } = this.#algorithm;
    let rankBytes = 0;
    for (const part of parts) rankBytes += this.#holdRound(part);
    this.peakBytesSent = Math.max(this.peakBytesSent, rankBytes);
    const renewed = parts.length > 0 && controls && this.rounds % controls.every === 0;
    if (renewed) this.#wait(this.#exchanges.renewal);
  }

  /** A round of one part; returns the bytes that the busiest rank sends. */
  #holdRound(part: number): number {
    const { seconds, bytes, rankBytes } = this.#exchanges.averages[part];
    this.rounds++;
    this.bytesSent += bytes;
    this.#timeline.seconds += this.#measured.round.slowest;
    if (this.#algorithm.overlap) {
      this.#timeline.receive(part);
      this.#timeline.send(part, seconds);
    } else this.#timeline.seconds += seconds;
    return rankBytes;
  }

  /** The parts that are due after step `t`. */
  #dueAt(t: number): readonly number[] {
    return this.#algorithm.fragments?.due(t) ?? WHOLE;
  }

  /** An exchange that all ranks wait for. */
  #wait({ seconds, bytes }: ExchangeCost): void {
    this.#timeline.seconds += seconds;
    this.bytesSent += bytes;
  }
}
