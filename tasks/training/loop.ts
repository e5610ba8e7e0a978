/**
 * The steps, rounds and evaluations of one rank, in their order.
 *
 * @module
 */

import { isClipped, type StepSize } from "../../optimizers/mod.ts";
import { AveragingTrigger } from "./averaging_trigger.ts";
import type { Callbacks } from "./callbacks/callbacks.ts";
import { loadNumber, type StateDict, type Stateful } from "../run/checkpoint.ts";
import { restoreCheckpoint } from "../run/restore_checkpoint.ts";
import type { Evaluation } from "../steps/evaluator.ts";
import { sumOf } from "../rounds/averaging.ts";
import { RankControls } from "../rounds/control_variates.ts";
import type { Position, Summary } from "../run/metrics.ts";
import { stepSizeAt } from "../options/stepping/step_size.ts";
import { type EndedRound, Round } from "../rounds/round.ts";
import { everySeconds, everySteps, type RoundClock } from "../rounds/round_clock.ts";
import { BestWeights } from "./best_weights.ts";
import type { LoopParts } from "./loop_parts.ts";
import { type Evaluated, Evaluations } from "./evaluations.ts";
import { Requests, StoppedError } from "./requests.ts";
import { RunningTotals } from "./totals.ts";
import { MetricGather } from "./metric_gather.ts";
import { checkDrift, checkFinite, finite } from "./training_error.ts";
import { type CompletedStep, InFlightSteps } from "../steps/in_flight.ts";

/**
 * Number of the first mini-batch drawn aside: they are batches of steps that no run comes to, so the
 * steps' own samples are left as they are.
 */
const ASIDE = 2 ** 24;

/** One run of the loop. Every rank makes the same calls, but for its steps where rounds go by the clock. */
export class Loop implements Stateful {
  readonly #parts: LoopParts;
  readonly #clock: RoundClock;
  readonly #round: Round;
  readonly #metrics: MetricGather;
  readonly #totals: RunningTotals;
  readonly #trigger: AveragingTrigger;
  readonly #evaluations: Evaluations;
  readonly #inFlight = new InFlightSteps();
  /** When the first step began, in ms of `performance.now()`. */
  #start: number | null = null;
  /** Control variates, where the algorithm has them. */
  readonly #controls: RankControls | null;
  /** Samples this rank has learnt from. */
  #samples = 0;
  readonly #requests: Requests;
  /** The weights that did best on the validation set, where a run stops when they become no better. */
  readonly #best: BestWeights | null;
  readonly #callbacks: Callbacks;
  #stoppedEarly = false;

  constructor(parts: LoopParts) {
    const { comm, options, algorithm, averaging, trainStep, log, steps } = parts;
    const { weights, parameterCount } = trainStep, { timed, update } = algorithm;
    this.#parts = parts;
    this.#callbacks = parts.callbacks;
    const clock = timed
      ? everySeconds(timed, steps, comm, trainStep.size)
      : everySteps(algorithm, steps, (t) =>
        options.syncEpochs && this.#endsEpoch(t), trainStep.size);
    this.#clock = clock;
    this.#round = new Round({
      comm,
      algorithm,
      clock,
      averaging,
      weights,
      parameterCount,
      states: options.averageStates ? trainStep.ruleStates : null,
      options,
    });
    this.#controls = algorithm.controls
      ? new RankControls({
        controls: algorithm.controls,
        averaging,
        steps: {
          gradientAside: (batch) => this.#gradientAside(batch),
          takeMeanGradient: () => trainStep.takeMeanGradient(),
          setCorrection: (correction, norm) => trainStep.setCorrection(correction, norm),
        },
        length: parameterCount,
        rank: comm.rank,
        ranks: comm.size,
        participants: (round) => this.#round.participantsOf(round),
      })
      : null;
    this.#metrics = new MetricGather(comm, log);
    const mayStop = options.patience !== null || parts.callbacks.anywhere;
    this.#totals = new RunningTotals(update.clips, steps, mayStop);
    this.#trigger = new AveragingTrigger(options.averagingTrigger);
    this.#evaluations = new Evaluations(parts);
    const { patience } = options, { evaluator, keepBest: keep } = parts;
    this.#best = patience === null
      ? null
      : new BestWeights({ evaluator, length: weights.length, patience, keep });
    const stops = timed ? undefined : parts.checkpoints?.stops;
    this.#requests = new Requests(comm, { stops, saveEvery: options.checkpointEvery });
  }

  /**
   * Evaluates, takes the steps, evaluates again; or goes on with that from a checkpoint.
   *
   * @returns the summary, the same on every rank
   * @throws StoppedError if the run was asked to end early, and has written a checkpoint
   */
  async run(): Promise<Summary> {
    const { comm, task, options, trainStep, evaluator, checkpoints, writer } = this.#parts;
    const clock = this.#clock, done = checkpoints?.from ?? 0;
    await this.#round.start();
    if (checkpoints && checkpoints.from !== null) {
      const same = await restoreCheckpoint(comm, checkpoints, done, this.#stateful, checkpoints);
      if (!same) await trainStep.clearCarries();
      // The evaluator holds nothing yet: its copy of the weights is needed at the end.
      if (!clock.continues(done)) await evaluator.evaluate(task.splits);
    } else {
      this.#evaluations.write(await this.#evaluate(0));
      await this.#controls?.start();
    }
    await comm.barrier();
    this.#start ??= performance.now();
    const evaluationsBy = (t: number) =>
      Math.floor(task.epoch(clock.progress(t)) / options.evalEvery);
    let evaluations = evaluationsBy(done), t = done, noted = true;
    let last: Evaluation | null = null;
    while (clock.continues(t)) {
      writer?.check();
      comm.step = ++t;
      const met = await this.#step(t);
      if (comm.size === 1) await this.#requests.poll();
      if (!clock.isTogether(t)) continue;
      const due = evaluationsBy(t) > evaluations, ends = !clock.continues(t);
      const { stops, saves } = this.#requests.take(t);
      evaluations = evaluationsBy(t);
      if (due || saves || ends || stops) await this.#note(await this.#inFlight.settle());
      const meets = met || comm.size === 1;
      let stopped = !ends && meets && await this.#callbacks.agree(),
        evaluated: Evaluated | null = null;
      if (!stopped && (due || ends)) {
        evaluated = await this.#evaluate(t);
        stopped = !ends && await this.#callbacks.agree();
      }
      if (!stopped && evaluated) {
        last = evaluated.watched;
        // An end between two evaluations is not noted: a run that goes on would not have it.
        noted = due;
        const fires = due && !trainStep.averages && this.#trigger.fires(last.loss);
        if (fires) await trainStep.startAveraging();
        if (due) await this.#best?.note(last, this.#meanPosition(t));
      }
      if (stopped || !ends && this.#best?.isExhausted) {
        // What was evaluated here is evaluated again with the last average, and has that one record.
        this.#stoppedEarly = true;
        await this.#note(await this.#inFlight.settle());
        this.#totals.stop(clock.progress(t));
        clock.end(t);
        await this.#close(t);
        evaluated = await this.#evaluate(t);
        if (stopped) [last, noted] = [evaluated.watched, false];
      }
      if (evaluated) this.#evaluations.write(evaluated);
      if (this.#stoppedEarly) break;
      if (checkpoints && (saves || stops && !ends)) {
        await this.#metrics.deliver();
        await this.#round.arrive();
        await writer!.begin(t, this.#stateful, this.#evaluations.loss);
        if (!stops || ends) continue;
        await writer!.settle();
        await this.#requests.settle();
        throw new StoppedError(`stopped after step ${t}`);
      }
    }
    await this.#requests.settle();
    // A run that goes on at its end has its last rounds there.
    if (t === done && t > 0) await this.#close(t);
    if (last && !noted) await this.#best?.note(last, this.#meanPosition(t));
    await this.#metrics.deliver();
    await writer?.settle();
    return await this.#summarize(t);
  }

  /** Everything that the rest of the run depends on. */
  get #stateful(): Stateful[] {
    const { averaging, comm, trainStep } = this.#parts;
    const loopParts = [this.#totals, this.#trigger, this.#evaluations, this.#round, this];
    return [
      finite(trainStep, comm),
      averaging,
      ...this.#controls ? [this.#controls] : [],
      ...this.#best ? [this.#best] : [],
      ...loopParts,
    ];
  }

  /** Where the loop itself stands. */
  save(): Promise<StateDict> {
    const milliseconds = performance.now() - this.#start!;
    const numbers = { "loop.samples": this.#samples, "loop.milliseconds": milliseconds };
    return Promise.resolve({ tensors: [], numbers });
  }

  /** Goes on from there. */
  restore(state: StateDict): Promise<void> {
    this.#samples = loadNumber(state, "loop.samples");
    this.#start = performance.now() - loadNumber(state, "loop.milliseconds");
    return Promise.resolve();
  }

  /** Takes a step. Returns whether ranks have met for it. */
  async #step(t: number): Promise<boolean> {
    const { comm, options, task, algorithm, averaging, trainStep } = this.#parts,
      clock = this.#clock;
    const size = this.#sizeOf(t);
    await this.#callbacks.call("beforeStep", {
      step: t,
      epoch: task.epoch(clock.scheduled(t)),
      lr: size.learningRate,
      clip: size.clipThreshold,
    });
    const began = performance.now(), communication = clock.beginStep(t);
    let syncSeconds = 0;
    if (communication.weights === "before") {
      await this.#note(await this.#inFlight.settle());
      syncSeconds += await this.#meet(t - 1, size);
    }
    const waits = algorithm.undrawn === "waits", drawn = this.#round.participants;
    const beforeGradients = averaging.traffic.seconds;
    if (communication.gradients === "correct") {
      const aside = ASIDE + this.#round.count;
      await trainStep.correct(aside, task.batch(aside), waits ? drawn : undefined);
    }
    // Drawn before the numbers are asked for: the device may be at work on earlier steps meanwhile.
    const batch = task.batch(t), batchSize = scaled(size, batch.scale ?? 1);
    // What is only collected moves nobody.
    if (communication.gradients !== "collect") {
      this.#round.notice(batchSize.clipThreshold, batch.samples ?? options.batchSize);
    }
    // Submitted before they have come, so that the device has something to do. Gradients that take each
    // other's place are those of the round that ends the step.
    const [earlier, step] = await Promise.all([
      this.#inFlight.due ? this.#inFlight.settle() : [],
      trainStep.submit(t, batch, batchSize, communication.gradients, {
        averaged: options.ema !== null || options.averaging === "step" || this.#endsEpoch(t),
        ...waits || communication.gradients === "replace" ? { participants: drawn } : {},
      }),
    ]);
    await this.#note(earlier);
    const samples = this.#samples += batch.samples ?? options.batchSize;
    syncSeconds += averaging.traffic.seconds - beforeGradients;
    const progress = clock.progress(t);
    this.#inFlight.add({ t, progress, size: batchSize, samples, syncSeconds, began, step });
    const meets = communication.weights !== "none" || communication.gradients !== "none" ||
      !clock.unequal && clock.isDue(t);
    await this.#round.progress();
    const ends = !clock.unequal && !clock.continues(t);
    if (!meets && !step.ready && !clock.unequal && !ends) return false;
    const settled = await this.#inFlight.settle(), last = settled.pop()!;
    await this.#note(settled);
    if (!last.result.skipped) checkFinite({ t, rank: comm.rank, ...last.result });
    const due = clock.isDue(t), roundSeconds = due ? await this.#meet(t, size) : 0;
    const seconds = clock.continues(t) ? roundSeconds : roundSeconds + await this.#close(t);
    const now = performance.now(), milliseconds = last.milliseconds + now - last.ended;
    await this.#note([{ ...last, syncSeconds: syncSeconds + seconds, milliseconds, ended: now }]);
    // Numbers travel where the ranks have met anyway, whether or not this one took part.
    const met = meets || due;
    if (!met || !this.#metrics.due) return met;
    await this.#metrics.deliver();
    if (comm.size > 1) await this.#requests.poll();
    return met;
  }

  /** The gradient of a mini-batch drawn aside, at the weights as they are. */
  #gradientAside(batch: number): Promise<Float32Array> {
    const { task, trainStep } = this.#parts;
    return trainStep.gradientAside(ASIDE + batch, task.batch(ASIDE + batch));
  }

  /** Whether an epoch ends with step `t`; where ranks are at different steps, as far as this one knows. */
  #endsEpoch(t: number): boolean {
    const { task } = this.#parts, clock = this.#clock;
    const epochs = (steps: number) => Math.floor(task.epoch(clock.progress(steps)));
    return epochs(t) > epochs(t - 1);
  }

  /** η and γ of step `t`, for a batch that is worth as much as any. */
  #sizeOf(t: number): StepSize {
    const { options, task, steps } = this.#parts, done = this.#clock.scheduled(t);
    return stepSizeAt(options, { done, steps, epoch: task.epoch(done) });
  }

  /** Notes steps that are done, in order. */
  async #note(steps: readonly CompletedStep[]): Promise<void> {
    const { algorithm: { update: { clips } }, comm: { rank }, task } = this.#parts;
    for (const step of steps) {
      const { t, progress, size: { learningRate, clipThreshold }, samples, syncSeconds } = step;
      const { result: { loss, gradNorm, clipNorm, clippedShare, skipped }, milliseconds: stepMs } =
        step;
      if (!skipped) checkFinite({ t, rank, loss, gradNorm });
      const { rank: _, ...position } = this.#position(t, task.epoch(progress));
      // The end of the run is part of its last step for who watches, and of no step for one that goes on.
      const endSeconds = this.#clock.continues(t) ? 0 : this.#round.ending?.seconds ?? 0;
      const whole = clips && isClipped(clipNorm, learningRate, clipThreshold);
      const clipped = clippedShare === undefined ? whole : clippedShare > 0;
      const metrics = {
        ...position,
        round: this.#round.count,
        seconds: (step.ended - this.#start!) / 1000,
        samples,
        loss,
        gradNorm,
        clipped,
        ...clippedShare === undefined ? {} : { clippedShare },
        ...skipped ? { skipped } : {},
        lr: learningRate,
        clip: clipThreshold,
        stepMs,
        syncMs: syncSeconds * 1000,
      };
      this.#metrics.step(metrics);
      this.#totals.step(progress, {
        loss,
        clipped: clippedShare ?? Number(clipped),
        stepMs: stepMs - endSeconds * 1000,
        syncSeconds: syncSeconds - endSeconds,
        skipped,
      });
      await this.#callbacks.call("afterStep", { rank, ...metrics });
    }
  }

  /** The rounds that are due when `t` steps are done. Returns their seconds on this rank. */
  async #meet(t: number, size: StepSize): Promise<number> {
    const { averaging } = this.#parts, { bytesSent } = averaging.traffic;
    await this.#callbacks.call("beforeRound", { step: t, round: this.#round.count + 1 });
    const { seconds, ended } = await this.#round.run(t, size);
    this.#totals.exchange(averaging.traffic.bytesSent - bytesSent);
    const before = this.#round.count - ended.length;
    for (const [i, round] of ended.entries()) {
      await this.#noteRound(t, seconds / ended.length, round, { number: before + i + 1 });
      this.#totals.round(round.drift, round.bound);
    }
    if (!this.#controls) return seconds;
    const began = performance.now();
    await this.#controls.renew(this.#round.count);
    return seconds + (performance.now() - began) / 1000;
  }

  /** The rounds with which the run ends. Returns their seconds on this rank. */
  async #close(t: number): Promise<number> {
    const { seconds, ended } = await this.#round.close(t);
    for (const [i, round] of ended.entries()) {
      const number = this.#round.count + i + 1;
      await this.#noteRound(t, seconds / ended.length, round, { number, final: true });
    }
    return seconds;
  }

  async #noteRound(
    t: number,
    seconds: number,
    { drift, bound, ...round }: EndedRound,
    { number, final = false }: { number: number; final?: boolean },
  ): Promise<void> {
    const { takesPart, participants, steps, fragment } = round;
    checkDrift({ t, rank: this.#parts.comm.rank, drift, bound });
    const shared = {
      ...this.#meanPosition(t),
      round: number,
      driftBound: bound,
      participants,
      ...fragment === undefined ? {} : { fragment },
      ...steps ? { steps } : {},
      ...final ? { final } as const : {},
    };
    const measure = takesPart ? { syncMs: seconds * 1000, drift } : null;
    this.#metrics.round(shared, measure);
    const { syncMs = 0, drift: own = 0 } = measure ?? {};
    await this.#callbacks.call("afterRound", { ...shared, syncMs, drift: own });
  }

  async #evaluate(t: number): Promise<Evaluated> {
    await this.#metrics.deliver();
    const when = !this.#clock.continues(t) ? "end" : t === 0 ? "untrained" : "between";
    const at = this.#meanPosition(t);
    await this.#callbacks.call("beforeEvaluation", at);
    const evaluated = await this.#evaluations.evaluate(at, when);
    await this.#callbacks.call("afterEvaluation", evaluated.records);
    return evaluated;
  }

  async #summarize(t: number): Promise<Summary> {
    const { comm, task, averaging, checkpoints } = this.#parts,
      { steps, byRank } = this.#clock.total();
    const { compressed } = averaging;
    const best = await this.#best?.scores(task.splits.at(-1)!) ?? null;
    const { stoppedBy } = this.#callbacks, waiting = await this.#metrics.waiting();
    const { ending } = this.#round, position = this.#meanPosition(t), { bytesSent } = position;
    return await this.#evaluations.summarize(position, {
      steps: Math.floor(steps),
      ...byRank ? { stepsByRank: byRank } : {},
      ...this.#stoppedEarly ? { stoppedEarly: true } as const : {},
      ...stoppedBy ? { stoppedBy } : {},
      epochs: task.epoch(steps),
      rounds: position.round,
      ...waiting ? { waiting } : {},
      ...checkpoints?.rollbacks ? { rollbacks: checkpoints.rollbacks } : {},
      ...checkpoints?.restarts ? { restarts: checkpoints.restarts } : {},
      ...best ? { best } : {},
      ...await this.#totals.total(comm, { samples: this.#samples, bytesSent, ending, compressed }),
    });
  }

  /** Where the ranks stand in the mean when this one has taken `t` steps. */
  #meanPosition(t: number): Position {
    const progress = this.#clock.progress(t);
    return this.#position(Math.floor(progress), this.#parts.task.epoch(progress));
  }

  #position(step: number, epoch: number): Position {
    const { comm, averaging } = this.#parts, { count, ending } = this.#round;
    const { bytesSent, bytesReceived } = ending
      ? sumOf([averaging.traffic, ending.traffic])
      : averaging.traffic;
    return {
      rank: comm.rank,
      step,
      epoch,
      iteration: step,
      round: count + (ending?.ended.length ?? 0),
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
