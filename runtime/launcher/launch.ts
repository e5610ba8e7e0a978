/**
 * The launcher: starts a program as N ranks, looks after them, and ends them all when one fails.
 *
 * @module
 */

import { NATIVE_ENGINE_ENVIRONMENT } from "../../deps.ts";
import { Printer, RankOutput, type StreamName } from "./output.ts";
import { RankProcess } from "./_rank_process.ts";
import {
  describeEnd,
  describeFailure,
  exitCodeOf,
  findRootCause,
  hasFailed,
  type RankStatus,
} from "./root_cause.ts";
import { formatAddress, listenAt } from "../security/endpoint.ts";
import { credentials } from "../security/handshake.ts";
import { checkOptions, type LaunchOutcome, type LaunchProgramOptions } from "./options.ts";
import { socketPath } from "../bootstrap/mesh.ts";
import { rankFlags } from "./permissions.ts";
import type {} from "./preload.ts"; // run by path alone; so that a packer sees it
import {
  DEFAULT_TIMEOUT_SECONDS,
  defaultJoinSeconds,
  readTls,
  readTransport,
} from "../bootstrap/environment.ts";
import { RendezvousServer } from "../rendezvous/server.ts";

export type { LaunchOutcome, LaunchProgramOptions } from "./options.ts";
export type { LaunchFailure } from "./root_cause.ts";

/** How long ranks may take to fail by themselves once one has failed, in ms. */
const GRACE_MS = 2000;
/** How long the last words of a rank may take, in ms. */
const HEAR_MS = 300;
/** How long the last ranks may take if all others have failed for want of them, in ms. */
const SILENT_MS = 500;
/** How long ranks may take to end once they are told to, in ms. */
const TERM_MS = 1000;
/** Most ranks whose Unix sockets are spelled out in every rank's permissions. */
const MOST_SOCKETS = 256;

/** Where to find a listener on this host that listens on all addresses. */
const ANYWHERE: Record<string, string> = { "0.0.0.0": "127.0.0.1", "::": "::1" };

/**
 * Runs a program on N ranks, as `mpirun -n N` does, until all have ended. When one fails, the others
 * end within 5 s. No process is left behind, not even if this one is killed.
 *
 * The program joins the job with `init()`; one that never does is run all the same.
 *
 * @throws RangeError if an option is wrong or there is no such program
 *
 * @example
 * ```ts ignore
 * import { launchProgram } from "./launch.ts";
 * const { code, failure } = await launchProgram({ ranks: 4, program: "hello.ts" });
 * if (failure) console.error(failure.message);
 * Deno.exit(code);
 * ```
 */
export async function launchProgram(options: LaunchProgramOptions): Promise<LaunchOutcome> {
  const program = await checkOptions(options);
  const job = new Job(options, program);
  try {
    return await job.run();
  } finally {
    await job.cleanUp();
  }
}

/** One run of a program on N ranks. */
class Job {
  readonly #options: LaunchProgramOptions;
  readonly #program: URL;
  readonly #facts: RankStatus[];
  readonly #processes: RankProcess[] = [];
  readonly #outputs: RankOutput[] = [];
  readonly #timers: ReturnType<typeof setTimeout>[] = [];
  readonly #handlers: [Deno.Signal, () => void][] = [];
  readonly #stdout = new Printer(Deno.stdout);
  readonly #stderr = new Printer(Deno.stderr);
  #sockets: string | null = null;
  #rendezvous: RendezvousServer | null = null;
  #ends = 0;
  #interrupted: string | null = null;
  #aborted: { rank: number; code: number; message: string } | null = null;
  #late: readonly number[] = [];
  #failing = false;
  #ending = false;

  constructor(options: LaunchProgramOptions, program: URL) {
    this.#options = options;
    this.#program = program;
    const host = hostName();
    this.#facts = Array.from({ length: options.ranks }, () => ({
      host,
      joined: false,
      finalized: false,
      report: null,
      exit: null,
      ended: false,
    }));
  }

  async run(): Promise<LaunchOutcome> {
    const { ranks, signal } = this.#options;
    this.#handleSignals();
    signal?.addEventListener("abort", this.#onAbort);
    await this.#start();
    if (signal?.aborted) this.#onAbort();
    await Promise.all(Array.from({ length: ranks }, (_, rank) => this.#watch(rank)));
    return this.#outcome();
  }

  async #start(): Promise<void> {
    const { ranks, listen = "127.0.0.1", tls, logDir, timeout, cwd } = this.#options;
    const transport = this.#options.transport ?? readTransport(Deno.env.get("CELGC_TRANSPORT"));
    const secret = crypto.getRandomValues(new Uint8Array(32));
    const name = hex(crypto.getRandomValues(new Uint8Array(8)));
    const material = tls === undefined ? undefined : await readTls(tls);
    const listener = listenAt({ kind: "tcp", hostname: listen, port: 0 }, material);
    const { hostname, port } = listener.addr as Deno.NetAddr;
    const near = ANYWHERE[hostname] ?? listen;
    this.#rendezvous = new RendezvousServer({
      listener,
      job: await credentials(name, secret),
      size: ranks,
      events: {
        joined: (rank, host) => this.#joined(rank, host),
        report: (rank, report) => this.#facts[rank].report ??= report,
        finalized: (rank) => this.#facts[rank].finalized = true,
        abort: (rank, code, message) => this.#abort(rank, code, message),
      },
    });
    if (transport !== "tcp" && Deno.build.os !== "windows" && ranks > 1 && ranks <= MOST_SOCKETS) {
      this.#sockets = await Deno.makeTempDir({ prefix: "celgc-" }); // of mode 0700
    }
    if (logDir !== undefined) await Deno.mkdir(logDir, { recursive: true });
    const shared: Record<string, string> = {
      // Ranks write to pipes and logs, where colour codes are noise.
      NO_COLOR: "1",
      ...ownEnvironment(),
      ...this.#options.env,
      ...NATIVE_ENGINE_ENVIRONMENT,
      CELGC_SIZE: String(ranks),
      CELGC_JOB: name,
      CELGC_RENDEZVOUS: formatAddress(near, port),
      CELGC_TIMEOUT: String(timeout ?? DEFAULT_TIMEOUT_SECONDS),
      CELGC_JOIN_TIMEOUT: String(joinSeconds(this.#options)),
      CELGC_TRANSPORT: transport,
      CELGC_HOST: this.#facts[0].host,
    };
    if (this.#options.link !== undefined) shared.CELGC_LINK = this.#options.link;
    if (this.#sockets !== null) shared.CELGC_SOCKETS = this.#sockets;
    if (tls !== undefined) {
      for (const part of ["cert", "key", "ca"] as const) {
        shared[`CELGC_TLS_${part.toUpperCase()}`] = await Deno.realPath(tls[part]);
      }
    }
    const args = await this.#denoArguments(
      [...new Set([near, ANYWHERE[hostname] ?? hostname])],
      shared,
    );
    for (let rank = 0; rank < ranks; rank++) {
      const log = logDir === undefined ? null : await Deno.open(`${logDir}/rank-${rank}.log`, {
        write: true,
        create: true,
        truncate: true,
      });
      const env = { ...shared, CELGC_RANK: String(rank), CELGC_LOCAL_RANK: String(rank) };
      const process = new RankProcess({ args, env, cwd, secret: hex(secret) });
      this.#processes.push(process);
      this.#outputs.push(this.#collect(rank, process, log));
    }
  }

  async #denoArguments(
    hosts: readonly string[],
    shared: Record<string, string>,
  ): Promise<string[]> {
    const { ranks, permissions = [], env = {}, args = [] } = this.#options;
    const preload = new URL(import.meta.resolve("./preload.ts"));
    const directory = this.#sockets === null ? null : await Deno.realPath(this.#sockets);
    const paths = Array.from({ length: ranks }, (_, rank) => socketPath(directory ?? "", rank));
    if (directory !== null) shared.CELGC_SOCKETS = directory;
    return [
      "run",
      ...rankFlags({
        program: this.#program,
        hosts,
        sockets: directory === null ? null : { directory, paths },
        variables: [...Object.keys(NATIVE_ENGINE_ENVIRONMENT), ...Object.keys(env)],
        files: ["CERT", "KEY", "CA"].flatMap((part) => shared[`CELGC_TLS_${part}`] ?? []),
        modules: [preload],
        flags: permissions,
      }),
      `--preload=${preload.href}`,
      this.#program.href,
      ...args,
    ];
  }

  #collect(rank: number, process: RankProcess, log: Deno.FsFile | null): RankOutput {
    const { quiet = false, rawRank, onOutput } = this.#options;
    const print = (bytes: Uint8Array, stream: StreamName) =>
      (stream === "stdout" ? this.#stdout : this.#stderr).print(bytes);
    const raw = rawRank === rank;
    return new RankOutput(process.stdout, process.stderr, {
      rank,
      log,
      bytes: raw && !quiet ? print : undefined,
      line: (text, stream) => {
        onOutput?.(rank, text, stream);
        if (!quiet && !raw) return print(new TextEncoder().encode(`[${rank}] ${text}\n`), stream);
      },
    });
  }

  async #watch(rank: number): Promise<void> {
    const { code, signal } = await this.#processes[rank].status;
    const order = this.#ends++;
    // What it has said before its end may still be on its way.
    await Promise.race([this.#rendezvous!.gone(rank), delay(HEAR_MS)]);
    this.#facts[rank].exit = { code, signal, order };
    this.#judge();
    await this.#outputs[rank].drain(500);
    this.#processes[rank].kill("SIGKILL"); // what it has left behind
  }

  #joined(rank: number, host: string): void {
    this.#facts[rank].joined = true;
    this.#facts[rank].host = host;
    if (this.#facts.filter(({ joined }) => joined).length === 1) {
      this.#after(1000 * joinSeconds(this.#options), () => this.#joinTimeout());
    }
    this.#judge();
  }

  #joinTimeout(): void {
    const missing = this.#rendezvous?.missing ?? [];
    if (missing.length === 0 || this.#ending) return;
    this.#late = missing;
    this.#end();
  }

  /** Sees whether a rank has failed; if so, tells the others, and gives them time to say so. */
  #judge(): void {
    if (this.#ending) return;
    if (this.#failing) return this.#endSilent();
    const anyJoined = this.#facts.some(({ joined }) => joined);
    if (!this.#facts.some((facts) => hasFailed(facts, anyJoined))) return;
    this.#failing = true;
    const running = this.#facts.map((facts) =>
      facts.exit === null ? { ...facts, ended: true } : facts
    );
    const culprit = findRootCause(running)!;
    const facts = this.#facts[culprit];
    const reason = facts.exit === null ? "others have lost it" : `it ${describeEnd(facts)}`;
    this.#rendezvous?.announce({ type: "lost", rank: culprit, reason });
    this.#after(GRACE_MS, () => this.#end());
    this.#endSilent();
  }

  /** Nothing is gained by waiting for ranks of which the others say that they have gone silent. */
  #endSilent(): void {
    const blamed = new Set(this.#facts.map(({ report }) => report?.lost ?? null));
    const running = [...this.#facts.keys()].filter((rank) => this.#facts[rank].exit === null);
    if (running.length === 0 || !running.every((rank) => blamed.has(rank))) return;
    // They may be about to end by themselves.
    this.#after(SILENT_MS, () => {
      this.#ending = true;
      this.#kill("SIGKILL");
    });
  }

  /** Ends all ranks that still run. */
  #end(): void {
    if (this.#ending) return;
    this.#ending = true;
    this.#kill("SIGTERM");
    this.#after(TERM_MS, () => this.#kill("SIGKILL"));
  }

  #kill(signal: Deno.Signal): void {
    for (const [rank, process] of this.#processes.entries()) {
      if (this.#facts[rank].exit !== null) continue;
      this.#facts[rank].ended = true;
      process.kill(signal);
    }
  }

  #abort(rank: number, code: number, message: string): void {
    this.#aborted ??= { rank, code, message };
    this.#rendezvous?.announce({ type: "abort", code, message });
    this.#end();
  }

  readonly #onAbort = () => this.#interrupt("abort");

  #interrupt(how: string): void {
    if (this.#interrupted !== null) return this.#kill("SIGKILL");
    this.#interrupted = how;
    this.#end();
  }

  #handleSignals(): void {
    if (this.#options.handleSignals === false) return;
    // Not SIGHUP: it ends this process, and with it the ranks, unless `nohup` has said otherwise.
    const signals: Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM"];
    for (const signal of signals) {
      const handler = () => this.#interrupt(signal);
      Deno.addSignalListener(signal, handler);
      this.#handlers.push([signal, handler]);
    }
  }

  #after(ms: number, action: () => void): void {
    this.#timers.push(setTimeout(action, ms));
  }

  #outcome(): LaunchOutcome {
    if (this.#interrupted !== null) {
      const numbers: Record<string, number> = { SIGINT: 2, SIGTERM: 15, abort: 15 };
      return { code: 128 + numbers[this.#interrupted], interrupted: this.#interrupted };
    }
    const culprit = this.#aborted?.rank ?? this.#late[0] ?? findRootCause(this.#facts);
    if (culprit === null || culprit === undefined) return { code: 0 };
    let failure = describeFailure(culprit, this.#facts, this.#outputs[culprit].lastLines);
    if (this.#aborted !== null) {
      const { code, message } = this.#aborted;
      const said =
        `rank ${culprit} on ${failure.host} ended the job with exit code ${code}: ${message}`;
      failure = { ...failure, code, signal: null, headline: said, message: said };
      return code === 0 ? { code } : { code, failure };
    }
    if (this.#late.length > 0) {
      const seconds = joinSeconds(this.#options);
      const message =
        `the job cannot start: ranks ${this.#late.join(", ")} have not called init() ` +
        `within ${seconds} s of the others; a longer timeout or joinTimeout would wait longer`;
      return {
        code: 1,
        failure: { ...failure, code: null, signal: null, headline: message, message },
      };
    }
    return { code: exitCodeOf(culprit, this.#facts), failure };
  }

  /** Ends whatever is left, also after an error. */
  async cleanUp(): Promise<void> {
    this.#kill("SIGKILL");
    for (const timer of this.#timers) clearTimeout(timer);
    for (const [signal, handler] of this.#handlers) Deno.removeSignalListener(signal, handler);
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
    this.#rendezvous?.close();
    if (this.#sockets !== null) {
      await Deno.remove(this.#sockets, { recursive: true }).catch(() => {});
    }
  }
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function joinSeconds(options: LaunchProgramOptions): number {
  const { timeout = DEFAULT_TIMEOUT_SECONDS, joinTimeout } = options;
  return joinTimeout ?? defaultJoinSeconds(timeout);
}

/** This process's environment, without what belongs to a job that it may be a rank of. */
function ownEnvironment(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(Deno.env.toObject()).filter(([name]) => !name.startsWith("CELGC_")),
  );
}

function hostName(): string {
  try {
    return Deno.hostname();
  } catch {
    return "localhost";
  }
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
