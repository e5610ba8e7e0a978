/**
 * Rounds of averaging:
 *
 *     every I steps                 x^i ← (1/N) Σ_j x^j
 *
 * Liu, Zhuang, Lei and Liao, NeurIPS 2022, Algorithm 1. Where some of the ranks take part, they are drawn
 * anew for each round, and the mean is theirs. An outer optimizer moves on from the mean (SlowMo, DiLoCo).
 * With overlapped averaging the ranks go on meanwhile, and a round ends when the next is due.
 *
 * @module
 */

import {
  type Algorithm,
  drawParticipants,
  parseSampling,
  type Sampling,
  type StepSize,
} from "../../optimizers/mod.ts";
import type { Communicator } from "../../runtime/communicator.ts";
import type { DeviceState } from "../../runtime/devices/device.ts";
import type { Options } from "../options/table.ts";
import { loadNumber, type StateDict, type Stateful } from "../run/checkpoint.ts";
import { distance, type WeightAveraging } from "./averaging.ts";
import { OuterOptimizer } from "./outer_optimizer.ts";
import { OverlappedAveraging } from "./overlapped_averaging.ts";
import type { RoundClock } from "./round_clock.ts";

/** What rounds are made of; all of it is the caller's. */
export interface RoundParts {
  readonly comm: Communicator;
  readonly algorithm: Algorithm;
  readonly clock: RoundClock;
  /** Carries the weights. */
  readonly averaging: WeightAveraging;
  /** Trained weights first, then running statistics. */
  readonly weights: DeviceState;
  /** How many floats of {@linkcode RoundParts.weights} are trained. */
  readonly parameterCount: number;
  readonly options: Pick<Options, "seed" | "participants" | "sampling" | "batchNorm">;
}

/** A round whose average has been taken over. */
export interface EndedRound {
  /** Distance ‖x̄ − x_i‖₂ of this rank's weights to the average; 0 if it took no part. */
  readonly drift: number;
  /** What is proven that it cannot exceed; null where nothing is. */
  readonly bound: number | null;
  /** The ranks that took part. */
  readonly participants: readonly number[];
  /** Whether this rank did. */
  readonly takesPart: boolean;
  /** Where rounds go by the clock: steps that each rank has taken since the round before. */
  readonly steps?: readonly number[];
}

/** What came of {@linkcode Round.run}. */
export interface RoundResult {
  /** Seconds this rank spent in it, waiting included. */
  readonly seconds: number;
  /** The round that has ended: where averages are overlapped, the one before, if there was one. */
  readonly ended: EndedRound | null;
}

/** One rank's rounds. Every rank makes the same calls in the same order. */
export class Round implements Stateful {
  readonly #parts: RoundParts;
  /** This rank's weights before they are averaged. */
  readonly #before: Float32Array;
  readonly #overlap: OverlappedAveraging | null;
  readonly #sampling: Sampling;
  #outer: OuterOptimizer | null = null;
  #count = 0;
  /** Of those, the ones with which the run ended: a run that goes on has not had them. */
  #closing = 0;
  /** Whether this rank may stand elsewhere than the others. */
  #apart = false;
  /** Largest clipping threshold since the last round. */
  #clipPeak = 0;

  constructor(parts: RoundParts) {
    const { algorithm, averaging, parameterCount } = parts;
    this.#parts = parts;
    this.#sampling = parseSampling(parts.options.sampling);
    this.#before = new Float32Array(parameterCount);
    this.#overlap = algorithm.overlap ? new OverlappedAveraging(averaging, parameterCount) : null;
  }

  /** Takes note of the initial weights, if the algorithm needs them. To be called first. */
  async start(): Promise<void> {
    const { algorithm: { outer }, weights, parameterCount } = this.#parts;
    if (!outer) return;
    const initial = (await weights.read()).subarray(0, parameterCount);
    this.#outer = new OuterOptimizer(outer, initial);
  }

  /** Rounds that have ended. */
  get count(): number {
    return this.#count;
  }

  /** Those without the ones with which the run ended: a run that goes on from there has had so many. */
  get countBeforeEnd(): number {
    return this.#count - this.#closing;
  }

  /** The ranks that take part in the round that comes next, in increasing order. */
  get participants(): number[] {
    const { comm: { size }, options: { seed, participants } } = this.#parts;
    return drawParticipants(seed, this.#count + 1, size, participants ?? size, this.#sampling);
  }

  /** Says that a step takes this clipping threshold, on which the bound of the drift depends. */
  notice(clipThreshold: number): void {
    this.#clipPeak = Math.max(this.#clipPeak, clipThreshold);
    this.#apart = true;
  }

  /**
   * A round when this rank has taken `t` steps. Collective.
   *
   * @param size η and γ of its last step
   */
  async run(t: number, size: StepSize): Promise<RoundResult> {
    const began = performance.now();
    const meeting = await this.#parts.clock.meet(t, this.#clipPeak);
    const ended = this.#overlap
      ? await this.#catchUp(this.#overlap, meeting.bound)
      : { ...await this.#average(size, meeting.bound), ...steps(meeting) };
    this.#clipPeak = 0;
    const { participants } = this.#parts.options;
    this.#apart = participants !== null && participants < this.#parts.comm.size;
    if (ended) this.#count++;
    return { seconds: (performance.now() - began) / 1000, ended };
  }

  /** x^i ← (1/N) Σ_j x^j, and the outer optimizer's step from there. */
  async #average(size: StepSize, bound: number | null): Promise<EndedRound> {
    const { comm, averaging, weights, parameterCount, options } = this.#parts;
    const { batchNorm } = options, { participants } = this;
    const takesPart = participants.includes(comm.rank);
    let drift = 0;
    if (takesPart) {
      await weights.edit(async (flat) => {
        const parameters = flat.subarray(0, parameterCount);
        this.#before.set(parameters);
        await averaging.average(batchNorm === "average" ? flat : parameters, participants);
        drift = distance(this.#before, parameters);
        this.#outer?.move(parameters, size);
      });
    } else {
      await averaging.average(new Float32Array(), participants);
    }
    return {
      drift,
      bound: participants.length === comm.size ? bound : null,
      participants,
      takesPart,
    };
  }

  /**
   * Makes up for the average of the round before, and begins the next. Running statistics are left out:
   * their average over the ranks, which is evaluated, is the same either way.
   */
  async #catchUp(overlap: OverlappedAveraging, bound: number | null): Promise<EndedRound | null> {
    const { comm, weights, parameterCount } = this.#parts;
    const arrived = await overlap.arrive();
    await weights.edit(async (flat) => {
      const parameters = flat.subarray(0, parameterCount);
      if (arrived) overlap.apply(parameters);
      await overlap.begin(parameters, bound);
    });
    const participants = Array.from({ length: comm.size }, (_, rank) => rank);
    return arrived && { ...arrived, participants, takesPart: true };
  }

  /**
   * Ends the rounds of a run after its last step `t`: an average that is still on its way has arrived, and
   * if ranks stand apart, the mean of their weights is formed, which is what the run comes to. The weights
   * stay as they are. Collective.
   *
   * @returns the rounds that this makes, and this rank's seconds in them
   */
  async close(t: number): Promise<{ seconds: number; ended: EndedRound[] }> {
    const { comm, averaging, clock, weights, parameterCount, options } = this.#parts;
    const began = performance.now();
    const participants = Array.from({ length: comm.size }, (_, rank) => rank);
    const ended: EndedRound[] = [];
    const arrived = await this.#overlap?.arrive();
    if (arrived) ended.push({ ...arrived, participants, takesPart: true });
    if (this.#apart && comm.size > 1) {
      const flat = await weights.read(), parameters = flat.subarray(0, parameterCount);
      this.#before.set(parameters);
      await averaging.averageAtEnd(options.batchNorm === "average" ? flat : parameters);
      const drift = distance(this.#before, parameters);
      const proven = !this.#overlap && options.participants === null;
      const bound = proven ? (await clock.meet(t, this.#clipPeak)).bound : null;
      ended.push({ drift, bound, participants, takesPart: true });
    }
    this.#closing = ended.length;
    this.#count += ended.length;
    return { seconds: (performance.now() - began) / 1000, ended };
  }

  /** Lets an average move on that is on its way: a turn of the event loop. */
  async progress(): Promise<void> {
    await this.#overlap?.progress();
  }

  /** Waits for an average that is on its way. Collective. */
  async arrive(): Promise<void> {
    await this.#overlap?.arrive();
  }

  get #carriers(): Stateful[] {
    return [this.#outer, this.#overlap].filter((each) => each !== null);
  }

  /** How many there were, and what goes on from each to the next. */
  async save(): Promise<StateDict> {
    const parts: StateDict[] = [];
    for (const each of this.#carriers) parts.push(await each.save());
    const counts = { "loop.round": this.countBeforeEnd, "loop.clipPeak": this.#clipPeak };
    return {
      tensors: parts.flatMap(({ tensors }) => tensors),
      numbers: Object.assign(counts, ...parts.map(({ numbers }) => numbers)),
    };
  }

  /** Goes on from there. */
  async restore(state: StateDict): Promise<void> {
    this.#count = loadNumber(state, "loop.round");
    this.#clipPeak = loadNumber(state, "loop.clipPeak");
    for (const each of this.#carriers) await each.restore(state);
  }
}

const steps = ({ steps }: { readonly steps?: readonly number[] }) => steps ? { steps } : {};
