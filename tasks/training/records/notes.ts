/**
 * What a run says of its steps and rounds, while it goes on: to its log, to the sums of its summary, and to whoever
 * has hung a callback into it.
 *
 * @module
 */

import { type Algorithm, isClipped } from "../../../optimizers/mod.ts";
import type { Communicator } from "../../../runtime/communicator.ts";
import { sumOf, type WeightAveraging } from "../../rounds/averaging.ts";
import type { EndedRound, Round } from "../../rounds/round.ts";
import type { RoundClock } from "../../rounds/round_clock.ts";
import type { Position } from "../../run/metrics.ts";
import type { CompletedStep } from "../../steps/in_flight.ts";
import type { LocalSteps } from "../../steps/local_steps.ts";
import type { Task } from "../../task.ts";
import type { SpanLog } from "./span_log.ts";
import type { Callbacks } from "../callbacks/callbacks.ts";
import type { Attendance } from "../membership/attendance.ts";
import type { RunningTotals } from "../totals.ts";
import { checkDrift, checkFinite } from "../training_error.ts";
import type { MetricGather } from "./metric_gather.ts";

/** Whom is told what; all of it is the caller's. */
export interface NotesParts {
  readonly comm: Communicator;
  readonly algorithm: Algorithm;
  readonly task: Task;
  readonly averaging: WeightAveraging;
  readonly clock: RoundClock;
  readonly round: Round;
  readonly local: LocalSteps;
  readonly metrics: MetricGather;
  readonly totals: RunningTotals;
  readonly callbacks: Callbacks;
  readonly attendance: Attendance;
  /** The ranks' numbers in the run. */
  readonly members: readonly number[];
  /** What notes when things were done; absent where nobody asks. */
  readonly spans?: SpanLog | undefined;
}

/** One rank's notes. */
export class Notes {
  #start: number | null = null;
  readonly #parts: NotesParts;

  constructor(parts: NotesParts) {
    this.#parts = parts;
  }

  /** When the first step began, in ms of `performance.now()`; null: it has not. */
  get start(): number | null {
    return this.#start;
  }

  set start(start: number | null) {
    this.#start = start;
    if (start !== null) this.#parts.spans?.begin(start);
  }

  /** Notes steps that are done, in order. */
  async steps(steps: readonly CompletedStep[]): Promise<void> {
    const { algorithm: { update: { clips } }, task, clock, round } = this.#parts,
      { metrics: gather, totals, callbacks, members, comm } = this.#parts,
      rank = members[comm.rank];
    for (const step of steps) {
      const { t, progress, size: { learningRate, clipThreshold }, samples, syncSeconds } = step;
      const { result: { loss, gradNorm, clipNorm, clippedShare, skipped }, milliseconds: stepMs } =
        step;
      if (!skipped) checkFinite({ t, rank, loss, gradNorm });
      const { rank: _, ...position } = this.#positionAt(t, task.epoch(progress));
      // The end of the run is part of its last step for who watches, and of no step for one that goes on.
      const endSeconds = clock.continues(t) ? 0 : round.ending?.seconds ?? 0;
      const whole = clips && isClipped(clipNorm, learningRate, clipThreshold);
      const clipped = clippedShare === undefined ? whole : clippedShare > 0;
      const metrics = {
        ...position,
        round: round.count,
        seconds: (step.ended - this.start!) / 1000,
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
      gather.step(metrics);
      totals.step(progress, {
        loss,
        clipped: clippedShare ?? Number(clipped),
        stepMs: stepMs - endSeconds * 1000,
        syncSeconds: syncSeconds - endSeconds,
        skipped,
      });
      await callbacks.call("afterStep", { rank, ...metrics });
    }
  }

  /**
   * Notes a round that has ended.
   *
   * @param t steps of this rank
   * @param seconds that it has spent in it
   */
  async round(
    t: number,
    seconds: number,
    { drift, bound, residualNorm, ...round }: EndedRound,
    { number, final = false }: { number: number; final?: boolean },
  ): Promise<void> {
    const { takesPart, participants, steps, fragment } = round;
    const { comm, metrics, callbacks, attendance, members } = this.#parts;
    const named = participants.map((place) => members[place]);
    checkDrift({ t, rank: members[comm.rank], drift, bound });
    // Of the mean that a run comes to, one that goes on has nothing.
    if (!final) attendance.note(t, named);
    const shared = {
      ...this.position(t),
      round: number,
      driftBound: bound,
      participants,
      ...fragment === undefined ? {} : { fragment },
      ...steps ? { steps } : {},
      ...final ? { final } as const : {},
    };
    const lost = residualNorm === undefined ? {} : { residualNorm };
    const measure = takesPart ? { syncMs: seconds * 1000, drift, ...lost } : null;
    metrics.round(shared, measure);
    const own = measure ?? { syncMs: 0, drift: 0 };
    await callbacks.call("afterRound", { ...shared, participants: named, ...own });
  }

  /** Where the ranks stand in the mean when this one has taken `t` steps. */
  position(t: number): Position {
    const progress = this.#parts.clock.progress(t);
    return this.#positionAt(Math.floor(progress), this.#parts.task.epoch(progress));
  }

  #positionAt(step: number, epoch: number): Position {
    const { comm, averaging, members, local, round: { count, ending } } = this.#parts;
    const { bytesSent, bytesReceived } = ending
      ? sumOf([averaging.traffic, ending.traffic])
      : averaging.traffic;
    return {
      rank: members[comm.rank],
      step,
      epoch,
      iteration: step,
      round: count + (ending?.ended.length ?? 0),
      seconds: this.start === null ? 0 : (performance.now() - this.start) / 1000,
      samples: local.samples,
      bytesSent,
      bytesReceived,
    };
  }
}
