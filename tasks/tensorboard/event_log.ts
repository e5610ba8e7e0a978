/**
 * A run's records as TensorBoard shows them: `--log tensorboard`.
 *
 * @module
 */

import { join } from "node:path";
import type { EvalRecord, MetricRecord, RoundRecord, StepRecord } from "../logs/records.ts";
import { encodeRecord, type Event, FILE_VERSION } from "./event_file.ts";

/** Name of the folder in a run's. */
export const EVENT_FOLDER = "tensorboard";

/** A step's numbers, summed over the ranks that have taken it. */
interface StepSums {
  ranks: number;
  readonly sums: Record<string, number>;
}

/**
 * Writes one event file, a record at a time. Scalars stand at the iteration t: of steps the mean over the
 * ranks, as soon as all of them have taken it.
 */
export class EventLog implements AsyncDisposable {
  readonly #file: Deno.FsFile;
  readonly #ranks: number;
  /** Steps that some ranks have still to take. */
  readonly #open = new Map<number, StepSums>();
  #writing: Promise<unknown> = Promise.resolve();

  private constructor(file: Deno.FsFile, ranks: number) {
    this.#file = file;
    this.#ranks = ranks;
  }

  /**
   * Begins a file in a run's folder.
   *
   * @param ranks N
   * @param from the step behind which the run goes on; null for its beginning
   */
  static async open(directory: string, ranks: number, from: number | null): Promise<EventLog> {
    const folder = join(directory, EVENT_FOLDER);
    await Deno.mkdir(folder, { recursive: true });
    const log = new EventLog(
      await Deno.open(join(folder, await nextName(folder)), { createNew: true, write: true }),
      ranks,
    );
    log.#write(FILE_VERSION);
    if (from !== null) log.#write({ restartedAt: from + 1 });
    return log;
  }

  /** Takes a record. An error in writing is thrown at the end. */
  take(record: MetricRecord): void {
    switch (record.type) {
      case "step":
        return this.#takeStep(record);
      case "round":
        return this.#write({ step: record.iteration, scalars: ofRound(record) });
      case "eval":
        return this.#write({ step: record.iteration, scalars: ofEvaluation(record) });
    }
  }

  #takeStep(record: StepRecord): void {
    const { iteration } = record;
    const step = this.#open.get(iteration) ?? { ranks: 0, sums: {} };
    this.#open.set(iteration, step);
    step.ranks++;
    for (const [tag, value] of Object.entries(ofStep(record))) {
      // What was not finite is null in a log.
      step.sums[tag] = (step.sums[tag] ?? 0) + (value ?? NaN);
    }
    if (step.ranks === this.#ranks) this.#close(iteration, step);
  }

  #close(iteration: number, { ranks, sums }: StepSums): void {
    this.#open.delete(iteration);
    const scalars = Object.fromEntries(
      Object.entries(sums).map(([tag, sum]) => [tag, sum / ranks]),
    );
    this.#write({ step: iteration, scalars });
  }

  #write(event: Event): void {
    let rest = encodeRecord(event, Date.now() / 1000);
    this.#writing = this.#writing.then(async () => {
      while (rest.length > 0) rest = rest.subarray(await this.#file.write(rest));
    });
    this.#writing.catch(() => {}); // thrown at the end
  }

  /**
   * Ends the file. Of steps that not all ranks have taken, as where they take unequal numbers, the mean is
   * over those that have.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const [iteration, step] of this.#open) this.#close(iteration, step);
    try {
      await this.#writing;
    } finally {
      this.#file.close();
    }
  }
}

const ofStep = (record: StepRecord) => ({
  "step/loss": record.loss,
  "step/gradient_norm": record.gradNorm,
  "step/clipped": Number(record.clipped),
  "step/learning_rate": record.lr,
  "step/clipping_threshold": record.clip,
  "step/milliseconds": record.stepMs,
  "step/milliseconds_exchanging": record.syncMs,
});

const ofRound = (
  { drift, driftBound, residualNorm, syncMs, participants }: RoundRecord,
) => ({
  "round/drift": drift,
  ...driftBound === null ? {} : { "round/drift_bound": driftBound },
  ...residualNorm === undefined ? {} : { "round/residual_norm": residualNorm },
  "round/milliseconds": syncMs,
  "round/participants": participants.length,
});

function ofEvaluation({ split = "test", loss, accuracy, perplexity, rmse, r2 }: EvalRecord) {
  const scores = {
    loss,
    ...accuracy === undefined ? {} : { accuracy },
    ...perplexity === undefined ? {} : { perplexity },
    ...rmse === undefined ? {} : { rmse },
    ...r2 === undefined ? {} : { r2 },
  };
  return Object.fromEntries(
    Object.entries(scores).map(([name, value]) => [`${split}/${name}`, value]),
  );
}

/**
 * The name of a file that TensorBoard reads behind all that are in the folder: it takes them in the order of their
 * names. The time is in it, unless the clock has not gone on since the last of them, or has been set back.
 */
async function nextName(folder: string): Promise<string> {
  let last = -1;
  for await (const { name } of Deno.readDir(folder)) {
    const stamp = /^events\.out\.tfevents\.(\d{14})\.celgc$/.exec(name);
    if (stamp) last = Math.max(last, Number(stamp[1]));
  }
  return `events.out.tfevents.${String(Math.max(Date.now(), last + 1)).padStart(14, "0")}.celgc`;
}
