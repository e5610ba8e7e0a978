/**
 * The steps, rounds and evaluations of one rank, in their order.
 *
 * @module
 */

import type { StepSize } from "../../optimizers/mod.ts";
import { membersOf, newcomersAt } from "../data/sampling/worlds.ts";
import { AveragingTrigger } from "./averaging_trigger.ts";
import type { Callbacks } from "./callbacks/callbacks.ts";
import { loadNumber, type StateDict, type Stateful } from "../run/checkpoint.ts";
import { restoreCheckpoint } from "../run/restore_checkpoint.ts";
import { RankControls } from "../rounds/control_variates.ts";
import type { Summary } from "../run/metrics.ts";
import { Round } from "../rounds/round.ts";
import { everySeconds, everySteps, type RoundClock } from "../rounds/round_clock.ts";
import { BestWeights } from "./best_weights.ts";
import type { LoopParts } from "./loop_parts.ts";
import { type Evaluated, Evaluations } from "./evaluations.ts";
import { Requests, StoppedError } from "./requests.ts";
import { RunningTotals } from "./totals.ts";
import { MetricGather } from "./records/metric_gather.ts";
import { Notes } from "./records/notes.ts";
import { checkFinite, finite } from "./training_error.ts";
import { LocalSteps } from "../steps/local_steps.ts";
import { Attendance } from "./membership/attendance.ts";
import { capture, type Carried, type TakenStep, type Watch } from "./membership/carried.ts";
import { Pieces } from "./membership/pieces.ts";

/** What becomes of a run then. */
type Course = "goes on" | "is over" | "was stopped";

/** One run of the loop. Every rank makes the same calls, but for its steps where rounds go by the clock. */
export class Loop implements Stateful {
  readonly #parts: LoopParts;
  readonly #clock: RoundClock;
  readonly #round: Round;
  readonly #metrics: MetricGather;
  readonly #totals: RunningTotals;
  readonly #trigger: AveragingTrigger;
  readonly #evaluations: Evaluations;
  readonly #local: LocalSteps;
  readonly #notes: Notes;
  /** Control variates, where the algorithm has them. */
  readonly #controls: RankControls | null;
  readonly #requests: Requests;
  /** The weights that did best on the validation set, where a run stops when they become no better. */
  readonly #best: BestWeights | null;
  readonly #callbacks: Callbacks;
  #stoppedEarly = false;
  #watch: Watch = { evaluations: 0, last: null, noted: true };
  /** The ranks' numbers in the run. */
  readonly #members: readonly number[];
  readonly #attendance = new Attendance();
  readonly #pieces: Pieces;

  constructor(parts: LoopParts) {
    const { comm, options, algorithm, averaging, trainStep, log, steps } = parts;
    const { weights, parameterCount } = trainStep, { timed, update } = algorithm;
    this.#parts = parts;
    this.#members = membersOf(parts.worlds.at(-1)!);
    this.#callbacks = parts.callbacks;
    const clock = timed
      ? everySeconds(timed, steps, comm, trainStep.size)
      : everySteps(algorithm, steps, (t) =>
        options.syncEpochs && this.#local.endsEpoch(t), trainStep.size);
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
    const round = this.#round;
    this.#local = new LocalSteps({ ...parts, clock, round });
    this.#controls = algorithm.controls
      ? new RankControls({
        controls: algorithm.controls,
        averaging,
        steps: {
          gradientAside: (batch) => this.#local.gradientAside(batch),
          takeMeanGradient: () => trainStep.takeMeanGradient(),
          setCorrection: (correction, norm) => trainStep.setCorrection(correction, norm),
        },
        length: parameterCount,
        rank: comm.rank,
        ranks: comm.size,
        recentres: parts.worlds.at(-1)!.step === parts.carried?.step,
        participants: (round) => this.#round.participantsOf(round),
      })
      : null;
    this.#metrics = new MetricGather(comm, log, this.#members, !parts.members);
    const mayStop = options.patience !== null || parts.callbacks.anywhere;
    this.#totals = new RunningTotals(update.clips, steps, mayStop);
    this.#trigger = new AveragingTrigger(options.averagingTrigger);
    this.#evaluations = new Evaluations(parts);
    const { patience } = options, { evaluator, keepBest: keep } = parts;
    this.#best = patience === null
      ? null
      : new BestWeights({ evaluator, length: weights.length, patience, keep });
    const stops = timed ? undefined : parts.checkpoints?.stops;
    this.#notes = new Notes({
      ...parts,
      ...{ clock, round, members: this.#members, attendance: this.#attendance },
      ...{ local: this.#local, metrics: this.#metrics, totals: this.#totals },
    });
    const saveEvery = options.checkpointEvery, waits = parts.members?.recovery != null;
    this.#requests = new Requests(comm, { stops, saveEvery, waits }, parts.carried?.lastSave);
    const { members, writer } = parts, attendance = this.#attendance;
    const revocable = [averaging, ...writer ? [writer] : []];
    const carry = (t: number, taken: TakenStep | null) => this.#carry(t, taken);
    this.#pieces = new Pieces({ members, log, attendance, revocable, carry });
  }

  /**
   * Evaluates, takes the steps, evaluates again; or goes on with that from a checkpoint.
   *
   * @returns the summary, the same on every rank
   * @throws StoppedError if the run was asked to end early, and has written a checkpoint
   * @throws CrewChange if it goes on among other ranks
   */
  async run(): Promise<Summary> {
    const { comm, writer, carried } = this.#parts, clock = this.#clock;
    const done = carried ? await this.#resume(carried) : await this.#begin();
    let t = done, taken = carried?.taken ?? null;
    while (taken || clock.continues(t)) {
      if (!taken) {
        writer?.check();
        comm.step = ++t;
        taken = await this.#take(t);
      }
      const step = taken;
      const shared = this.#isShared(step);
      const course = await this.#pieces.run(t, step, shared, () => this.#follow(step));
      if (course === "was stopped") throw new StoppedError(`stopped after step ${t}`);
      if (typeof course === "object") return course;
      taken = null;
      await this.#pieces.change(t, clock.isDue(t));
    }
    const closes = t > 0 || carried !== undefined;
    return await this.#pieces.run(t, null, true, () => this.#end(t, closes));
  }

  /** Evaluates the untrained weights, or goes on from a checkpoint. Returns the steps that are done. */
  async #begin(): Promise<number> {
    const { comm, trainStep, checkpoints } = this.#parts, done = checkpoints?.from ?? 0;
    await this.#round.start();
    this.#attendance.note(done, this.#members);
    if (checkpoints && checkpoints.from !== null) {
      const same = await restoreCheckpoint(comm, checkpoints, done, this.#stateful, checkpoints);
      if (!same) await trainStep.clearCarries();
    } else {
      this.#evaluations.write(await this.#evaluate(0));
      await this.#controls?.start();
    }
    await comm.barrier();
    this.#notes.start ??= performance.now();
    this.#watch = { ...this.#watch, evaluations: this.#evaluationsBy(done) };
    return done;
  }

  /** Goes on from what was carried here. Returns the steps that are done. */
  async #resume(carried: Carried): Promise<number> {
    const { step, state, open, watch, isFresh, start } = carried;
    const { worlds, trainStep } = this.#parts;
    await this.#round.start();
    for (const each of this.#stateful) await each.restore(state);
    if (isFresh) await trainStep.clearCarries();
    this.#round.resume(open);
    this.#metrics.resume(carried.metrics, carried.writes, carried.waits);
    this.#watch = watch;
    this.#notes.start = start;
    this.#attendance.note(step, newcomersAt(worlds, step));
    return step;
  }

  /** What this rank takes with it when it goes on among other ranks. */
  async #carry(step: number, taken: TakenStep | null): Promise<Carried> {
    this.#totals.exchange(this.#parts.averaging.peakBytes);
    return {
      ...{ step, taken, isFresh: false, watch: this.#watch, start: this.#notes.start! },
      ...{ open: this.#round.open, writes: this.#parts.log !== null },
      state: await capture(this.#stateful),
      ...{ metrics: [...this.#metrics.steps], waits: this.#metrics.waits },
      lastSave: this.#requests.lastSave,
    };
  }

  /** Whether anything follows a step that ranks do together. */
  #isShared({ t, meets }: TakenStep): boolean {
    const { checkpointEvery } = this.#parts.options, clock = this.#clock;
    return meets || clock.isDue(t) || !clock.continues(t) || this.#isEvaluated(t) ||
      typeof checkpointEvery === "number" && t % checkpointEvery === 0;
  }

  /** Evaluations that are due when `t` steps are done. */
  #evaluationsBy(t: number): number {
    const { task, options } = this.#parts;
    return Math.floor(task.epoch(this.#clock.progress(t)) / options.evalEvery);
  }

  /** Whether one is due after step `t`. */
  #isEvaluated(t: number): boolean {
    return this.#evaluationsBy(t) > this.#watch.evaluations;
  }

  /** What the ranks do together after a step, and with the last of a run its end. */
  async #follow(taken: TakenStep): Promise<Course | Summary> {
    const course = await this.#goOn(taken), { t } = taken;
    if (course === "was stopped" || course === "goes on" && this.#goesOn(t)) return course;
    return await this.#end(t, false);
  }

  /** What the ranks do together after a step. */
  async #goOn(taken: TakenStep): Promise<Course> {
    const { comm, checkpoints, trainStep, members } = this.#parts, { t } = taken;
    const clock = this.#clock, { inFlight } = this.#local, met = await this.#meetAfter(taken);
    if (comm.size === 1) await this.#requests.poll();
    if (!clock.isTogether(t)) return "goes on";
    const due = this.#isEvaluated(t), ends = !clock.continues(t);
    const { saves, ...asked } = this.#requests.take(t);
    const stops = asked.stops || (members?.recovery?.isTooFew ?? false);
    const evaluations = Math.max(this.#watch.evaluations, this.#evaluationsBy(t));
    this.#watch = { ...this.#watch, evaluations };
    if (due || saves || ends || stops) await this.#notes.steps(await inFlight.settle());
    const meets = met || comm.size === 1;
    let stopped = !ends && meets && await this.#callbacks.agree(),
      evaluated: Evaluated | null = null;
    if (!stopped && (due || ends)) {
      evaluated = await this.#evaluate(t);
      stopped = !ends && await this.#callbacks.agree();
    }
    if (!stopped && evaluated) {
      const last = evaluated.watched;
      // An end between two evaluations is not noted: a run that goes on would not have it.
      this.#watch = { ...this.#watch, last, noted: due };
      const fires = due && !trainStep.averages && this.#trigger.fires(last.loss);
      if (fires) await trainStep.startAveraging();
      if (due) await this.#best?.note(last, this.#notes.position(t));
    }
    if (stopped || !ends && this.#best?.isExhausted) {
      // What was evaluated here is evaluated again with the last average, and has that one record.
      evaluated = await this.#stopEarly(t);
      if (stopped) this.#watch = { ...this.#watch, last: evaluated.watched, noted: false };
    }
    if (evaluated) this.#evaluations.write(evaluated);
    if (this.#stoppedEarly) return "is over";
    const halts = stops && !ends;
    if (!checkpoints || !saves && !halts) return "goes on";
    await this.#writeCheckpoint(t, halts);
    if (!halts) return "goes on";
    await this.#requests.settle();
    return "was stopped";
  }

  /** Ends the run after step `t`, before its steps are over. Returns what it has come to. */
  async #stopEarly(t: number): Promise<Evaluated> {
    this.#stoppedEarly = true;
    await this.#notes.steps(await this.#local.inFlight.settle());
    this.#totals.stop(this.#clock.progress(t));
    this.#clock.end(t);
    await this.#close(t);
    return await this.#evaluate(t);
  }

  /** Writes a checkpoint of step `t`. @param isLast whether the run stops there: else it goes on meanwhile */
  async #writeCheckpoint(t: number, isLast: boolean): Promise<void> {
    const { comm, writer, members, averaging } = this.#parts;
    await this.#metrics.deliver();
    await this.#round.arrive();
    this.#totals.exchange(averaging.peakBytes);
    const [weights, ...others] = this.#stateful;
    await writer!.begin(t, [finite(weights, comm), ...others], this.#evaluations.loss);
    // Whoever is lost while it is written is left out, and it is written again.
    if (isLast || members?.recovery) await writer!.settle();
  }

  /** Whether its end is no part of what follows step `t`: it comes later, or others come to it. */
  #goesOn(t: number): boolean {
    return this.#clock.continues(t) || (this.#parts.members?.endsApart?.(t) ?? false);
  }

  /** What ends a run of `t` steps. @param closes whether its last rounds are to come, as in one that goes on there */
  async #end(t: number, closes: boolean): Promise<Summary> {
    const { writer, evaluator, task } = this.#parts, { last, noted } = this.#watch;
    await this.#requests.settle();
    if (closes) {
      // The evaluator holds nothing yet: its copy of the weights is needed.
      await evaluator.evaluate(task.splits);
      await this.#close(t);
    }
    if (last && !noted) await this.#best?.note(last, this.#notes.position(t));
    await this.#metrics.deliver();
    await writer?.settle();
    return await this.#summarize(t);
  }

  /** Everything that the rest of the run depends on. */
  get #stateful(): Stateful[] {
    const { averaging, trainStep } = this.#parts;
    const loopParts = [this.#totals, this.#trigger, this.#evaluations, this.#round, this];
    const attendance = this.#parts.members ? [this.#attendance] : [];
    return [
      trainStep,
      averaging,
      ...this.#controls ? [this.#controls] : [],
      ...this.#best ? [this.#best] : [],
      ...loopParts,
      ...attendance,
    ];
  }

  /** Where the loop itself stands. */
  save(): Promise<StateDict> {
    const milliseconds = performance.now() - this.#notes.start!;
    const numbers = { "loop.samples": this.#local.samples, "loop.milliseconds": milliseconds };
    return Promise.resolve({ tensors: [], numbers });
  }

  /** Goes on from there. */
  restore(state: StateDict): Promise<void> {
    this.#local.samples = loadNumber(state, "loop.samples");
    this.#notes.start = performance.now() - loadNumber(state, "loop.milliseconds");
    return Promise.resolve();
  }

  /** Takes a step, up to where ranks meet after it. */
  async #take(t: number): Promise<TakenStep> {
    const { comm, task, members } = this.#parts, clock = this.#clock, { inFlight } = this.#local;
    const size = this.#local.sizeOf(t);
    await this.#callbacks.call("beforeStep", {
      step: t,
      epoch: task.epoch(clock.scheduled(t)),
      lr: size.learningRate,
      clip: size.clipThreshold,
    });
    const communication = clock.beginStep(t), began = performance.now();
    let syncSeconds = 0;
    if (communication.weights === "before") {
      await this.#notes.steps(await inFlight.settle());
      syncSeconds += await this.#meet(t - 1, size);
    }
    const how = { size, communication, began, syncSeconds };
    const { ready, earlier } = await this.#local.submit(t, how);
    await this.#notes.steps(earlier);
    const due = !clock.unequal && clock.isDue(t);
    const meets = communication.weights !== "none" || communication.gradients !== "none" || due;
    await this.#round.progress();
    const waits = meets || ready || clock.unequal || !clock.continues(t) || members !== undefined;
    if (!waits) return { t, meets, last: null };
    if (due) this.#round.prefetch();
    const settled = await inFlight.settle(), last = settled.pop()!;
    await this.#notes.steps(settled);
    if (!last.result.skipped) checkFinite({ t, rank: comm.rank, ...last.result });
    return { t, meets, last };
  }

  /** The rounds that follow a step, and its numbers. Returns whether ranks have met for it. */
  async #meetAfter({ t, meets, last }: TakenStep): Promise<boolean> {
    if (!last) return false;
    const { comm } = this.#parts, clock = this.#clock, size = this.#local.sizeOf(t);
    const due = clock.isDue(t), roundSeconds = due ? await this.#meet(t, size) : 0;
    const seconds = roundSeconds + (this.#goesOn(t) ? 0 : await this.#close(t));
    const now = performance.now(), milliseconds = last.milliseconds + now - last.ended;
    const { syncSeconds } = last;
    await this.#notes.steps([{
      ...last,
      syncSeconds: syncSeconds + seconds,
      milliseconds,
      ended: now,
    }]);
    // Numbers travel where the ranks have met anyway, whether or not this one took part.
    const met = meets || due;
    if (!met || !this.#metrics.due) return met;
    await this.#metrics.deliver();
    if (comm.size > 1) await this.#requests.poll();
    return met;
  }

  /** The rounds that are due when `t` steps are done. Returns their seconds on this rank. */
  async #meet(t: number, size: StepSize): Promise<number> {
    await this.#callbacks.call("beforeRound", { step: t, round: this.#round.count + 1 });
    const { seconds, ended } = await this.#parts.averaging.burst(() => this.#round.run(t, size));
    const before = this.#round.count - ended.length;
    for (const [i, round] of ended.entries()) {
      await this.#notes.round(t, seconds / ended.length, round, { number: before + i + 1 });
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
      await this.#notes.round(t, seconds / ended.length, round, { number, final: true });
    }
    return seconds;
  }

  async #evaluate(t: number): Promise<Evaluated> {
    await this.#metrics.deliver();
    const when = !this.#clock.continues(t) ? "end" : t === 0 ? "untrained" : "between";
    const at = this.#notes.position(t);
    await this.#callbacks.call("beforeEvaluation", at);
    const evaluated = await this.#evaluations.evaluate(at, when);
    await this.#callbacks.call("afterEvaluation", evaluated.records);
    return evaluated;
  }

  async #summarize(t: number): Promise<Summary> {
    const { comm, task, averaging, checkpoints, worlds } = this.#parts,
      { steps, byRank } = this.#clock.total();
    const { compressed } = averaging, { samples } = this.#local;
    const best = await this.#best?.scores(task.splits.at(-1)!) ?? null;
    const { stoppedBy } = this.#callbacks, waiting = await this.#metrics.waiting();
    const { ending } = this.#round, position = this.#notes.position(t), { bytesSent } = position;
    this.#totals.exchange(averaging.peakBytes);
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
      ...worlds.some(({ members }) => members) ? { membership: worlds } : {},
      ...await this.#totals.total(comm, { samples, bytesSent, ending, compressed }),
    });
  }
}
