/**
 * One rank as a process of the launcher's.
 *
 * @module
 */

/** What a rank's process is started with. */
export interface RankProcessOptions {
  /** Arguments of `deno`. */
  readonly args: readonly string[];
  /** The whole environment. */
  readonly env: Record<string, string>;
  readonly cwd: string | undefined;
  /** The job's secret, in hexadecimal digits. */
  readonly secret: string;
}

/** A rank's process, in a process group of its own where the system has such. */
export class RankProcess {
  readonly pid: number;
  readonly stdout: ReadableStream<Uint8Array>;
  readonly stderr: ReadableStream<Uint8Array>;
  /** How it ended. */
  readonly status: Promise<Deno.CommandStatus>;
  readonly #child: Deno.ChildProcess;
  readonly #grouped = Deno.build.os !== "windows";

  constructor({ args, env, cwd, secret }: RankProcessOptions) {
    // Its own group, so that Ctrl-C reaches the launcher alone, which then ends the ranks in order,
    // and so that what the rank itself has started ends with it.
    this.#child = new Deno.Command(Deno.execPath(), {
      args: [...args],
      env,
      clearEnv: true,
      cwd,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
      detached: this.#grouped,
    }).spawn();
    this.pid = this.#child.pid;
    this.stdout = this.#child.stdout;
    this.stderr = this.#child.stderr;
    this.status = this.#child.status;
    // Kept open: the rank takes its end for the end of the launcher.
    this.#child.stdin.getWriter().write(new TextEncoder().encode(`${secret}\n`)).catch(() => {});
  }

  /** Sends a signal to the rank and to what it has started. */
  kill(signal: Deno.Signal): void {
    try {
      if (this.#grouped) Deno.kill(-this.pid, signal);
      else this.#child.kill(signal);
    } catch {
      // It has ended.
    }
  }
}
