/**
 * Brings the ranks' measurements to rank 0 where the ranks take unequal numbers of steps.
 *
 * @module
 */

import type { Communicator } from "../../runtime/communicator.ts";
import type { MetricsLog, Position, StepRecord } from "../run/metrics.ts";

/** What a rank says of a step: a record without its kind and its rank. */
export type TimedStep = Omit<StepRecord, "type" | "rank">;

/** What is the same on every rank of a round. */
export interface TimedRound {
  /** Rank 0's. */
  readonly position: Position;
  readonly driftBound: number | null;
  readonly participants: readonly number[];
  /** Steps that each rank has taken since the round before. */
  readonly steps: readonly number[];
}

/** The numbers of a step, in the order in which they travel. */
const FIELDS = [
  "step",
  "epoch",
  "iteration",
  "round",
  "seconds",
  "samples",
  "bytesSent",
  "bytesReceived",
  "loss",
  "gradNorm",
  "clipped",
  "lr",
  "clip",
  "stepMs",
  "syncMs",
] as const satisfies readonly (keyof TimedStep)[];

/** One rank's end of the measurements: they travel once a round. */
export class TimedTelemetry {
  readonly #comm: Communicator;
  readonly #log: MetricsLog | null;
  #steps: TimedStep[] = [];

  /** @param log where rank 0 writes; null on the others */
  constructor(comm: Communicator, log: MetricsLog | null) {
    this.#comm = comm;
    this.#log = log;
  }

  /** Notes a step; rank 0's own is written at once. */
  step(step: TimedStep): void {
    this.#steps.push(step);
    this.#log?.write({ type: "step", rank: 0, ...step });
  }

  /**
   * Delivers a round, and the steps that led to it, to rank 0. Collective.
   *
   * @param measure what this rank measured; null if it took no part
   */
  async deliver(
    round: TimedRound,
    measure: { readonly syncMs: number; readonly drift: number } | null,
  ): Promise<void> {
    const { rank, size } = this.#comm, steps = this.#steps, counts = round.steps;
    this.#steps = [];
    const width = FIELDS.length;
    const own = Float64Array.from(
      steps.flatMap((step) => FIELDS.map((name) => Number(step[name]))),
    );
    const lengths = counts.map((count) => count * width);
    const total = lengths.reduce((sum, length) => sum + length, 0);
    const all = rank === 0 ? new Float64Array(total) : null;
    await this.#comm.gatherv(own, all, lengths, 0);
    const ends = rank === 0 ? new Float64Array(2 * size) : null;
    await this.#comm.gather(Float64Array.of(measure?.syncMs ?? NaN, measure?.drift ?? NaN), ends);
    if (!all || !ends || !this.#log) return;
    let at = lengths[0];
    for (let from = 1; from < size; from++) {
      for (let i = 0; i < counts[from]; i++, at += width) {
        this.#log.write(readStep(from, all.subarray(at, at + width)));
      }
    }
    const { position, driftBound, participants } = round;
    let syncMs = 0, drift = 0;
    for (const from of participants) {
      syncMs += ends[2 * from] / participants.length;
      drift = Math.max(drift, ends[2 * from + 1]);
    }
    const counted = { participants, steps: counts };
    this.#log.write({ type: "round", ...position, syncMs, drift, driftBound, ...counted });
  }
}

function readStep(rank: number, row: Float64Array): StepRecord {
  const numbers = Object.fromEntries(FIELDS.map((name, i) => [name, row[i]]));
  const { clipped, ...rest } = numbers as Record<keyof TimedStep, number>;
  return { type: "step", rank, ...rest, clipped: clipped === 1 };
}
