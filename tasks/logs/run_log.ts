import {
  type DamagedLine,
  EVAL_FIELDS,
  type LogLine,
  LogTable,
  parseLogLine,
  readConfig,
  ROUND_FIELDS,
  STEP_FIELDS,
} from "./_log_lines.ts";
import { ReportError } from "./log_error.ts";

const CHUNK_BYTES = 1 << 20;

/**
 * Damaged lines named one by one; more are only counted, so that a wrong file cannot fill the page.
 */
const NAMED_DAMAGE = 20;

/**
 * The log of one run: `metrics.jsonl` and `config.json` of its folder, read as far as they go.
 *
 * It can be read again while the run goes on: {@linkcode RunLog.refresh} takes in only what was
 * appended.
 */
export class RunLog {
  /** The folder, as given. */
  readonly directory: string;
  /** The options of the run, or null where `config.json` is missing. */
  config: Record<string, unknown> | null = null;
  readonly steps: LogTable<typeof STEP_FIELDS[number]> = new LogTable(STEP_FIELDS);
  readonly rounds: LogTable<typeof ROUND_FIELDS[number]> = new LogTable(ROUND_FIELDS);
  readonly evals: LogTable<typeof EVAL_FIELDS[number]> = new LogTable(EVAL_FIELDS);
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
  /** True if the last line is incomplete: the run is writing it, or died doing so. */
  torn = false;

  #offset = 0;
  #line = 0;
  #identity = "";
  #unended = false;

  private constructor(directory: string) {
    this.directory = directory;
  }

  /** Path of the log file. */
  get file(): string {
    return `${this.directory}/metrics.jsonl`;
  }

  /**
   * Reads the log in a folder.
   *
   * @throws {ReportError} if the folder has no `metrics.jsonl`, or `config.json` is not JSON.
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
    let file: Deno.FsFile;
    try {
      file = await Deno.open(this.file);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      throw new ReportError(
        `cannot report on ${this.directory}: a run's folder holds metrics.jsonl, and this one does not; ` +
          "pass the folder given to a run's --out (or the default, runs/<time>-<name>)",
      );
    }
    using _ = file;
    const before = this.#offset;
    const info = await file.stat();
    const identity = `${info.dev}:${info.ino}`;
    const anew = this.#identity !== identity || info.size < this.#offset;
    if (anew) this.#forget();
    this.#identity = identity;
    if (this.config === null || anew) {
      this.config = await readConfig(`${this.directory}/config.json`);
    }
    await file.seek(this.#offset, Deno.SeekMode.Start);
    await this.#readLines(file);
    return anew || this.#offset !== before;
  }

  #forget(): void {
    this.#offset = 0;
    this.#line = 0;
    this.#unended = false;
    this.steps.clear();
    this.rounds.clear();
    this.evals.clear();
    this.splits.length = 0;
    this.summary = null;
    this.damaged.length = 0;
    this.damagedCount = 0;
  }

  async #readLines(file: Deno.FsFile): Promise<void> {
    let rest = new Uint8Array(0);
    const chunk = new Uint8Array(CHUNK_BYTES);
    for (let read = await file.read(chunk); read !== null; read = await file.read(chunk)) {
      const bytes = new Uint8Array(rest.length + read);
      bytes.set(rest);
      bytes.set(chunk.subarray(0, read), rest.length);
      const end = bytes.lastIndexOf(0x0a) + 1;
      if (end > 0) this.#takeText(bytes.subarray(0, end));
      rest = bytes.slice(end);
    }
    // No newline yet: a line being written, unless the run ended without one.
    const tail = parseLogLine(new TextDecoder().decode(rest));
    this.torn = tail.damage !== undefined;
    if (tail.record) {
      this.#takeText(rest);
      this.#unended = true;
    }
  }

  #takeText(bytes: Uint8Array): void {
    this.#offset += bytes.length;
    const lines = new TextDecoder().decode(bytes).split("\n");
    if (lines.at(-1) === "") lines.pop();
    // The newline of a line that was taken before it had one.
    if (this.#unended && lines[0] === "") lines.shift();
    this.#unended = false;
    for (const text of lines) this.#takeLine(text);
  }

  #takeLine(text: string): void {
    this.#line++;
    const { record, damage } = parseLogLine(text);
    if (damage !== undefined) {
      this.damagedCount++;
      if (this.damaged.length < NAMED_DAMAGE) {
        this.damaged.push({ line: this.#line, reason: damage });
      }
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
