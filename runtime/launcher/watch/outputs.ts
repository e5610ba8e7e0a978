/**
 * What the ranks of a job print.
 *
 * @module
 */

import { openLog, Printer, RankOutput, type StreamName } from "../../ranks/output.ts";
import type { Rank } from "../../ranks/rank.ts";
import type { LaunchProgramOptions } from "../options.ts";
import type { Caller } from "./caller.ts";

/** How long what a rank has left behind may hold its output open, in ms. */
const DRAIN_MS = 500;

/** Passes on what each rank prints, and keeps it. */
export class Outputs implements Disposable {
  readonly #options: LaunchProgramOptions;
  readonly #caller: Caller;
  readonly #outputs: RankOutput[] = [];
  /** Logs that were opened for ranks that have not been started yet. */
  readonly #logs = new Map<number, Deno.FsFile>();
  readonly #stdout = new Printer(Deno.stdout);
  readonly #stderr = new Printer(Deno.stderr);

  /** @param options who gets what */
  constructor(options: LaunchProgramOptions, caller: Caller) {
    this.#options = options;
    this.#caller = caller;
  }

  /** Opens the log of a rank that is about to be started, if there are to be logs. */
  async openLog(rank: number): Promise<void> {
    const { logDir } = this.#options;
    if (logDir !== undefined) this.#logs.set(rank, await openLog(logDir, rank));
  }

  /** Begins to read what a rank prints. */
  collect(rank: number, { stdout, stderr }: Rank): void {
    const log = this.#logs.get(rank) ?? null;
    this.#logs.delete(rank);
    const { quiet = false, rawRank, onOutput } = this.#options;
    const print = (bytes: Uint8Array, stream: StreamName) =>
      (stream === "stdout" ? this.#stdout : this.#stderr).print(bytes);
    const raw = rawRank === rank;
    this.#outputs[rank] = new RankOutput(stdout, stderr, {
      rank,
      log,
      bytes: raw && !quiet ? print : undefined,
      line: (text, stream) => {
        this.#caller.call(() => onOutput?.(rank, text, stream));
        if (!quiet && !raw) return print(new TextEncoder().encode(`[${rank}] ${text}\n`), stream);
      },
    });
  }

  /** What a rank printed last. */
  lastLines(rank: number): readonly string[] {
    return this.#outputs[rank]?.lastLines ?? [];
  }

  /** Waits until all that a rank had printed before its end is read. */
  async drain(rank: number): Promise<void> {
    await this.#outputs[rank].drain(DRAIN_MS);
  }

  /** Closes the logs of ranks that could not be started. */
  [Symbol.dispose](): void {
    for (const log of this.#logs.values()) log.close();
    this.#logs.clear();
  }
}
