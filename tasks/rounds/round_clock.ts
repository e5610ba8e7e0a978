/**
 * When rounds take place: after certain steps, the same on every rank, or when a time has passed, whatever
 * steps each rank has taken until then. The training loop asks one of the two and is otherwise the same.
 *
 * Where ranks take unequal numbers of steps, progress (epochs, the decay of η, when to evaluate) is counted
 * in the mean number of steps of all ranks at the last round, which all ranks know.
 *
 * @module
 */

import { type Algorithm, type Communication, SILENT } from "../../optimizers/algorithm.ts";
import { takenOver } from "../../optimizers/rounds/overlap.ts";
import type { TimedRounds } from "../../optimizers/algorithm.ts";
import type { WeightsSize } from "../../optimizers/mod.ts";
import type { Communicator } from "../../runtime/communicator.ts";
import { platform } from "../../runtime/base/platform.ts";

/** What a rank has done since it last met the others. */
export interface RoundWork {
  /** Steps it has taken. */
  readonly steps: number;
  /** Largest clipping threshold of these. */
  readonly clipPeak: number;
  /** Samples it has learnt from in them; of a text, tokens. */
  readonly samples: number;
}

/** What a rank learns when it comes to a round. */
export interface Meeting {
  /** What is proven that no rank's distance to the average exceeds; null where nothing is. */
  readonly bound: number | null;
  /** Steps that each rank has taken since the round before, where they may differ. */
  readonly steps?: readonly number[];
  /** How much each rank counts in the average, in the mean over those that take part 1; absent: all alike. */
  readonly weights?: readonly number[];
}

/** Decides when rounds take place. Steps are this rank's, counted from 1. */
export interface RoundClock {
  /** Whether ranks may stand at different steps, so that each step's end must be known. */
  readonly unequal: boolean;
  /** Whether there is another step after this rank has taken `t`. */
  continues(t: number): boolean;
  /** Begins step `t`: what the ranks exchange around it. */
  beginStep(t: number): Communication;
  /** Whether a round follows step `t`, or an average is taken over that was on its way. */
  isDue(t: number): boolean;
  /** Whether that of a part of the weights does. @param part counted from 0 */
  meets(t: number, part: number): boolean;
  /**
   * Joins a round after step `t`. Collective.
   *
   * @param work this rank's since the round before
   * @param participants the ranks that average, in increasing order
   */
  meet(t: number, work: RoundWork, participants: readonly number[]): Promise<Meeting>;
  /** Whether all ranks stand at one point after this rank's step `t`. */
  isTogether(t: number): boolean;
  /** Steps that the ranks have taken in the mean with this rank's step `t`, if the others have kept up. */
  progress(t: number): number;
  /** The progress by which η and γ of step `t` go. */
  scheduled(t: number): number;
  /** Ends the run with this rank's step `t`, at which all ranks stand at one point. */
  end(t: number): void;
  /** Steps that the ranks took in the mean, and each of them where they may differ: when the run has ended. */
  total(): { readonly steps: number; readonly byRank?: readonly number[] };
}

/**
 * Rounds after the steps that the algorithm names, on all ranks alike; `steps` in all.
 *
 * @param also whether a round follows another step as well. No other by default
 * @param weights what is trained, for the bound on the drift
 */
export function everySteps(
  algorithm: Algorithm,
  steps: number,
  also: (t: number) => boolean = () => false,
  weights?: WeightsSize,
): RoundClock {
  const { rounds, fragments } = algorithm;
  const meets = (t: number) => algorithm.exchange(t).weights === "after" || also(t);
  let last = steps;
  return {
    unequal: false,
    continues: (t) => t < last,
    beginStep: (t) => algorithm.exchange(t),
    isDue: (t) => meets(t) || takenOver(algorithm, t).length > 0,
    meets: (t, part) =>
      fragments
        ? fragments.due(t).includes(part) || also(t)
        : meets(t) || takenOver(algorithm, t).length === 0,
    meet: (_, { clipPeak, steps }) => {
      // Where all rounds are as long, the lemma is told as it is written, for I steps.
      const bound = algorithm.driftBound(clipPeak, weights, rounds ? steps : undefined);
      return Promise.resolve({ bound });
    },
    isTogether: () => true,
    progress: (t) => t,
    scheduled: (t) => t - 1,
    end: (t) => last = t,
    total: () => ({ steps: last }),
  };
}

/**
 * Rounds when a time has passed, see `optimizers/rounds/timed_rounds.ts`: the run of T steps ends with the first
 * round at which all N ranks together have taken N·T.
 *
 * @param comm the ranks; stays the caller's
 * @param weights as with {@linkcode everySteps}
 */
export function everySeconds(
  timed: TimedRounds,
  steps: number,
  comm: Communicator,
  weights?: WeightsSize,
): RoundClock {
  return new TimedClock(timed, steps, comm, weights);
}

class TimedClock implements RoundClock {
  readonly unequal = true;
  readonly #timed: TimedRounds;
  readonly #comm: Communicator;
  readonly #weights: WeightsSize | undefined;
  /** Steps of all ranks after which the run is over. */
  #wanted: number;
  /** Steps of each rank at the last round. */
  readonly #byRank: number[];
  /** Their sum. */
  #total = 0;
  /** When the first step since the last round began, in ms of `performance.now()`. */
  #began = 0;

  constructor(timed: TimedRounds, steps: number, comm: Communicator, weights?: WeightsSize) {
    this.#timed = timed;
    this.#weights = weights;
    this.#comm = comm;
    this.#wanted = steps * comm.size;
    this.#byRank = new Array(comm.size).fill(0);
  }

  /** Steps that this rank has taken since the last round, of `t` in all. */
  #since(t: number): number {
    return t - this.#byRank[this.#comm.rank];
  }

  get #mean(): number {
    return this.#total / this.#comm.size;
  }

  continues(): boolean {
    return this.#total < this.#wanted;
  }

  beginStep(t: number): Communication {
    if (this.#since(t) === 1) this.#began = platform.now();
    return SILENT;
  }

  isDue(t: number): boolean {
    const remaining = Math.ceil((this.#wanted - this.#total) / this.#comm.size);
    return this.#timed.isDue((platform.now() - this.#began) / 1000, this.#since(t), remaining);
  }

  meets(): boolean {
    return true;
  }

  async meet(
    t: number,
    { clipPeak, samples }: RoundWork,
    participants: readonly number[],
  ): Promise<Meeting> {
    const timed = this.#timed, own = [this.#since(t), clipPeak, ...timed.weighs ? [samples] : []];
    const gathered = new Float64Array(own.length * this.#comm.size);
    await this.#comm.allgather(Float64Array.from(own), gathered);
    const numbers = (which: number) =>
      this.#byRank.map((_, rank) => gathered[own.length * rank + which]);
    const steps = numbers(0), clip = Math.max(...numbers(1));
    steps.forEach((count, rank) => {
      this.#byRank[rank] += count;
      this.#total += count;
    });
    const worth = timed.weighs ? numbers(2) : steps.map(() => 1);
    const sum = participants.reduce((total, rank) => total + worth[rank], 0);
    const counts = worth.map((each, rank) => participants.includes(rank) ? each : 0);
    const bound = timed.driftBound(clip, steps, counts.map((each) => each / sum), this.#weights);
    // Where all are worth as much, the quotient is 1 and the mean has the bits of a plain one.
    const weights = counts.map((each) => each * participants.length / sum);
    return { bound, steps, ...timed.weighs ? { weights } : {} };
  }

  isTogether(t: number): boolean {
    return this.#since(t) === 0;
  }

  progress(t: number): number {
    return this.#mean + this.#since(t);
  }

  scheduled(): number {
    return this.#mean;
  }

  end(): void {
    this.#wanted = this.#total;
  }

  total(): { steps: number; byRank: readonly number[] } {
    return { steps: this.#mean, byRank: [...this.#byRank] };
  }
}
