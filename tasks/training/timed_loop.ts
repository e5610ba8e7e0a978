/**
 * The steps, rounds and evaluations of one rank where rounds go by the clock, see
 * `optimizers/timed_rounds.ts`.
 *
 * With N ranks and a run of T steps, training ends with the first round at which all ranks together have
 * taken N·T steps. Progress (epochs, the decay of η, when to evaluate) is counted in the mean number of
 * steps of all ranks at the last round, which all ranks know.
 *
 * @module
 */

import { drawParticipants, isClipped, stageWise, type TimedRounds } from "../../optimizers/mod.ts";
import { AveragingTrigger } from "./averaging_trigger.ts";
import { distance } from "../rounds/averaging.ts";
import type { LoopParts } from "./loop.ts";
import type { Position, Summary } from "../run/metrics.ts";
import { Evaluations } from "./evaluations.ts";
import { RunningTotals } from "./totals.ts";
import { TimedTelemetry } from "./timed_telemetry.ts";
import { checkDrift, checkFinite } from "./training_error.ts";

/** A step that was taken, and what it told. */
interface Taken {
  readonly t: number;
  /** Steps that the ranks have taken in the mean with it, if the others have kept up. */
  readonly progress: number;
  readonly loss: number;
  readonly gradNorm: number;
  readonly clipped: boolean;
  readonly stepMs: number;
  /** η of its batch. */
  readonly lr: number;
  /** γ of its batch. */
  readonly clip: number;
}

/** One run of the loop. Every rank makes the same calls, but for its steps. */
export class TimedLoop {
  readonly #parts: LoopParts;
  readonly #timed: TimedRounds;
  readonly #telemetry: TimedTelemetry;
  readonly #scoreboard: Evaluations;
  readonly #tally: RunningTotals;
  readonly #trigger: AveragingTrigger;
  /** The weights of a round before they are averaged. */
  readonly #own: Float32Array;
  #round = 0;
  /** Steps that this rank has taken. */
  #steps = 0;
  /** Steps that all ranks have taken, when they last met. */
  #total = 0;
  /** Steps of each rank, when they last met. */
  readonly #byRank: number[];
  /** Samples this rank has learnt from. */
  #samples = 0;
  /** Largest clipping threshold since the last round. */
  #clipPeak = 0;
  /** When the first step began, in ms of `performance.now()`. */
  #start = 0;

  /** @param timed when rounds take place */
  constructor(parts: LoopParts, timed: TimedRounds) {
    this.#parts = parts;
    this.#timed = timed;
    this.#telemetry = new TimedTelemetry(parts.comm, parts.log);
    this.#scoreboard = new Evaluations(parts);
    this.#tally = new RunningTotals(parts.algorithm.update.clips, parts.steps);
    this.#trigger = new AveragingTrigger(parts.options.averagingTrigger);
    this.#own = new Float32Array(parts.stepper.parameterCount);
    this.#byRank = new Array(parts.comm.size).fill(0);
  }

  /**
   * Evaluates, takes the steps, evaluates again.
   *
   * @returns the summary, the same on every rank
   */
  async run(): Promise<Summary> {
    const { comm, task, options, exchange, stepper, steps } = this.#parts;
    const wanted = comm.size * steps;
    await this.#scoreboard.evaluate(this.#position(0), steps === 0 ? "end" : "untrained");
    await comm.barrier();
    let met = this.#start = performance.now();
    while (this.#total < wanted) {
      const before = this.#progress, remaining = Math.ceil((wanted - this.#total) / comm.size);
      let taken = 1, last = await this.#step(++this.#steps, before);
      while (!this.#timed.isDue((performance.now() - met) / 1000, taken, remaining)) {
        this.#note(last);
        last = await this.#step(++this.#steps, before + taken++);
      }
      await this.#meet(taken, last);
      met = performance.now();
      const passes = (progress: number) => Math.floor(task.epoch(progress) / options.evalEvery);
      const ends = this.#total >= wanted;
      if (ends || passes(this.#progress) > passes(before)) {
        const at = this.#position(Math.floor(this.#progress));
        const { loss } = await this.#scoreboard.evaluate(at, ends ? "end" : "underway");
        const fires = !ends && !stepper.averages && this.#trigger.fires(loss);
        if (fires) await stepper.startAveraging();
        met = performance.now();
      }
    }
    const { bytesSent } = exchange.traffic, mean = Math.floor(this.#progress);
    return await this.#scoreboard.summarize(this.#position(mean), {
      steps: mean,
      stepsByRank: [...this.#byRank],
      epochs: task.epoch(this.#progress),
      rounds: this.#round,
      ...await this.#tally.total(comm, { samples: this.#samples, bytesSent }),
    });
  }

  /** Mean number of steps of the ranks, when they last met. */
  get #progress(): number {
    return this.#total / this.#parts.comm.size;
  }

  /** @param progress steps that the ranks have taken in the mean, if the others have kept up */
  async #step(t: number, progress: number): Promise<Taken> {
    const { comm, options, task, algorithm, stepper } = this.#parts;
    comm.step = t;
    const began = performance.now();
    const { decayAt, decayFactor, decayClip } = options;
    const rate = stageWise(
      { learningRate: options.lr, clipThreshold: options.clip },
      { at: decayAt, factor: decayFactor, decaysClip: decayClip },
      task.epoch(this.#progress),
    );
    const batch = task.batch(t), { scale = 1 } = batch;
    const lr = rate.learningRate * scale, clip = rate.clipThreshold * scale;
    const size = { learningRate: lr, clipThreshold: clip };
    this.#clipPeak = Math.max(this.#clipPeak, clip);
    // Its numbers are waited for: a step that is only under way says nothing of the time it takes.
    const { loss, gradNorm, clipNorm } = await (await stepper.submit(t, batch, size, "none"))
      .result();
    checkFinite({ t, rank: comm.rank, loss, gradNorm });
    this.#samples += batch.samples ?? options.batchSize;
    const clipped = algorithm.update.clips &&
      isClipped(clipNorm, lr, clip);
    const measured = { loss, gradNorm, clipped, stepMs: performance.now() - began };
    return { t, progress: progress + 1, ...measured, lr, clip };
  }

  /** Notes a step, and the time of the round that it led to. */
  #note({ t, progress, ...step }: Taken, syncMs = 0): void {
    const { rank: _, ...position } = this.#position(t), stepMs = step.stepMs + syncMs;
    const epoch = this.#parts.task.epoch(progress);
    this.#telemetry.step({ ...position, epoch, ...step, stepMs, syncMs });
    this.#tally.step(progress, { ...step, stepMs, syncSeconds: syncMs / 1000 });
  }

  /** A round, to which this rank comes with so many steps; `last` is yet to be noted. */
  async #meet(taken: number, last: Taken): Promise<void> {
    const { comm, options, exchange, stepper } = this.#parts;
    const began = performance.now();
    const round = ++this.#round, { parameterCount } = stepper;
    const count = options.participants ?? comm.size;
    const participants = drawParticipants(options.seed, round, comm.size, count);
    const takesPart = participants.includes(comm.rank);
    const all = new Float64Array(2 * comm.size);
    await comm.allgather(Float64Array.of(taken, this.#clipPeak), all);
    const steps = Array.from(this.#byRank, (_, rank) => all[2 * rank]);
    const clipPeak = Math.max(...steps.map((_, rank) => all[2 * rank + 1]));
    let drift = 0;
    if (takesPart) {
      await stepper.weights.edit(async (flat) => {
        const parameters = flat.subarray(0, parameterCount);
        this.#own.set(parameters);
        await exchange.average(options.batchNorm === "average" ? flat : parameters, participants);
        drift = distance(this.#own, parameters);
      });
    } else {
      await exchange.average(new Float32Array(), participants);
    }
    steps.forEach((count, rank) => {
      this.#total += count;
      this.#byRank[rank] += count;
    });
    const whole = count === comm.size;
    const bound = whole ? this.#timed.driftBound(clipPeak, Math.max(...steps)) : null;
    checkDrift({ t: this.#steps, rank: comm.rank, drift, bound });
    this.#clipPeak = 0;
    const syncMs = performance.now() - began;
    this.#note(last, syncMs);
    this.#tally.round(drift, bound);
    const position = this.#position(Math.floor(this.#progress));
    const measure = takesPart ? { syncMs, drift } : null;
    await this.#telemetry.deliver({ position, driftBound: bound, participants, steps }, measure);
  }

  #position(t: number): Position {
    const { comm, task, exchange } = this.#parts;
    const { bytesSent, bytesReceived } = exchange.traffic;
    return {
      rank: comm.rank,
      step: t,
      epoch: task.epoch(this.#progress),
      iteration: t,
      round: this.#round,
      seconds: this.#start === 0 ? 0 : (performance.now() - this.#start) / 1000,
      samples: this.#samples,
      bytesSent,
      bytesReceived,
    };
  }
}
