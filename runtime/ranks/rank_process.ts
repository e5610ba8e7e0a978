/**
 * One rank as a process of the launcher's.
 *
 * @module
 */

import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:os";
import type { Readable, Writable } from "node:stream";
import type { ExitStatus, Rank } from "./rank.ts";

/**
 * The descriptor at which a rank finds the pipe from its launcher. On Windows, which hands down none but
 * the standard ones, that is standard input.
 */
export const PIPE_FD = Deno.build.os === "windows" ? 0 : 3;

/** What a rank's process is started with. */
export interface RankProcessOptions {
  /** Arguments of `deno`. */
  readonly args: readonly string[];
  /** The whole environment. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string | undefined;
  /** The job's secret, in hexadecimal digits. */
  readonly secret: string;
  /** Whether it gets a standard input; otherwise that is empty. */
  readonly stdin: boolean;
}

/** A rank's process, in a process group of its own where the system has such. */
export class RankProcess implements Rank {
  readonly pid: number;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Its standard input, or null if that is empty. */
  readonly stdin: Writable | null;
  /** How it ended. */
  readonly status: Promise<ExitStatus>;
  readonly #child: ChildProcess;
  readonly #grouped = Deno.build.os !== "windows";

  /** @throws Error if the system cannot start it */
  static async start(options: RankProcessOptions): Promise<RankProcess> {
    const process = new RankProcess(options);
    if (process.pid === undefined) await process.status;
    return process;
  }

  private constructor({ args, env, cwd, secret, stdin }: RankProcessOptions) {
    const own = PIPE_FD === 0 || stdin ? "pipe" : "ignore";
    // Its own group, so that Ctrl-C reaches the launcher alone, which then ends the ranks in order,
    // and so that what the rank itself has started ends with it.
    this.#child = spawn(Deno.execPath(), [...args], {
      env: { ...env },
      cwd,
      stdio: PIPE_FD === 0 ? [own, "pipe", "pipe"] : [own, "pipe", "pipe", "pipe"],
      detached: this.#grouped,
    });
    const status = Promise.withResolvers<ExitStatus>();
    this.status = status.promise;
    this.status.catch(() => {}); // That it could not be started is told by start().
    this.#child.once("error", status.reject);
    this.#child.once("exit", (code, signal) => {
      status.resolve({
        code: code ?? 128 + (signal ? constants.signals[signal] : 0),
        signal,
        lost: null,
      });
    });
    this.pid = this.#child.pid!;
    this.stdout = this.#child.stdout!;
    this.stderr = this.#child.stderr!;
    this.stdin = PIPE_FD !== 0 && stdin ? this.#child.stdin : null;
    this.stdin?.on("error", () => {}); // A program need not read it.
    // Kept open: the rank takes its end for the end of the launcher.
    const pipe = this.#child.stdio?.[PIPE_FD] as Writable | undefined;
    pipe?.on("error", () => {});
    pipe?.write(`${secret}\n`);
  }

  /** Sends a signal to the rank and to what it has started. */
  kill(signal: Deno.Signal): void {
    try {
      if (this.#grouped) Deno.kill(-this.pid, signal);
      else this.#child.kill(signal as "SIGTERM");
    } catch {
      // It has ended.
    }
  }
}
