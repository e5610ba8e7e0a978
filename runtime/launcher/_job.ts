/**
 * One run of a program on N ranks, from the start of the first process to the end of the last.
 *
 * @module
 */

import { delay } from "../../deps.ts";
import { Printer, RankOutput, type StreamName } from "./output.ts";
import { environment, makeSocketFolder, rankArguments } from "./_rank_environment.ts";
import { type EndCause, type JobState, outcomeOf, strongerCause } from "./_job_state.ts";
import { descriptorLimit } from "./_descriptors.ts";
import { RankProcess, type RankProcessOptions } from "./_rank_process.ts";
import { forwardStdin } from "./_stdin.ts";
import { watchTaskRunner } from "./_task_runner.ts";
import { Watchdog } from "./_watchdog.ts";
import { describeEnd, findRootCause, hasFailed, type RankStatus } from "./root_cause.ts";
import { formatAddress, listenAt } from "../security/endpoint.ts";
import { credentials } from "../security/handshake.ts";
import { joinSeconds, type LaunchOutcome, type LaunchProgramOptions } from "./options.ts";
import { DEFAULT_TIMEOUT_SECONDS, readTls, readTransport } from "../bootstrap/environment.ts";
import { RendezvousServer } from "../rendezvous/server.ts";

/** How long ranks may take to fail by themselves once one has failed, in ms. */
const GRACE_MS = 2000;
/** How long the last words of a rank may take, in ms. */
const HEAR_MS = 300;
/** How long the last ranks may take if all others have failed for want of them, in ms. */
const SILENT_MS = 500;
/** How long ranks may take to end once they are told to, in ms. */
const TERM_MS = 1000;
/** How long what a rank has left behind may hold its output open, in ms. */
const DRAIN_MS = 500;

/** How often a rank that has left the job is asked for a sign of life before it is given up. */
const SIGNS_OF_LIFE = 8;

/** Where to find a listener on this host that listens on all addresses. */
const ANYWHERE: Record<string, string> = { "0.0.0.0": "127.0.0.1", "::": "::1" };

/** One run of a program on N ranks. */
export class Job {
  readonly #options: LaunchProgramOptions;
  readonly #program: URL;
  readonly #host = hostName();
  readonly #ranks: RankStatus[];
  readonly #processes: RankProcess[] = [];
  readonly #outputs: RankOutput[] = [];
  readonly #stdout = new Printer(Deno.stdout);
  readonly #stderr = new Printer(Deno.stderr);
  /** What is to be undone when the job is done. */
  readonly #cleanUps: (() => void | Promise<void>)[] = [];
  #rendezvous: RendezvousServer | null = null;
  #watchdog: Watchdog | null = null;
  #state: JobState = { name: "running" };
  /** Called when a rank has said what it waits for. */
  #answered: (() => void) | null = null;
  #watchesLeavers = false;
  /** Ranks that have ended so far. */
  #exits = 0;

  /** @param options that have been checked */
  constructor(options: LaunchProgramOptions, program: URL) {
    this.#options = options;
    this.#program = program;
    this.#ranks = Array.from({ length: options.ranks }, () => ({
      host: this.#host,
      joined: false,
      finalized: false,
      report: null,
      pending: null,
      exit: null,
      ended: false,
    }));
  }

  /** Starts all ranks and waits until all have ended. */
  async run(): Promise<LaunchOutcome> {
    this.#handleSignals();
    await this.#start();
    if (this.#options.signal?.aborted) this.#interrupt("abort");
    await Promise.all(this.#processes.map((_, rank) => this.#watch(rank)));
    const cause = this.#state.name === "terminating" ? this.#state.cause : null;
    this.#state = { name: "done", cause };
    return outcomeOf(cause, this.#ranks, this.#outputs.map(({ lastLines }) => lastLines));
  }

  async #start(): Promise<void> {
    const { ranks, listen = "127.0.0.1", tls, logDir, cwd, stdin = "none" } = this.#options;
    const transport = this.#options.transport ?? readTransport(Deno.env.get("CELGC_TRANSPORT"));
    const secret = crypto.getRandomValues(new Uint8Array(32));
    const name = crypto.getRandomValues(new Uint8Array(8)).toHex();
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
        report: (rank, report) => this.#ranks[rank].report ??= report,
        finalized: (rank) => this.#ranks[rank].finalized = true,
        pending: (rank, operations) => {
          this.#ranks[rank].pending = operations;
          this.#answered?.();
        },
        abort: (rank, code, message) => {
          this.#rendezvous?.announce({ type: "abort", code, message });
          this.#end({ kind: "abort", rank, code, message });
        },
      },
    });
    this.#cleanUps.push(() => this.#rendezvous?.close());
    const sockets = await makeSocketFolder(ranks, transport);
    if (sockets !== null) {
      this.#cleanUps.push(() => Deno.remove(sockets, { recursive: true }).catch(() => {}));
    }
    if (logDir !== undefined) await Deno.mkdir(logDir, { recursive: true });
    const rendezvous = formatAddress(near, port), host = this.#host;
    const shared = environment(this.#options, this.#program, {
      name,
      rendezvous,
      transport,
      sockets,
      host,
    });
    const hosts = [...new Set([near, ANYWHERE[hostname] ?? hostname])];
    const args = rankArguments(this.#options, this.#program, hosts, sockets);
    const watchdog = this.#watchdog = new Watchdog(sockets);
    this.#cleanUps.push(() => watchdog.close());
    const limit = descriptorLimit();
    for (let rank = 0; rank < ranks; rank++) {
      const log = logDir === undefined ? null : await Deno.open(`${logDir}/rank-${rank}.log`, {
        write: true,
        create: true,
        truncate: true,
      });
      const env = { ...shared, CELGC_RANK: String(rank) };
      const process = await startRank(rank, limit, {
        args,
        env,
        cwd,
        secret: secret.toHex(),
        stdin: stdin === "all" || (stdin === "rank0" && rank === 0),
      });
      watchdog.add(process.pid);
      this.#processes.push(process);
      this.#outputs.push(this.#collect(rank, process, log));
    }
    const inputs = this.#processes.flatMap(({ stdin }) => stdin ?? []);
    if (inputs.length > 0) this.#cleanUps.push(forwardStdin(inputs));
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
    const order = this.#exits++;
    // What it has said before its end may still be on its way.
    await Promise.race([this.#rendezvous!.gone(rank), delay(HEAR_MS)]);
    this.#ranks[rank].exit = { code, signal, order };
    this.#checkForFailure();
    this.#watchLeavers();
    await this.#outputs[rank].drain(DRAIN_MS);
    this.#processes[rank].kill("SIGKILL"); // what it has left behind
    this.#watchdog?.remove(this.#processes[rank].pid);
  }

  #joined(rank: number, host: string): void {
    this.#ranks[rank].joined = true;
    this.#ranks[rank].host = host;
    if (this.#ranks.filter(({ joined }) => joined).length === 1) {
      const seconds = joinSeconds(this.#options);
      this.#after(1000 * seconds, () => {
        const ranks = this.#rendezvous?.missing ?? [];
        if (ranks.length > 0 && !this.#isEnding) this.#end({ kind: "late", ranks, seconds });
      });
    }
    this.#checkForFailure();
  }

  get #isEnding(): boolean {
    return this.#state.name === "terminating" || this.#state.name === "done";
  }

  /** Sees whether a rank has failed; if so, tells the others, and gives them time to say so. */
  #checkForFailure(): void {
    if (this.#isEnding) return;
    if (this.#state.name === "grace") return this.#endSilent();
    const anyJoined = this.#ranks.some(({ joined }) => joined);
    if (!this.#ranks.some((status) => hasFailed(status, anyJoined))) return;
    this.#state = { name: "grace" };
    const all = this.#ranks.map((status) =>
      status.exit === null ? { ...status, ended: true } : status
    );
    const rootCause = findRootCause(all)!, status = this.#ranks[rootCause];
    const reason = status.exit === null ? "others have lost it" : `it ${describeEnd(status)}`;
    this.#rendezvous?.announce({ type: "lost", rank: rootCause, reason });
    this.#after(GRACE_MS, () => {
      if (!this.#isEnding) this.#end({ kind: "failure" });
    });
    this.#endSilent();
  }

  /**
   * Once the job waits for nothing but the end of ranks that have said goodbye, asks these for signs of
   * life, as ranks do with each other before that. Silence is counted in answers that did not come and
   * not by the clock, so that a pause of the launcher is not held against them.
   */
  #watchLeavers(): void {
    const running = this.#ranks.filter(({ exit }) => exit === null);
    if (this.#watchesLeavers || running.length === 0) return;
    if (this.#isEnding || running.length === this.#ranks.length) return;
    if (!running.every(({ finalized }) => finalized)) return;
    this.#watchesLeavers = true;
    const seconds = this.#options.timeout ?? DEFAULT_TIMEOUT_SECONDS;
    const silences = this.#ranks.map(() => 0);
    const timer = setInterval(() => {
      for (const [rank, status] of this.#ranks.entries()) {
        if (status.exit !== null || this.#isEnding) continue;
        silences[rank] = status.pending === null ? silences[rank] + 1 : 0;
        status.pending = null;
        if (silences[rank] > SIGNS_OF_LIFE) this.#end({ kind: "stalled", rank, seconds });
      }
      this.#rendezvous?.announce({ type: "inquiry" });
    }, 1000 * seconds / SIGNS_OF_LIFE);
    this.#cleanUps.push(() => clearInterval(timer));
    this.#rendezvous?.announce({ type: "inquiry" });
  }

  /** Nothing is gained by waiting for ranks of which the others say that they have gone silent. */
  #endSilent(): void {
    const blamed = new Set(this.#ranks.map(({ report }) => report?.lost ?? null));
    const running = [...this.#ranks.keys()].filter((rank) => this.#ranks[rank].exit === null);
    if (running.length === 0 || !running.every((rank) => blamed.has(rank))) return;
    // They may be about to end by themselves.
    this.#after(SILENT_MS, () => {
      if (!this.#isEnding) this.#state = { name: "terminating", cause: { kind: "failure" } };
      this.#kill("SIGKILL");
    });
  }

  /** Ends all ranks that still run. */
  #end(cause: EndCause): void {
    if (this.#state.name === "done") return;
    if (this.#state.name === "terminating") {
      this.#state = { name: "terminating", cause: strongerCause(this.#state.cause, cause) };
      return;
    }
    this.#state = { name: "terminating", cause };
    if (cause.kind !== "interrupt") return this.#terminate();
    // First asks the ranks what they wait for: they may be in a deadlock.
    const asked = this.#ranks.filter(({ joined, finalized, exit }) =>
      joined && !finalized && exit === null
    );
    if (asked.length === 0) return this.#terminate();
    let ended = false;
    const terminate = () => {
      if (!ended) this.#terminate();
      ended = true;
    };
    this.#answered = () => {
      if (asked.every(({ pending, exit }) => pending !== null || exit !== null)) terminate();
    };
    this.#after(HEAR_MS, terminate);
    this.#rendezvous?.announce({ type: "inquiry" });
  }

  #terminate(): void {
    this.#kill("SIGTERM");
    this.#after(TERM_MS, () => this.#kill("SIGKILL"));
  }

  #kill(signal: Deno.Signal): void {
    for (const [rank, process] of this.#processes.entries()) {
      if (this.#ranks[rank].exit !== null) continue;
      this.#ranks[rank].ended = true;
      process.kill(signal);
    }
  }

  /** From outside; the second time it does not wait for the ranks. */
  #interrupt(how: string): void {
    if (this.#state.name === "terminating" && this.#state.cause.kind === "interrupt") {
      return this.#kill("SIGKILL");
    }
    this.#end({ kind: "interrupt", how });
  }

  #handleSignals(): void {
    const { signal, handleSignals = true } = this.#options;
    const onAbort = () => this.#interrupt("abort");
    signal?.addEventListener("abort", onAbort);
    this.#cleanUps.push(() => signal?.removeEventListener("abort", onAbort));
    const handled = handleSignals === true ? ["SIGINT", "SIGTERM"] as const : handleSignals || [];
    if (handled.length === 0) return;
    this.#cleanUps.push(watchTaskRunner());
    // Not SIGHUP: it ends this process, and with it the ranks, unless `nohup` has said otherwise.
    for (const name of handled) {
      if (Deno.build.os === "windows" && name !== "SIGINT") continue;
      const handler = () => this.#interrupt(name);
      Deno.addSignalListener(name, handler);
      this.#cleanUps.push(() => Deno.removeSignalListener(name, handler));
    }
  }

  #after(ms: number, action: () => void): void {
    const timer = setTimeout(action, ms);
    this.#cleanUps.push(() => clearTimeout(timer));
  }

  /** Ends whatever is left, also after an error. */
  async cleanUp(): Promise<void> {
    this.#kill("SIGKILL");
    for (const cleanUp of this.#cleanUps.splice(0)) await cleanUp();
  }
}

/** @throws RangeError if the system cannot start another process */
async function startRank(
  rank: number,
  limit: number | null,
  options: RankProcessOptions,
): Promise<RankProcess> {
  try {
    return await RankProcess.start(options);
  } catch (error) {
    const { message } = error as Error;
    const found = limit === null ? "" : `, here ${limit}`;
    const wayOut = /os error 2[34]/.test(message)
      ? `; the launcher needs about 6 file descriptors for each rank: raise their limit (ulimit -n${found}) ` +
        "or start fewer ranks"
      : "";
    throw new RangeError(`cannot launch: rank ${rank} cannot be started: ${message}${wayOut}`, {
      cause: error,
    });
  }
}

function hostName(): string {
  try {
    return Deno.hostname();
  } catch {
    return "localhost";
  }
}
