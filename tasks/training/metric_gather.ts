/**
 * Brings the ranks' measurements to rank 0, which writes them down. Numbers travel together with a round
 * of averaging every so many steps, so the steps themselves send nothing.
 *
 * @module
 */

import type { Communicator } from "../../runtime/communicator.ts";
import type { MetricsLog, RoundRecord, StepRecord } from "../run/metrics.ts";

/** A step of a rank, which need not be said. */
export type StepMetrics = Omit<StepRecord, "type" | "rank">;

/** What of a round is the same on every rank, or rank 0's. */
export type RoundMetrics = Omit<RoundRecord, "type" | keyof RoundMeasure>;

/** What one rank measured in one round. */
export interface RoundMeasure {
  readonly syncMs: number;
  readonly drift: number;
}

/** Steps between two deliveries: one small message for this many steps. */
const STEPS_PER_DELIVERY = 4;

/** The numbers of a step, in the order in which they travel and are written. */
const STEP_FIELDS = Object.keys(
  {
    step: true,
    epoch: true,
    iteration: true,
    round: true,
    seconds: true,
    samples: true,
    bytesSent: true,
    bytesReceived: true,
    loss: true,
    gradNorm: true,
    clipped: true,
    clippedShare: true,
    skipped: true,
    lr: true,
    clip: true,
    stepMs: true,
    syncMs: true,
  } satisfies Record<keyof StepMetrics, true>,
) as (keyof StepMetrics)[];

/** The numbers of a round that each rank measures. */
const ROUND_FIELDS = ["syncMs", "drift"] as const satisfies readonly (keyof RoundMeasure)[];

interface PendingRound {
  readonly metrics: RoundMetrics;
  readonly measure: RoundMeasure | null;
}

/** One rank's end of the measurements. Every rank makes the same calls in the same order. */
export class MetricGather {
  readonly #comm: Communicator;
  readonly #log: MetricsLog | null;
  #steps: StepMetrics[] = [];
  #rounds: PendingRound[] = [];

  /** @param log where rank 0 writes; null on the others */
  constructor(comm: Communicator, log: MetricsLog | null) {
    this.#comm = comm;
    this.#log = log;
  }

  /** Notes a step; rank 0's own is written at once. */
  step(metrics: StepMetrics): void {
    this.#steps.push(metrics);
    this.#log?.write({ type: "step", rank: 0, ...metrics });
  }

  /** Notes a round; a rank that took no part measured null. */
  round(metrics: RoundMetrics, measure: RoundMeasure | null): void {
    this.#rounds.push({ metrics, measure });
  }

  /**
   * Whether enough has been noted for a delivery, the same answer on every rank: so many steps, or a round
   * to which ranks came with unequal numbers of them.
   */
  get due(): boolean {
    return this.#steps.length >= STEPS_PER_DELIVERY ||
      this.#rounds.some(({ metrics }) => metrics.steps);
  }

  /** Delivers what was noted to rank 0. Collective. */
  async deliver(): Promise<void> {
    const steps = this.#steps, rounds = this.#rounds, { rank, size } = this.#comm;
    this.#steps = [];
    this.#rounds = [];
    if (steps.length + rounds.length === 0) return;
    const counts = rounds.find(({ metrics }) => metrics.steps)?.metrics.steps ??
      new Array<number>(size).fill(steps.length);
    const lengths = counts.map((count) => rowsLength(count, rounds.length));
    const numbers = Float64Array.from([
      ...steps.flatMap((step) => STEP_FIELDS.map((name) => Number(step[name]))),
      ...rounds.flatMap(({ measure }) => ROUND_FIELDS.map((name) => measure?.[name] ?? NaN)),
    ]);
    const total = lengths.reduce((sum, length) => sum + length, 0);
    const gathered = rank === 0 ? new Float64Array(total) : null;
    await this.#comm.gatherv(numbers, gathered, lengths, 0);
    if (!gathered || !this.#log) return;
    let from = 0;
    const byRank = lengths.map((length) => gathered.subarray(from, from += length));
    const records = [...stepRecords(byRank, counts), ...roundRecords(byRank, rounds)];
    this.#log.write(...records.sort((a, b) => order(a) - order(b)));
  }
}

const rowsLength = (steps: number, rounds: number) =>
  steps * STEP_FIELDS.length + rounds * ROUND_FIELDS.length;

/**
 * Records stand in the order in which they took place; a round by the clock, or at the end of the run, comes
 * after all that led to it.
 */
function order(record: StepRecord | RoundRecord): number {
  const atTheEnd = record.type === "round" && (record.steps || record.final);
  return atTheEnd ? Number.MAX_SAFE_INTEGER : record.step;
}

/** The steps of all ranks but 0, whose own are written. */
function* stepRecords(
  byRank: readonly Float64Array[],
  counts: readonly number[],
): Generator<StepRecord> {
  for (let i = 0; i < Math.max(...counts); i++) {
    for (let rank = 1; rank < byRank.length; rank++) {
      if (i >= counts[rank]) continue;
      const row = byRank[rank].subarray(i * STEP_FIELDS.length);
      const numbers = Object.fromEntries(STEP_FIELDS.map((name, at) => [name, row[at]]));
      const { clipped, clippedShare, skipped, ...others } = numbers;
      // A number that was not there has come as none.
      const share = Number.isNaN(clippedShare) ? {} : { clippedShare };
      const not = skipped === 1 ? { skipped: true } : {};
      yield {
        type: "step",
        rank,
        ...others,
        clipped: clipped === 1,
        ...share,
        ...not,
      } as StepRecord;
    }
  }
}

/** Rounds, each with the mean time of those that took part and the largest drift. */
function* roundRecords(
  byRank: readonly Float64Array[],
  rounds: readonly PendingRound[],
): Generator<RoundRecord> {
  for (const [i, { metrics }] of rounds.entries()) {
    const { driftBound, participants, fragment, steps, final, ...position } = metrics;
    let syncMs = 0, drift = 0;
    for (const rank of participants) {
      const at = byRank[rank].length - (rounds.length - i) * ROUND_FIELDS.length;
      const measured = byRank[rank].subarray(at);
      syncMs += measured[0] / participants.length;
      drift = Math.max(drift, measured[1]);
    }
    yield {
      type: "round",
      ...position,
      syncMs,
      drift,
      driftBound,
      participants,
      ...fragment === undefined ? {} : { fragment },
      ...steps ? { steps } : {},
      ...final ? { final } : {},
    };
  }
}
