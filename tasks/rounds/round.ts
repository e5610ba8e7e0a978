/**
 * Rounds of averaging:
 *
 *     every I steps                 x^i ← (1/N) Σ_j x^j
 *
 * Liu, Zhuang, Lei and Liao, NeurIPS 2022, Algorithm 1. Where some of the ranks take part, they are drawn
 * anew for each round, and the mean is theirs. An outer optimizer moves on from the mean (SlowMo, DiLoCo).
 * With overlapped averaging the ranks go on meanwhile, and a round ends when its average is taken over. Where
 * the weights are averaged in parts, a round is that of a part.
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
import { takenOver } from "../../optimizers/rounds/overlap.ts";
import type { Communicator } from "../../runtime/communicator.ts";
import type { DeviceState } from "../../runtime/devices/device.ts";
import type { Options } from "../options/table.ts";
import { loadNumber, type StateDict, type Stateful } from "../run/checkpoint.ts";
import { distance, sumOf, type Traffic, type WeightAveraging } from "./averaging.ts";
import { CompressedMean } from "./compressed_mean.ts";
import { deviceExchange } from "./on_device/device_exchange.ts";
import {
  type ArrivedAverage,
  merged,
  type PartExchange,
  plainMean,
  WaitedExchange,
} from "./part_exchange.ts";
import { OverlappedExchange } from "./overlapped_exchange.ts";
import type { RoundClock } from "./round_clock.ts";
import { SentMean } from "./sent_displacements.ts";
import { fragmentsOf } from "./fragments.ts";
import type { WeightsPart } from "./weights_part.ts";
import { platform } from "../../runtime/base/platform.ts";

/** What an update rule keeps, such as momenta, all of it flat. */
export interface RuleStates {
  /** Lets it be changed in place. */
  edit(use: (values: Float32Array) => Promise<void>): Promise<void>;
}

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
  /** What the update rule keeps, to be averaged with the weights; null: it stays each rank's own. */
  readonly states?: RuleStates | null;
  readonly options: Pick<Options, "seed" | "participants" | "sampling" | "batchNorm">;
}

/** A round whose average has been taken over. */
export interface EndedRound {
  /** Distance ‖x̄ − x_i‖₂ of this rank's weights to the average; 0 if it took no part. */
  readonly drift: number;
  /** What is proven that it cannot exceed; null where nothing is. */
  readonly bound: number | null;
  /** ‖e_i‖₂ of what this rank has lost by compression and not yet made up for; absent where nothing is lost. */
  readonly residualNorm?: number;
  /** The ranks that took part. */
  readonly participants: readonly number[];
  /** Whether this rank did. */
  readonly takesPart: boolean;
  /** The part of the weights that was averaged, from 0, where they are averaged in parts. */
  readonly fragment?: number;
  /** Where rounds go by the clock: steps that each rank has taken since the round before. */
  readonly steps?: readonly number[];
}

/** What came of {@linkcode Round.run}. */
export interface RoundResult {
  /** Seconds this rank spent in it, waiting included. */
  readonly seconds: number;
  /** The rounds that have ended: where averages are overlapped, those before, if there were any. */
  readonly ended: readonly EndedRound[];
}

/** What the end of a run adds to it. A run that goes on after its last step has had none of it. */
export interface RunEnding extends RoundResult {
  /** What the averages with which it ended have cost. */
  readonly traffic: Traffic;
}

/** What has been since the last round of a part of the weights. */
export type OpenRound = Pick<PartState, "clipPeak" | "steps" | "samples" | "apart">;

/** One part of the weights, and what its rounds have come to on this rank. */
interface PartState {
  readonly index: number;
  readonly part: WeightsPart;
  readonly exchange: PartExchange;
  /** Largest clipping threshold since its last round. */
  clipPeak: number;
  /** Steps since then. */
  steps: number;
  /** Samples since then. */
  samples: number;
  /** Whether this rank may stand elsewhere than the others. */
  apart: boolean;
}

/** One rank's rounds. Every rank makes the same calls in the same order. */
export class Round implements Stateful {
  readonly #parts: RoundParts;
  readonly #states: readonly PartState[];
  readonly #sampling: Sampling;
  #count = 0;
  #ending: RunEnding | null = null;

  constructor(parts: RoundParts) {
    const { algorithm, averaging, options } = parts;
    this.#parts = parts;
    this.#sampling = parseSampling(options.sampling);
    const { overlap, outer = null, undrawn } = algorithm, forAll = undrawn === "waits";
    this.#states = partsOf(parts).map((part, index) => {
      const { length, trained } = part;
      // Weights that are equal anyway are not sent.
      const compression = trained > 0 ? averaging.compression(trained) : null;
      const common = { index, part, clipPeak: 0, steps: 0, samples: 0, apart: false };
      const onDevice = compression && deviceExchange(parts, part, compression);
      if (onDevice) return { ...common, exchange: onDevice };
      const mean = compression && algorithm.sends
        ? new SentMean(averaging, algorithm.sends, compression.residual, length)
        : compression
        ? new CompressedMean(averaging, compression, length)
        : plainMean(averaging, forAll);
      const exchange = overlap
        ? new OverlappedExchange({ mean, length, overlap, outer })
        : new WaitedExchange(mean, trained, outer);
      return { ...common, exchange };
    });
  }

  /** Takes note of the initial weights. To be called first. */
  async start(): Promise<void> {
    const initial = await this.#parts.weights.read();
    for (const { part, exchange } of this.#states) await exchange.start(part.take(initial));
  }

  /** Rounds that have ended, without those with which the run ends: a run that goes on has had so many. */
  get count(): number {
    return this.#count;
  }

  /** What the end of the run has added; null before it. */
  get ending(): RunEnding | null {
    return this.#ending;
  }

  /** The ranks that take part in the round that comes next, in increasing order. */
  get participants(): number[] {
    return this.participantsOf(this.#count + 1);
  }

  /** The ranks that take part in a round, counted from 1, in increasing order. */
  participantsOf(round: number): number[] {
    const { comm: { size }, options: { seed, participants } } = this.#parts;
    // Those that are left after others were lost may be fewer than are to be drawn.
    const count = Math.min(participants ?? size, size);
    return drawParticipants(seed, round, size, count, this.#sampling);
  }

  /**
   * Says that a step takes this clipping threshold, on which the bound of the drift depends, and learns from so
   * many samples.
   */
  notice(clipThreshold: number, samples: number): void {
    for (const state of this.#states) {
      state.clipPeak = Math.max(state.clipPeak, clipThreshold);
      state.steps++;
      state.samples += samples;
      state.apart = true;
    }
  }

  /**
   * The rounds that are due when this rank has taken `t` steps, and the averages that are to be taken over.
   * Collective.
   *
   * @param size η and γ of its last step
   */
  async run(t: number, size: StepSize): Promise<RoundResult> {
    const began = platform.now(), ended: EndedRound[] = [];
    for (const state of this.#states) {
      const meets = this.#parts.clock.meets(t, state.index);
      const round = meets ? await this.#meet(state, t, size) : await this.#takeOver(state, t);
      if (!round) continue;
      ended.push(round);
      this.#count++;
    }
    return { seconds: (platform.now() - began) / 1000, ended };
  }

  /** Says that a round comes next: the weights may be on their way while the last steps' numbers are waited for. */
  prefetch(): void {
    const { comm, algorithm, weights } = this.#parts;
    const takesPart = algorithm.undrawn === "waits" || this.participants.includes(comm.rank);
    if (takesPart && this.#states.some(({ exchange }) => !exchange.onDevice)) weights.prefetch();
  }

  /** A round of one part; null if no average has been taken over in it. */
  async #meet(state: PartState, t: number, size: StepSize): Promise<EndedRound | null> {
    const { comm, algorithm, averaging, clock, weights } = this.#parts;
    const { participants } = this, { part, exchange, steps } = state;
    const meeting = await clock.meet(t, state, participants);
    const takesPart = participants.includes(comm.rank), waits = algorithm.undrawn === "waits";
    /** Whether all ranks began at one point, and go on from one. */
    const all = waits || participants.length === comm.size;
    // Of averages that are not what the weights say, nothing is proven.
    const bound = all && !averaging.compresses ? meeting.bound : null;
    const weight = meeting.weights?.[comm.rank] ?? 1;
    const held = { participants, size, bound, steps, weight };
    const arrived: (ArrivedAverage | null)[] = [];
    if ((takesPart || waits) && !exchange.onDevice) {
      await weights.edit(async (flat) => {
        const values = part.take(flat);
        arrived.push(await exchange.meet(values, held));
        part.put(values, flat);
      });
    } else {
      arrived.push(await exchange.meet(null, held));
    }
    if (takesPart) {
      await this.#parts.states?.edit((flat) => averaging.average(flat, participants, null, weight));
    } else if (this.#parts.states) await averaging.average(null, participants);
    Object.assign(state, { clipPeak: 0, steps: 0, samples: 0, apart: !all });
    const byRank = meeting.steps ? { steps: meeting.steps } : {};
    const [average] = arrived;
    return average && { ...average, ...this.#named(state), participants, takesPart, ...byRank };
  }

  /** Takes over the average of a part that is on its way, if it is time; null if it is not. */
  async #takeOver(state: PartState, t: number): Promise<EndedRound | null> {
    const { algorithm, comm, weights } = this.#parts;
    if (!takenOver(algorithm, t).includes(state.index)) return null;
    const arrived: (ArrivedAverage | null)[] = [];
    if (state.exchange.onDevice) arrived.push(await state.exchange.takeOver(null));
    else {
      await weights.edit(async (flat) => {
        const values = state.part.take(flat);
        arrived.push(await state.exchange.takeOver(values));
        state.part.put(values, flat);
      });
    }
    const [average] = arrived;
    return average && { ...average, ...this.#named(state), ...everybody(comm) };
  }

  /** What a round's record says of its part. */
  #named({ index }: PartState): { fragment?: number } {
    return this.#states.length > 1 ? { fragment: index } : {};
  }

  /**
   * Ends the rounds of a run after its last step `t`: averages that are still on their way have arrived, and
   * of parts in which ranks stand apart the mean is formed, which is what the run comes to. The weights stay
   * as they are. Collective.
   */
  async close(t: number): Promise<RunEnding> {
    const { comm } = this.#parts, began = platform.now();
    const ended: EndedRound[] = [], traffic: Traffic[] = [];
    for (const state of this.#states) {
      const arrived = await state.exchange.arrive();
      if (arrived) ended.push({ ...arrived, ...this.#named(state), ...everybody(comm) });
    }
    const apart = comm.size > 1 ? this.#states.filter((state) => state.apart) : [];
    const flat = apart.length > 0 ? await this.#parts.weights.read() : new Float32Array();
    for (const state of apart) {
      const { drift, bound, ...last } = await this.#meetAtEnd(state, flat, t);
      ended.push({ drift, bound, ...this.#named(state), ...everybody(comm) });
      traffic.push(last.traffic);
    }
    const seconds = (platform.now() - began) / 1000;
    return this.#ending = { seconds, ended, traffic: sumOf(traffic) };
  }

  /** The mean that a part comes to. */
  async #meetAtEnd(state: PartState, flat: Float32Array, t: number) {
    const { part } = state, { participants } = everybody(this.#parts.comm);
    const { comm, algorithm, averaging, clock, options } = this.#parts;
    const values = part.take(flat), before = values.slice(0, part.trained);
    const traffic = await averaging.averageAtEnd(values);
    // Between two rounds whose averages come late, or of some ranks, a rank may be farther away.
    const drawn = (options.participants ?? comm.size) < comm.size;
    const together = algorithm.undrawn === "waits" || !drawn;
    const proven = together && !algorithm.overlap && !averaging.compresses;
    return {
      traffic,
      drift: distance(before, values.subarray(0, part.trained)),
      bound: proven ? (await clock.meet(t, state, participants)).bound : null,
    };
  }

  /** Lets averages move on that are on their way: a turn of the event loop. */
  async progress(): Promise<void> {
    for (const { exchange } of this.#states) await exchange.progress();
  }

  /** Waits for averages that are on their way. Collective. */
  async arrive(): Promise<void> {
    for (const { exchange } of this.#states) await exchange.arrive();
  }

  /** Of each part, what has been since its last round, for a rank that goes on with it among other ranks. */
  get open(): readonly OpenRound[] {
    return this.#states.map(({ clipPeak, steps, samples, apart }) => ({
      ...{ clipPeak, steps, samples, apart },
    }));
  }

  /** Goes on from there. */
  resume(open: readonly OpenRound[]): void {
    for (const [index, state] of this.#states.entries()) Object.assign(state, open[index]);
  }

  /** Whether what is proven of a round depends on how many steps it has taken. */
  get #countsSteps(): boolean {
    const { rounds, overlap } = this.#parts.algorithm;
    return rounds !== undefined || (overlap?.mix ?? null) !== null;
  }

  /** How many there were, and what goes on from each to the next. */
  async save(): Promise<StateDict> {
    const states: StateDict[] = [];
    for (const { index, exchange, clipPeak, steps, apart } of this.#states) {
      const { tensors, numbers } = await exchange.save(), named = nameOf(index);
      const own = {
        "loop.clipPeak": clipPeak,
        ...apart ? { "loop.apart": 1 } : {},
        ...this.#countsSteps ? { "loop.steps": steps } : {},
      };
      states.push({
        tensors: tensors.map((tensor) => ({ ...tensor, name: named(tensor.name) })),
        numbers: Object.fromEntries(
          Object.entries({ ...own, ...numbers })
            .map(([name, number]) => [named(name), number]),
        ),
      });
    }
    return merged([{ tensors: [], numbers: { "loop.round": this.#count } }, ...states]);
  }

  /** Goes on from there. */
  async restore(saved: StateDict): Promise<void> {
    this.#count = loadNumber(saved, "loop.round");
    for (const state of this.#states) {
      const own = stateOf(state.index, saved);
      state.clipPeak = loadNumber(own, "loop.clipPeak");
      state.apart = "loop.apart" in own.numbers;
      if (this.#countsSteps) state.steps = loadNumber(own, "loop.steps");
      await state.exchange.restore(own);
    }
  }
}

/** The parts that are averaged by themselves. */
function partsOf({ algorithm, options, ...parts }: RoundParts): WeightsPart[] {
  const { overlap, fragments, alike = false } = algorithm;
  // Running statistics never come late: their average, which is evaluated, is the same either way.
  const statistics = options.batchNorm === "average" && !overlap;
  return fragmentsOf({ ...parts, statistics, alike }, fragments?.count ?? 1);
}

/** A round in which all ranks take part. */
function everybody({ size }: Communicator) {
  return { participants: Array.from({ length: size }, (_, rank) => rank), takesPart: true };
}

/** What a checkpoint calls the state of a part: that of the first has no number. */
const nameOf = (part: number) => (name: string) => part === 0 ? name : `${name}.part${part}`;

/** A part's own state in a checkpoint, by the names that the part knows. */
function stateOf(part: number, { tensors, numbers }: StateDict): StateDict {
  if (part === 0) return { tensors, numbers };
  const suffix = nameOf(part)("");
  const own = (name: string) => name.endsWith(suffix),
    bare = (name: string) => name.slice(0, -suffix.length);
  return {
    tensors: tensors.filter(({ name }) => own(name))
      .map((tensor) => ({ ...tensor, name: bare(tensor.name) })),
    numbers: Object.fromEntries(
      Object.entries(numbers).filter(([name]) => own(name)).map(([name, n]) => [bare(name), n]),
    ),
  };
}
