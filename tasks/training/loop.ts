/**
 * The steps, rounds and evaluations of one rank, in their order.
 *
 * @module
 */

import {
  type Algorithm,
  drawParticipants,
  isClipped,
  stageWise,
  type StepSize,
} from "../../optimizers/mod.ts";
import type { Communicator } from "../../runtime/communicator.ts";
import { AveragingTrigger } from "./averaging_trigger.ts";
import {
  loadNumber,
  restoreCheckpoint,
  type StateDict,
  type Stateful,
  writeCheckpoint,
} from "../run/checkpoint.ts";
import type { Evaluation, Evaluator } from "../steps/evaluator.ts";
import { distance, type WeightAveraging } from "../rounds/averaging.ts";
import type { MetricsLog, Position, Summary } from "../run/metrics.ts";
import type { Options } from "../options/table.ts";
import { OuterOptimizer } from "../rounds/outer_optimizer.ts";
import { type LateAverage, OverlappedAveraging } from "../rounds/overlapped_averaging.ts";
import { Evaluations } from "./evaluations.ts";
import type { TrainStep } from "../steps/train_step.ts";
import { RunningTotals } from "./totals.ts";
import type { Task } from "../task.ts";
import { Telemetry } from "./metric_gather.ts";
import { checkDrift, checkFinite } from "./training_error.ts";
import { type CompletedStep, InFlightSteps } from "../steps/in_flight.ts";

/** What the loop drives; all of it is the caller's. */
export interface LoopParts {
  readonly comm: Communicator;
  readonly options: Options;
  readonly task: Task;
  readonly algorithm: Algorithm;
  readonly exchange: WeightAveraging;
  readonly stepper: TrainStep;
  readonly evaluator: Evaluator;
  /** Where rank 0 writes; null on the others. */
  readonly log: MetricsLog | null;
  /** Where the graph runs, for the summary. */
  readonly device: string;
  /** Steps each rank takes. */
  readonly steps: number;
  /** Where checkpoints are, and the step of the one to go on from; absent: there are none. */
  readonly checkpoints?: Checkpoints;
}

/** Where a run's checkpoints are. */
export interface Checkpoints {
  /** The run's folder, which all ranks see. */
  readonly directory: string;
  /** The step of the checkpoint to go on from; null to begin at the beginning. */
  readonly from: number | null;
}

/**
 * Number of the first mini-batch drawn aside: they are batches of steps that no run comes to, so the
 * steps' own samples are left as they are.
 */
const ASIDE = 2 ** 24;

/** One run of the loop. Every rank makes the same calls. */
export class Loop implements Stateful {
  readonly #parts: LoopParts;
  readonly #telemetry: Telemetry;
  readonly #tally: RunningTotals;
  readonly #underway = new InFlightSteps();
  #round = 0;
  /** When the first step began, in ms of `performance.now()`. */
  #start: number | null = null;
  /** The weights of a round before they are averaged. */
  readonly #own: Float32Array;
  /** Largest clipping threshold since the last round. */
  #clipPeak = 0;
  #outer: OuterOptimizer | null = null;
  readonly #overlap: OverlappedAveraging | null;
  /** Samples this rank has learnt from. */
  #samples = 0;
  readonly #trigger: AveragingTrigger;
  readonly #scoreboard: Evaluations;

  constructor(parts: LoopParts) {
    this.#parts = parts;
    this.#telemetry = new Telemetry(parts.comm, parts.log);
    this.#scoreboard = new Evaluations(parts);
    this.#tally = new RunningTotals(parts.algorithm.update.clips, parts.steps);
    const { exchange, stepper: { parameterCount } } = parts;
    this.#own = new Float32Array(parameterCount);
    this.#overlap = parts.algorithm.overlap
      ? new OverlappedAveraging(exchange, parameterCount)
      : null;
    this.#trigger = new AveragingTrigger(parts.options.averagingTrigger);
  }

  /**
   * Evaluates, takes the steps, evaluates again; or goes on with that from a checkpoint.
   *
   * @returns the summary, the same on every rank
   */
  async run(): Promise<Summary> {
    const { comm, task, options, algorithm, stepper, steps, checkpoints } = this.#parts;
    if (algorithm.outer) {
      const start = (await stepper.weights.read()).subarray(0, stepper.parameterCount);
      this.#outer = new OuterOptimizer(algorithm.outer, start);
    }
    const done = checkpoints?.from ?? 0;
    if (checkpoints && checkpoints.from !== null) {
      await restoreCheckpoint(comm, checkpoints.directory, done, this.#remembering());
      // The evaluator holds nothing yet: its copy of the weights is needed at the end.
      if (done >= steps) await this.#parts.evaluator.evaluate(task.splits);
    } else {
      await this.#evaluate(0);
    }
    await comm.barrier();
    this.#start ??= performance.now();
    for (let t = done + 1; t <= steps; t++) {
      comm.step = t;
      await this.#step(t);
      const evaluations = Math.floor(task.epoch(t) / options.evalEvery);
      const due = evaluations > Math.floor(task.epoch(t - 1) / options.evalEvery);
      const saves = checkpoints && options.checkpointEvery && t % options.checkpointEvery === 0;
      if (due || saves || t === steps) this.#note(await this.#underway.settle());
      if (due || t === steps) {
        const { loss } = await this.#evaluate(t);
        // An end between two evaluations is not noted: a run that goes on would not have it.
        const fires = due && !stepper.averages && this.#trigger.fires(loss);
        if (fires) await stepper.startAveraging();
      }
      if (saves) {
        await this.#telemetry.deliver();
        await this.#overlap?.arrive();
        await writeCheckpoint(comm, checkpoints.directory, t, this.#remembering());
      }
    }
    // No rank leaves while others still need its part; nobody steps on, so there is nothing to make up.
    await this.#overlap?.arrive();
    return await this.#summarize();
  }

  /** Everything that the rest of the run depends on. */
  #remembering(): Stateful[] {
    const { stepper, exchange } = this.#parts;
    const own = [stepper, exchange, this.#tally, this.#trigger, this.#scoreboard, this];
    return [...own, ...[this.#outer, this.#overlap].filter((each) => each !== null)];
  }

  /** Where the loop itself stands. */
  save(): Promise<StateDict> {
    const numbers = {
      "loop.round": this.#round,
      "loop.clipPeak": this.#clipPeak,
      "loop.samples": this.#samples,
      "loop.milliseconds": performance.now() - this.#start!,
    };
    return Promise.resolve({ tensors: [], numbers });
  }

  /** Goes on from there. */
  restore(memory: StateDict): Promise<void> {
    const number = (name: string) => loadNumber(memory, name);
    this.#round = number("loop.round");
    this.#clipPeak = number("loop.clipPeak");
    this.#samples = number("loop.samples");
    this.#start = performance.now() - number("loop.milliseconds");
    return Promise.resolve();
  }

  async #step(t: number): Promise<void> {
    const { comm, options, task, algorithm, exchange, stepper } = this.#parts;
    const began = performance.now();
    const { lr, clip, decayAt, decayFactor, decayClip } = options;
    const size = stageWise(
      { learningRate: lr, clipThreshold: clip },
      { at: decayAt, factor: decayFactor, decaysClip: decayClip },
      task.epoch(t - 1),
    );
    const plan = algorithm.exchange(t);
    let syncSeconds = 0;
    if (plan.weights === "before") {
      this.#note(await this.#underway.settle());
      syncSeconds += await this.#average(t - 1, size);
    }
    const beforeGradients = exchange.traffic.seconds;
    if (plan.gradients === "correct") {
      const aside = ASIDE + this.#round;
      await stepper.correct(aside, task.batch(aside));
    }
    // Drawn before the numbers are asked for: the device may be at work on earlier steps meanwhile.
    const batch = task.batch(t), own = scaled(size, batch.scale ?? 1);
    this.#clipPeak = Math.max(this.#clipPeak, own.clipThreshold);
    // Submitted before they have come, so that the device has something to do.
    const [earlier, step] = await Promise.all([
      this.#underway.due ? this.#underway.settle() : [],
      stepper.submit(t, batch, own, plan.gradients),
    ]);
    this.#note(earlier);
    this.#samples += batch.samples ?? options.batchSize;
    syncSeconds += exchange.traffic.seconds - beforeGradients;
    this.#underway.add({ t, size: own, samples: this.#samples, syncSeconds, began, step });
    const meets = plan.weights !== "none" || plan.gradients !== "none";
    await this.#overlap?.progress();
    if (!meets && !step.ready) return;
    const settled = await this.#underway.settle(), last = settled.pop()!;
    this.#note(settled);
    checkFinite({ t, rank: comm.rank, ...last.result });
    const seconds = plan.weights === "after" ? await this.#average(t, size) : 0;
    const now = performance.now(), milliseconds = last.milliseconds + now - last.ended;
    this.#note([{ ...last, syncSeconds: syncSeconds + seconds, milliseconds, ended: now }]);
    // Numbers travel where the ranks have met anyway, whether or not this one took part.
    if (meets && this.#telemetry.due) await this.#telemetry.deliver();
  }

  /** Notes steps that are done, in order. */
  #note(steps: readonly CompletedStep[]): void {
    const { algorithm: { update: { clips } }, comm: { rank } } = this.#parts;
    for (const step of steps) {
      const { t, size: { learningRate, clipThreshold }, samples, syncSeconds } = step;
      const { result: { loss, gradNorm, clipNorm }, milliseconds: stepMs } = step;
      checkFinite({ t, rank, loss, gradNorm });
      const clipped = clips && isClipped(clipNorm, learningRate, clipThreshold);
      const seconds = (step.ended - this.#start!) / 1000;
      const position = { ...this.#position(t), samples, seconds };
      const syncMs = syncSeconds * 1000;
      const measure = { ...position, loss, gradNorm, clipped, stepMs, syncMs };
      this.#telemetry.step(position, learningRate, clipThreshold, measure);
      this.#tally.step(t, { ...measure, syncSeconds });
    }
  }

  /** One round of averaging when `t` steps are done. Returns its seconds on this rank. */
  #average(t: number, size: StepSize): Promise<number> {
    return this.#overlap ? this.#catchUp(t, this.#overlap) : this.#meet(t, size);
  }

  /**
   * A round in which the ranks make up for the average of the one before, and begin the next. Running
   * statistics are left out: their average over the ranks, which is evaluated, is the same either way.
   */
  async #catchUp(t: number, overlap: OverlappedAveraging): Promise<number> {
    const { comm, algorithm, stepper } = this.#parts;
    const began = performance.now();
    const arrived = await overlap.arrive();
    await stepper.weights.edit(async (flat) => {
      const parameters = flat.subarray(0, stepper.parameterCount);
      if (arrived) overlap.apply(parameters);
      await overlap.begin(parameters, algorithm.driftBound(this.#clipPeak));
    });
    this.#clipPeak = 0;
    const seconds = (performance.now() - began) / 1000;
    const everyone = Array.from({ length: comm.size }, (_, rank) => rank);
    if (arrived) this.#noteRound(t, arrived, everyone, seconds);
    return seconds;
  }

  /** A round in which the ranks wait for their average. */
  async #meet(t: number, size: StepSize): Promise<number> {
    const { comm, options, algorithm, exchange, stepper } = this.#parts;
    const began = performance.now();
    const round = this.#round + 1, { parameterCount } = stepper;
    const count = options.participants ?? comm.size;
    const participants = drawParticipants(options.seed, round, comm.size, count);
    const takesPart = participants.includes(comm.rank);
    let drift = 0;
    if (takesPart) {
      await stepper.weights.edit(async (flat) => {
        const parameters = flat.subarray(0, parameterCount);
        this.#own.set(parameters);
        const shared = options.batchNorm === "average" ? flat : parameters;
        await exchange.average(shared, participants);
        drift = distance(this.#own, parameters);
        this.#outer?.move(parameters, size);
      });
    } else {
      await exchange.average(new Float32Array(), participants);
    }
    const bound = count === comm.size ? algorithm.driftBound(this.#clipPeak) : null;
    this.#clipPeak = 0;
    const seconds = (performance.now() - began) / 1000;
    this.#noteRound(t, { drift, bound }, participants, takesPart ? seconds : null);
    return takesPart ? seconds : 0;
  }

  /** Notes a round whose average has been applied; `seconds` is null on a rank that took no part. */
  #noteRound(
    t: number,
    { drift, bound }: LateAverage,
    participants: readonly number[],
    seconds: number | null,
  ): void {
    this.#round++;
    checkDrift({ t, rank: this.#parts.comm.rank, drift, bound });
    const measure = seconds === null ? null : { syncMs: seconds * 1000, drift };
    this.#telemetry.round(this.#position(t), bound, participants, measure);
    this.#tally.round(drift, bound);
  }

  async #evaluate(t: number): Promise<Evaluation> {
    await this.#telemetry.deliver();
    const when = t === this.#parts.steps ? "end" : t === 0 ? "untrained" : "underway";
    return await this.#scoreboard.evaluate(this.#position(t), when);
  }

  async #summarize(): Promise<Summary> {
    const { comm, exchange, task, steps } = this.#parts;
    const { bytesSent } = exchange.traffic;
    return await this.#scoreboard.summarize(this.#position(steps), {
      steps,
      epochs: task.epoch(steps),
      rounds: this.#round,
      ...await this.#tally.total(comm, { samples: this.#samples, bytesSent }),
    });
  }

  #position(t: number): Position {
    const { comm, task, exchange } = this.#parts;
    const { bytesSent, bytesReceived } = exchange.traffic;
    return {
      rank: comm.rank,
      step: t,
      epoch: task.epoch(t),
      iteration: t,
      round: this.#round,
      seconds: this.#start === null ? 0 : (performance.now() - this.#start) / 1000,
      samples: this.#samples,
      bytesSent,
      bytesReceived,
    };
  }
}

/** η and γ of a batch that is worth more or less than others. */
function scaled({ learningRate, clipThreshold }: StepSize, scale: number): StepSize {
  return { learningRate: learningRate * scale, clipThreshold: clipThreshold * scale };
}
