/**
 * Brings the ranks' measurements to rank 0, which writes them down. Numbers travel together with a round
 * of averaging every so many steps, so the steps themselves send nothing.
 *
 * @module
 */

import type { Communicator } from "../../runtime/communicator.ts";
import type { MetricsLog, Position, RoundRecord, StepRecord } from "../run/metrics.ts";

/** What is the same on every rank at one step; the rest of a record is each rank's own. */
export interface Common {
  readonly step: number;
  readonly epoch: number;
  readonly round: number;
}

/** What one rank measured in one step. */
export interface StepMeasure {
  readonly loss: number;
  readonly gradNorm: number;
  readonly clipped: boolean;
  readonly stepMs: number;
  readonly syncMs: number;
  readonly seconds: number;
  readonly samples: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
}

/** What one rank measured in one round; a rank that took no part reports null. */
export interface RoundMeasure {
  readonly syncMs: number;
  readonly drift: number;
}

/** Steps between two deliveries: one small message for this many steps. */
const STEPS_PER_DELIVERY = 4;

const STEP_WIDTH = 9, ROUND_WIDTH = 2;

interface PendingStep {
  readonly common: Common;
  readonly lr: number;
  readonly clip: number;
  readonly measure: StepMeasure;
}

interface PendingRound {
  readonly position: Position;
  readonly driftBound: number | null;
  readonly participants: readonly number[];
  readonly measure: RoundMeasure | null;
}

/** One rank's end of the measurements. Every rank makes the same calls in the same order. */
export class Telemetry {
  readonly #comm: Communicator;
  readonly #log: MetricsLog | null;
  #steps: PendingStep[] = [];
  #rounds: PendingRound[] = [];

  /** @param log where rank 0 writes; null on the others */
  constructor(comm: Communicator, log: MetricsLog | null) {
    this.#comm = comm;
    this.#log = log;
  }

  /** Notes a step; rank 0's own is written at once. */
  step(common: Common, lr: number, clip: number, measure: StepMeasure): void {
    const pending = { common, lr, clip, measure };
    this.#steps.push(pending);
    this.#log?.write(stepRecord(0, pending, measure));
  }

  /** Notes a round. */
  round(
    position: Position,
    driftBound: number | null,
    participants: readonly number[],
    measure: RoundMeasure | null,
  ): void {
    this.#rounds.push({ position, driftBound, participants, measure });
  }

  /** Whether enough has been noted for a delivery: the same answer on every rank. */
  get due(): boolean {
    return this.#steps.length >= STEPS_PER_DELIVERY;
  }

  /** Delivers what was noted to rank 0. Collective. */
  async deliver(): Promise<void> {
    const steps = this.#steps, rounds = this.#rounds;
    this.#steps = [];
    this.#rounds = [];
    const size = steps.length * STEP_WIDTH + rounds.length * ROUND_WIDTH;
    if (size === 0) return;
    const own = new Float64Array(size);
    let at = 0;
    for (const { measure: m } of steps) {
      own.set([
        m.loss,
        m.gradNorm,
        m.clipped ? 1 : 0,
        m.stepMs,
        m.syncMs,
        m.seconds,
        m.samples,
        m.bytesSent,
        m.bytesReceived,
      ], at);
      at += STEP_WIDTH;
    }
    for (const { measure } of rounds) {
      own.set(measure ? [measure.syncMs, measure.drift] : [NaN, NaN], at);
      at += ROUND_WIDTH;
    }
    const all = this.#comm.rank === 0 ? new Float64Array(size * this.#comm.size) : null;
    await this.#comm.gather(own, all, 0);
    if (all && this.#log) this.#log.write(...unpack(all, size, this.#comm.size, steps, rounds));
  }
}

function* measuresOf(
  all: Float64Array,
  size: number,
  ranks: number,
  offset: number,
  width: number,
) {
  for (let rank = 0; rank < ranks; rank++) {
    const at = rank * size + offset;
    yield { rank, row: all.subarray(at, at + width) };
  }
}

/** Records of the other ranks' steps, and of the rounds, in the order in which they took place. */
function unpack(
  all: Float64Array,
  size: number,
  ranks: number,
  steps: readonly PendingStep[],
  rounds: readonly PendingRound[],
): (StepRecord | RoundRecord)[] {
  const records: (StepRecord | RoundRecord)[] = [];
  steps.forEach((pending, i) => {
    for (const { rank, row } of measuresOf(all, size, ranks, i * STEP_WIDTH, STEP_WIDTH)) {
      if (rank === 0) continue;
      const [loss, gradNorm, clipped, stepMs, syncMs, seconds, samples, ...bytes] = row;
      const [bytesSent, bytesReceived] = bytes;
      records.push(stepRecord(rank, pending, {
        loss,
        gradNorm,
        clipped: clipped === 1,
        stepMs,
        syncMs,
        seconds,
        samples,
        bytesSent,
        bytesReceived,
      }));
    }
  });
  rounds.forEach(({ position, driftBound, participants }, i) => {
    const offset = steps.length * STEP_WIDTH + i * ROUND_WIDTH;
    let syncMs = 0, drift = 0;
    for (const { row } of measuresOf(all, size, ranks, offset, ROUND_WIDTH)) {
      if (Number.isNaN(row[0])) continue;
      syncMs += row[0] / participants.length;
      drift = Math.max(drift, row[1]);
    }
    records.push({ type: "round", ...position, syncMs, drift, driftBound, participants });
  });
  return records.sort((a, b) => a.step - b.step);
}

function stepRecord(rank: number, pending: PendingStep, measure: StepMeasure): StepRecord {
  const { common: { step, epoch, round }, lr, clip } = pending;
  const { seconds, samples, bytesSent, bytesReceived } = measure;
  const { loss, gradNorm, clipped, stepMs, syncMs } = measure;
  return {
    type: "step",
    rank,
    step,
    epoch,
    iteration: step,
    round,
    seconds,
    samples,
    bytesSent,
    bytesReceived,
    loss,
    gradNorm,
    clipped,
    lr,
    clip,
    stepMs,
    syncMs,
  };
}
