/**
 * Brings the ranks' measurements to rank 0, which writes them down. Numbers travel together with a round
 * of averaging every so many steps, so the steps themselves send nothing.
 *
 * @module
 */

import type { Communicator } from "../../../runtime/communicator.ts";
import type { WaitingSummary } from "../../logs/records.ts";
import { broadcastText } from "../../run/byte_stream.ts";
import type { MetricsLog, RoundRecord, StepRecord } from "../../run/metrics.ts";
import { WaitingLog } from "../waiting/waiting_log.ts";

/** A step of a rank, which need not be said. */
export type StepMetrics = Omit<StepRecord, "type" | "rank">;

/** Numbers of a delivery itself: the rank from which this one has heard nothing, and for how many seconds. */
const SILENCE_NUMBERS = 2;

/** What of a round is the same on every rank, or rank 0's. */
export type RoundMetrics = Omit<RoundRecord, "type" | keyof RoundMeasure>;

/** What one rank measured in one round. */
export interface RoundMeasure {
  readonly syncMs: number;
  readonly drift: number;
  readonly residualNorm?: number;
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
const ROUND_FIELDS = [
  "syncMs",
  "drift",
  "residualNorm",
] as const satisfies readonly (keyof RoundMeasure)[];

interface PendingRound {
  readonly metrics: RoundMetrics;
  readonly measure: RoundMeasure | null;
  /** The place, among the steps of the delivery, of the step that it is a part of. */
  readonly at: number;
}

const say = (line: string) => console.error(line);

/** One rank's end of the measurements. Every rank makes the same calls in the same order. */
export class MetricGather {
  readonly #comm: Communicator;
  readonly #log: MetricsLog | null;
  readonly #members: readonly number[];
  readonly #waits: boolean;
  #steps: StepMetrics[] = [];
  #rounds: PendingRound[] = [];
  /** On the rank that writes; null on the others. */
  #waiting: WaitingLog | null;
  /** What was silent at the last delivery, in seconds by rank. */
  #silences: readonly number[];

  /**
   * @param log where rank 0 writes; null on the others
   * @param members the ranks' numbers in the run, by which records name them
   * @param waits whether numbers may wait for another round
   */
  constructor(
    comm: Communicator,
    log: MetricsLog | null,
    members: readonly number[],
    waits: boolean,
  ) {
    this.#comm = comm;
    this.#log = log;
    this.#silences = comm.network.silences;
    this.#waiting = comm.rank === 0 ? new WaitingLog(members, say) : null;
    this.#members = members;
    this.#waits = waits;
  }

  /** Numbers of steps that have not been delivered. */
  get steps(): readonly StepMetrics[] {
    return this.#steps;
  }

  /** What the ranks have waited for so far, copied; null on ranks that do not write. */
  get waits(): WaitingLog | null {
    return this.#waiting?.copy() ?? null;
  }

  /**
   * Goes on with such numbers.
   *
   * @param written whether they are in the log, as those of the rank that writes
   * @param waits what the ranks there were before had waited for; null where this one did not write then
   */
  resume(steps: readonly StepMetrics[], written: boolean, waits: WaitingLog | null): void {
    if (this.#waiting) this.#waiting = new WaitingLog(this.#members, say, waits);
    this.#steps = [...steps];
    if (written) return;
    for (const metrics of steps) {
      this.#log?.write({ type: "step", rank: this.#members[0], ...metrics });
    }
  }

  /** Notes a step; rank 0's own is written at once. */
  step(metrics: StepMetrics): void {
    this.#steps.push(metrics);
    this.#log?.write({ type: "step", rank: this.#members[0], ...metrics });
  }

  /** Notes a round; a rank that took no part measured null. */
  round(metrics: RoundMetrics, measure: RoundMeasure | null): void {
    this.#rounds.push({ metrics, measure, at: this.#steps.length });
  }

  /**
   * Whether enough has been noted for a delivery, the same answer on every rank: so many steps, or a round
   * to which ranks came with unequal numbers of them.
   */
  get due(): boolean {
    return !this.#waits || this.#steps.length >= STEPS_PER_DELIVERY ||
      this.#rounds.some(({ metrics }) => metrics.steps);
  }

  /** The rank that was silent for longest since the last delivery, and for how many seconds. */
  #longestSilence(): [rank: number, seconds: number] {
    const { silences } = this.#comm.network, before = this.#silences;
    const since = silences.map((seconds, rank) => seconds - before[rank]);
    this.#silences = silences;
    const seconds = Math.max(...since);
    return [since.indexOf(seconds), seconds];
  }

  /** What the ranks have waited for, the same on all of them; null where nobody has met. Collective. */
  async waiting(): Promise<WaitingSummary | null> {
    const text = JSON.stringify(this.#waiting?.summary ?? null);
    return JSON.parse(await broadcastText(this.#comm, text));
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
      ...this.#longestSilence(),
    ]);
    const total = lengths.reduce((sum, length) => sum + length, 0);
    const gathered = rank === 0 ? new Float64Array(total) : null;
    await this.#comm.gatherv(numbers, gathered, lengths, 0);
    if (!gathered) return;
    let from = 0;
    const byRank = lengths.map((length) => gathered.subarray(from, from += length));
    this.#waiting?.note(...waits(byRank, rounds, counts));
    if (!this.#log) return;
    const records = [...stepRecords(byRank, counts), ...roundRecords(byRank, rounds)]
      .map((record) => this.#named(record));
    this.#log.write(...records.sort((a, b) => order(a) - order(b)));
  }

  /** A record that names ranks by their numbers in the run instead of their places. */
  #named(record: StepRecord | RoundRecord): StepRecord | RoundRecord {
    const members = this.#members;
    if (record.type === "step") return { ...record, rank: members[record.rank] };
    const participants = record.participants.map((place) => members[place]);
    return { ...record, rank: members[0], participants };
  }
}

const rowsLength = (steps: number, rounds: number) =>
  steps * STEP_FIELDS.length + rounds * ROUND_FIELDS.length + SILENCE_NUMBERS;

/** What a rank has measured of round `i` of a delivery, in the order of `ROUND_FIELDS`. */
function roundNumbers(own: Float64Array, i: number, rounds: number): Float64Array {
  return own.subarray(own.length - SILENCE_NUMBERS - (rounds - i) * ROUND_FIELDS.length);
}

const SYNC = STEP_FIELDS.indexOf("syncMs"), STEP = STEP_FIELDS.indexOf("stepMs");

/** What a delivery says of waiting: the arguments of {@linkcode WaitingLog.note}. */
function waits(
  byRank: readonly Float64Array[],
  rounds: readonly PendingRound[],
  counts: readonly number[],
): Parameters<WaitingLog["note"]> {
  const syncOf = (own: Float64Array, round: number) => roundNumbers(own, round, rounds.length)[0];
  const isAlone = byRank.length === 1;
  const meetings = isAlone
    ? []
    : rounds.map(({ metrics: { participants } }, i) =>
      byRank.map((own, rank) => participants.includes(rank) ? syncOf(own, i) : null)
    );
  // What a step has exchanged beside its rounds; by the clock there is nothing else.
  const together = !isAlone && rounds.every(({ metrics }) => !metrics.steps);
  for (let step = 0; together && step < counts[0]; step++) {
    const inRounds = (own: Float64Array) =>
      rounds.reduce((sum, { at }, i) => at === step ? sum + syncOf(own, i) : sum, 0);
    const rest = byRank.map((own) => own[step * STEP_FIELDS.length + SYNC] - inRounds(own));
    if (rest.some((ms) => ms > 1e-6)) meetings.push(rest);
  }
  const spent = byRank.map((own, rank) => {
    const sum = (field: number) =>
      Array.from({ length: counts[rank] }, (_, step) => own[step * STEP_FIELDS.length + field])
        .reduce((a, b) => a + b, 0);
    return { total: sum(STEP), sync: sum(SYNC) };
  });
  const silences = byRank.flatMap((own, rank) => {
    const [peer, seconds] = own.subarray(-SILENCE_NUMBERS);
    return seconds > 0 ? { rank, peer, seconds } : [];
  });
  return [meetings, spent, silences];
}

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
    let syncMs = 0, drift = 0, squares = 0;
    for (const rank of participants) {
      const measured = roundNumbers(byRank[rank], i, rounds.length);
      syncMs += measured[0] / participants.length;
      drift = Math.max(drift, measured[1]);
      squares += measured[2] ** 2 / participants.length;
    }
    yield {
      type: "round",
      ...position,
      syncMs,
      drift,
      driftBound,
      // A number that was not there has come as none.
      ...Number.isNaN(squares) ? {} : { residualNorm: Math.sqrt(squares) },
      participants,
      ...fragment === undefined ? {} : { fragment },
      ...steps ? { steps } : {},
      ...final ? { final } : {},
    };
  }
}
