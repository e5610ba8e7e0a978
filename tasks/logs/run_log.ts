import type { DamagedLine, LogLine, ParsedLine } from "./_log_lines.ts";
import { LogTable } from "./_log_table.ts";
import { isLeft, readConfigFile, type RunConfigFile } from "./config.ts";
import { LogError } from "./log_error.ts";
import { LogTail } from "./log_tail.ts";
import { NUMBERS, type Summary, type SummaryRecord } from "./records.ts";

/**
 * Damaged lines named one by one; more are only counted, so that a wrong file cannot fill the page.
 */
const NAMED_DAMAGE = 20;

/** A run that is "ended early" was interrupted or has failed: its log has no end and grows no more. */
export type RunState = "going" | "finished" | "ended early";

/** A log without an end that was not written to for so long is that of a run which goes on no more. */
export const PATIENCE_SECONDS = 120;

/** A run that has been silent for long before, as while it evaluates, is given so many times as long. */
const PATIENCE_GAPS = 5;

/**
 * The log of one run: `metrics.jsonl` and `config.json` of its folder, read as far as they go.
 *
 * It can be read again while the run goes on: {@linkcode RunLog.refresh} takes in only what was
 * appended.
 */
export class RunLog {
  /** The folder, as given. */
  readonly directory: string;
  /** The content of `config.json`, or null where it is missing. */
  config: RunConfigFile | null = null;
  /** The `step` lines. */
  readonly steps: LogTable<typeof NUMBERS.step[number]> = new LogTable(NUMBERS.step);
  /** The `round` lines. `participants` is how many ranks averaged. */
  readonly rounds: LogTable<typeof NUMBERS.round[number]> = new LogTable(NUMBERS.round);
  /** The `eval` lines; `accuracy` is a fraction of 1. */
  readonly evals: LogTable<typeof NUMBERS.eval[number]> = new LogTable(NUMBERS.eval);
  /**
   * The `split` of each row of {@linkcode RunLog.evals} ("test", "valid", …; "" where not said).
   */
  readonly splits: string[] = [];
  /** The last `summary` line; null while the run goes on. */
  summary: LogLine | null = null;
  /** The first damaged lines. */
  readonly damaged: DamagedLine[] = [];
  /** How many lines were damaged in all. */
  damagedCount = 0;
  readonly #tail: LogTail;
  /** Whether nobody writes to the folder any more. */
  #left = false;

  private constructor(directory: string) {
    this.directory = directory;
    this.#tail = new LogTail(this.file);
  }

  /** Path of the log file. */
  get file(): string {
    return `${this.directory}/metrics.jsonl`;
  }

  /** True if the last line is incomplete: the run is writing it, or died doing so. */
  get torn(): boolean {
    return this.#tail.torn;
  }

  /** When the log was last written to; null where the system does not say. */
  get modified(): Date | null {
    return this.#tail.modified;
  }

  /**
   * Reads the log in a folder.
   *
   * @throws {LogError} if the folder has no `metrics.jsonl`, or `config.json` is not JSON.
   */
  static async open(directory: string): Promise<RunLog> {
    const log = new RunLog(directory);
    await log.refresh();
    return log;
  }

  /**
   * Takes in what was appended since; true if there was anything. A file begun anew is read from
   * its start.
   */
  async refresh(): Promise<boolean> {
    let changed: boolean;
    this.config ??= await readConfigFile(this.directory);
    this.#left = await isLeft(this.directory, this.config);
    try {
      changed = this.#tail.read({
        take: (line, number) => this.#takeLine(line, number),
        restart: () => this.#forget(),
      });
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      throw new LogError(
        `cannot read the run in ${this.directory}: its folder must hold metrics.jsonl and does not; ` +
          "pass the folder given to a run's --out (or the default, runs/<time>-<name>)",
      );
    }
    this.config ??= await readConfigFile(this.directory);
    return changed;
  }

  /** How far the run has come, as its log tells it. */
  stateAt(now: Date): RunState {
    if (this.summary !== null) return "finished";
    if (this.#left) return "ended early";
    if (this.modified === null) return "going";
    const patience = Math.max(PATIENCE_SECONDS, PATIENCE_GAPS * longestGap(this));
    return (now.getTime() - this.modified.getTime()) / 1000 > patience ? "ended early" : "going";
  }

  #forget(): void {
    this.config = null;
    this.steps.clear();
    this.rounds.clear();
    this.evals.clear();
    this.splits.length = 0;
    this.summary = null;
    this.damaged.length = 0;
    this.damagedCount = 0;
  }

  #takeLine({ record, damage }: ParsedLine, number: number): void {
    if (damage !== undefined) {
      this.damagedCount++;
      if (this.damaged.length < NAMED_DAMAGE) this.damaged.push({ line: number, reason: damage });
    }
    switch (record?.type) {
      case "step":
        this.steps.push(record);
        // A job that was started again from a checkpoint is going on once more.
        this.summary = null;
        break;
      case "round":
        this.rounds.push(record);
        break;
      case "eval":
        this.evals.push(record);
        this.splits.push(typeof record.split === "string" ? record.split : "");
        break;
      case "summary":
        this.summary = record;
    }
  }
}

/**
 * What a finished run came to: its last record without the position.
 *
 * @throws {LogError} if the log has no summary, or one that lacks what every run's has
 */
export function summaryOf(log: RunLog): Summary {
  if (log.summary === null) throw new LogError(`${log.file} ends without a summary`);
  const {
    type: _type,
    rank: _rank,
    step: _step,
    epoch: _epoch,
    iteration: _iteration,
    round: _round,
    seconds: _seconds,
    samples: _samples,
    bytesSent: _bytesSent,
    bytesReceived: _bytesReceived,
    ...summary
  } = log.summary as LogLine & Partial<SummaryRecord>;
  for (const name of ["ranks", "steps", "trainSeconds", "totalBytesSent"] as const) {
    if (typeof summary[name] === "number") continue;
    throw new LogError(`cannot read ${log.file}: its summary needs the number "${name}"`);
  }
  return summary as Summary;
}

/** The longest time between two of rank 0's steps, in seconds. */
function longestGap({ steps }: RunLog): number {
  const seconds = steps.column("seconds"), rank = steps.column("rank");
  const times = steps.rows().filter((row) => rank[row] === 0).map((row) => seconds[row]);
  return times.reduce((most, time, i) => Math.max(most, time - (times[i - 1] ?? 0)), 0);
}
