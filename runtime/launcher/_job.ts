/**
 * One run of a program on N ranks, from the start of the first process to the end of the last.
 *
 * @module
 */

import type { Place, Placement } from "../agents/placement.ts";
import { hostName } from "../agents/this_host.ts";
import { DEFAULT_TIMEOUT_SECONDS } from "../bootstrap/environment.ts";
import { HostRanks, type JobPlan } from "../ranks/host_ranks.ts";
import type { Rank } from "../ranks/rank.ts";
import { RankProcess } from "../ranks/rank_process.ts";
import type { ReportMessage } from "../rendezvous/messages.ts";
import { RendezvousServer } from "../rendezvous/server.ts";
import { openAlone } from "./_alone.ts";
import { type EndCause, type JobState, outcomeOf, strongerCause } from "./_job_state.ts";
import { forwardStdin, hasStdin } from "./_stdin.ts";
import { onInterrupt } from "./interrupts.ts";
import {
  joinSeconds,
  type LaunchOutcome,
  type LaunchProgramOptions,
  planOf,
  transportOf,
} from "./options.ts";
import { Caller } from "./watch/caller.ts";
import { Leavers } from "./watch/leavers.ts";
import { Losses } from "./watch/losses.ts";
import { OtherHosts } from "./watch/other_hosts.ts";
import { Outputs } from "./watch/outputs.ts";
import { Respawns, statusOf } from "./watch/respawns.ts";
import { Timers } from "./watch/timers.ts";
import {
  describeEnd,
  describeFailure,
  exitCodeOf,
  findRootCause,
  hasFailed,
  type LaunchFailure,
  type RankStatus,
} from "./root_cause.ts";
import type { OpenedWorld, OpenHost } from "./world.ts";

/** How long ranks may take to fail by themselves once one has failed, in ms. */
const GRACE_MS = 2000;
/** How long the last words of a rank may take, in ms. */
const HEAR_MS = 300;
/** How long the last ranks may take if all others have failed for want of them, in ms. */
const SILENT_MS = 500;
/** How long ranks may take to end once they are told to, in ms. */
const TERM_MS = 1000;

/** One run of a program on N ranks. */
export class Job {
  readonly #options: LaunchProgramOptions;
  readonly #program: URL;
  readonly #world: OpenedWorld | null;
  readonly #placement: Placement | null;
  readonly #host = hostName();
  readonly #caller = new Caller();
  #plan!: JobPlan;
  /** By which agents know it. */
  #number = 0;
  readonly #ranks: RankStatus[];
  /** Those that run, or have just ended. */
  readonly #processes: Rank[] = [];
  readonly #outputs: Outputs;
  /** What is to be undone when the job is done, the last first. */
  readonly #cleanUps = new AsyncDisposableStack();
  readonly #timers = new Timers();
  #rendezvous: RendezvousServer | null = null;
  /** This host's ranks; null if it has none. */
  #here: HostRanks | null = null;
  #state: JobState = { name: "running" };
  /** Called when a rank has said what it waits for. */
  #answered: (() => void) | null = null;
  /** Whether ranks go on when one is lost, as they say themselves. */
  #goesOn = false;
  readonly #losses: Losses;
  readonly #leavers: Leavers;
  readonly #respawns: Respawns;
  readonly #remotes: OtherHosts;
  readonly #watches: Promise<void>[] = [];
  /** Ranks that have ended so far. */
  #exits = 0;

  /**
   * @param options that have been checked
   * @param world the hosts it runs on, and who has which ranks; null for this host alone
   */
  constructor(
    options: LaunchProgramOptions,
    program: URL,
    world: { readonly world: OpenedWorld; readonly placement: Placement } | null,
  ) {
    this.#options = options;
    this.#outputs = this.#cleanUps.use(new Outputs(options, this.#caller));
    this.#program = program;
    this.#world = world?.world ?? null;
    this.#placement = world?.placement ?? null;
    const size = this.#placement?.size ?? options.ranks;
    this.#ranks = Array.from({ length: size }, () => statusOf(this.#host));
    this.#respawns = new Respawns(this.#ranks, {
      start: (rank, lost) => this.#startLater(rank, lost),
      kill: (rank) => this.#processes[rank]?.kill("SIGKILL"),
    });
    this.#losses = new Losses(this.#ranks, {
      announce: (rank, reason) => this.#rendezvous?.announce({ type: "lost", rank, reason }),
      kill: (rank) => this.#processes[rank]?.kill("SIGKILL"),
      inquire: () => this.#rendezvous?.announce({ type: "inquiry" }),
      lost: (rank) => this.#tellLoss(rank),
      after: (ms, action) => this.#timers.after(ms, action),
    });
    const seconds = options.timeout ?? DEFAULT_TIMEOUT_SECONDS;
    this.#remotes = new OtherHosts((host, last) => {
      const { on, hostsLeave = on === undefined } = this.#options;
      if (!hostsLeave || this.#isEnding || !this.#respawns.anyoneLetsIn) return;
      const [how] = this.#describe(last).headline.split("\n");
      const code = exitCodeOf(last, this.#ranks);
      this.#world!.letGo(host, code, `none of its ranks is left: ${how}; the others go on`);
    });
    this.#leavers = this.#cleanUps.use(
      new Leavers(this.#ranks, seconds, {
        isEnding: () => this.#isEnding,
        inquire: () => this.#rendezvous?.announce({ type: "inquiry" }),
        stalled: (rank) => this.#end({ kind: "stalled", rank, seconds }),
      }),
    );
  }

  /** Starts all ranks and waits until all have ended. */
  async run(): Promise<LaunchOutcome> {
    this.#cleanUps.defer(onInterrupt(this.#options, (how) => this.#interrupt(how)));
    await this.#start();
    if (this.#options.signal?.aborted) this.#interrupt("abort");
    this.#watches.push(...this.#processes.map((_, rank) => this.#watch(rank)));
    for (const watch of this.#watches) await this.#caller.unlessThrown(watch); // more may come meanwhile
    const cause = this.#state.name === "terminating" ? this.#state.cause : null;
    this.#state = { name: "done", cause };
    if (cause === null) this.#losses.settle();
    const lastLines = this.#ranks.map((_, rank) => this.#outputs.lastLines(rank));
    const outcome = outcomeOf(cause, this.#ranks, lastLines);
    const losses = this.#losses.ranks.map((rank) => this.#describe(rank));
    return this.#goesOn ? { ...outcome, losses } : outcome;
  }

  #describe(rank: number): LaunchFailure {
    return describeFailure(rank, this.#ranks, this.#outputs.lastLines(rank));
  }

  #tellLoss(rank: number): void {
    const { quiet = false, onLost } = this.#options, loss = this.#describe(rank);
    if (onLost) this.#caller.call(() => onLost(loss));
    else if (!quiet) console.error(`celgc: ${loss.headline.split("\n")[0]}; the others go on`);
    const pause = this.#caller.call(() => this.#options.respawn?.(loss)) ?? null;
    if (pause === null) return this.#remotes.settled(rank);
    this.#respawns.plan();
    this.#timers.after(pause, async () => {
      const error = await this.#respawns.respawn(rank);
      if (error !== null) console.error(`celgc: nothing is in the stead of rank ${rank}: ${error}`);
      this.#remotes.settled(rank);
    });
  }

  /** Starts a rank in the stead of one that is lost, on the same host. */
  async #startLater(rank: number, lost: number): Promise<void> {
    const remote = this.#remotes.of(lost);
    if (remote?.lost) throw new Error(`its host is gone: ${remote.lost}`);
    this.#rendezvous!.expect(rank);
    await this.#outputs.openLog(rank);
    const process = remote?.respawn(rank, lost) ?? await this.#here!.start(rank, false, lost);
    if (remote) this.#remotes.place(rank, remote);
    this.#processes[rank] = process;
    this.#outputs.collect(rank, process);
    this.#watches.push(this.#watch(rank));
    if (this.#isEnding) process.kill("SIGKILL");
  }

  /** Takes in hosts that come while it runs: their ranks wait to be let in by the others. */
  #openDoor({ coordinator, mostRanks }: OpenedWorld): void {
    if (mostRanks === null || this.#isEnding) return;
    const take = async (place: Omit<Place, "first">) => {
      const { host, count } = place;
      const before = this.#ranks.filter((rank) => rank.host === host && rank.exit === null).length;
      const error = await this.#respawns.come(host, count, async (ranks) => {
        for (const rank of ranks) this.#rendezvous!.expect(rank);
        await this.#startThere({ ...place, first: ranks[0] }, before, true);
        this.#watches.push(...ranks.map((rank) => this.#watch(rank)));
        if (this.#isEnding) { for (const rank of ranks) this.#processes[rank]?.kill("SIGKILL"); }
      });
      if (error === null) return;
      console.error(`celgc: nothing is started on ${host}: ${error}`);
      await place.remote!.close(1, `cannot join: ${error}`);
    };
    const room = () => this.#goesOn ? mostRanks - this.#respawns.count : 0;
    coordinator.serve({ room, take });
    this.#cleanUps.defer(() => coordinator.serve(null));
  }

  async #start(): Promise<void> {
    const { logDir } = this.#options, world = this.#world;
    if (logDir !== undefined) await Deno.mkdir(logDir, { recursive: true });
    if (world !== null) world.coordinator.onInterrupt = (how, from) => this.#interrupt(how, from);
    const opened = world === null
      ? await openAlone(this.#options, this.#host, this.#cleanUps)
      : world.openHost(transportOf(this.#options), this.#options.cwd, this.#placement!);
    this.#openRendezvous(opened);
    const mpi = transportOf(this.#options) === "mpi" ? world!.mpiVariables(this.#placement!) : {};
    const options = { ...this.#options, env: { ...this.#options.env, ...mpi } };
    this.#plan = planOf(options, this.#program, opened.job.job, this.#ranks.length);
    if (world === null) await this.#startHere(opened, this.#ranks.length);
    else await this.#startEverywhere(world, opened);
    const inputs = this.#processes.flatMap(({ stdin }) => stdin ?? []);
    if (inputs.length > 0) this.#cleanUps.defer(forwardStdin(inputs));
  }

  /** Begins to serve the rendezvous, by which ranks find each other and say what becomes of them. */
  #openRendezvous({ listener, job }: OpenHost): void {
    const world = this.#world;
    this.#rendezvous = new RendezvousServer({
      listener,
      job,
      size: this.#ranks.length,
      events: {
        complete: () => world && this.#openDoor(world),
        joined: (rank, host, onFailure) => {
          this.#goesOn = onFailure === "return";
          this.#joined(rank, host);
        },
        report: (rank, report) => this.#reported(rank, report),
        finalized: (rank) => {
          this.#ranks[rank].finalized = true;
          this.#respawns.check();
        },
        admitted: (rank) => this.#respawns.admitted(rank),
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
    this.#cleanUps.defer(() => this.#rendezvous?.close());
  }

  /** A rank says what it has failed with, or which other it has lost. */
  #reported(rank: number, report: ReportMessage): void {
    const status = this.#ranks[rank], { lost, operation, message } = report;
    const goesOn = this.#goesOn && lost !== null;
    // Who was in no operation is not about to end.
    if (goesOn && operation === null) status.losses.push(report);
    else status.report ??= report;
    if (goesOn) this.#losses.reported(rank, lost, message);
  }

  /** Starts the ranks of all hosts, in their order. */
  async #startEverywhere(world: OpenedWorld, opened: OpenHost): Promise<void> {
    const counts = new Map<string, number>();
    this.#number = world.nextJob();
    for (const place of this.#placement!.places) {
      const before = counts.get(place.host) ?? 0;
      counts.set(place.host, before + place.count);
      if (place.remote === null) await this.#startHere(opened, place.count);
      else await this.#startThere(place, before, false);
    }
  }

  async #startHere({ host, secret }: OpenHost, count: number): Promise<void> {
    const here = this.#here = this.#cleanUps.use(
      new HostRanks(
        this.#plan,
        { ...host, rankEnv: this.#options.rankEnv },
        secret,
        this.#world === null ? host.sockets : null,
      ),
    );
    for (let rank = host.first; rank < host.first + count; rank++) {
      await this.#outputs.openLog(rank);
      const process = await here.start(rank, hasStdin(this.#options, rank));
      this.#processes.push(process);
      this.#outputs.collect(rank, process);
    }
  }

  /** @param comes whether they come to the running job */
  async #startThere(place: Place, before: number, comes: boolean): Promise<void> {
    const { first, count, host, launcher, remote, sockets } = place;
    const world = this.#world!, job = this.#number;
    const ranks = Array.from({ length: count }, (_, i) => first + i);
    for (const rank of ranks) {
      this.#ranks[rank].host = host;
      await this.#outputs.openLog(rank);
    }
    const { name: _, program, ...rest } = this.#plan;
    const started = remote!.start({
      type: "start",
      ...rest,
      ...await world.describe(program),
      job,
      first,
      count,
      before,
      comes,
      stdin: comes ? [] : ranks.filter((rank) => hasStdin(this.#options, rank)),
      host,
      launcher,
      sockets: comes ? null : sockets ?? world.sockets,
      peers: this.#placement!.peers,
      details: this.#options.details ?? null,
    });
    for (const [i, process] of started.entries()) {
      this.#remotes.place(ranks[i], remote!);
      this.#processes[ranks[i]] = process;
      this.#outputs.collect(ranks[i], process);
    }
  }

  async #watch(rank: number): Promise<void> {
    const { code, signal, lost } = await this.#processes[rank].status;
    const order = this.#exits++;
    // What it has said before its end may still be on its way.
    const late = new Promise<void>((resolve) => this.#timers.after(HEAR_MS, resolve));
    await Promise.race([this.#rendezvous!.gone(rank), late]);
    this.#ranks[rank].exit = { code, signal, lost, order };
    this.#checkForFailure();
    this.#leavers.check();
    this.#respawns.check();
    await this.#outputs.drain(rank);
    const process = this.#processes[rank];
    if (process instanceof RankProcess) this.#here?.bury(process);
    delete this.#processes[rank];
    // Where its launcher is gone, or could not start it, that says so itself.
    if (lost === null) this.#remotes.ended(rank);
  }

  #joined(rank: number, host: string): void {
    this.#ranks[rank].joined = true;
    this.#ranks[rank].host = host;
    if (this.#ranks.filter(({ joined }) => joined).length === 1) {
      const seconds = joinSeconds(this.#options);
      this.#timers.after(1000 * seconds, () => {
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
    if (this.#goesOn && this.#rendezvous?.missing.length === 0) return this.#losses.check();
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
    this.#timers.after(GRACE_MS, () => {
      if (!this.#isEnding) this.#end({ kind: "failure" });
    });
    this.#endSilent();
  }

  /** Nothing is gained by waiting for ranks of which the others say that they have gone silent. */
  #endSilent(): void {
    const blamed = new Set(this.#ranks.map(({ report }) => report?.lost ?? null));
    const running = [...this.#ranks.keys()].filter((rank) => this.#ranks[rank].exit === null);
    if (running.length === 0 || !running.every((rank) => blamed.has(rank))) return;
    // They may be about to end by themselves.
    this.#timers.after(SILENT_MS, () => {
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
    this.#timers.after(HEAR_MS, terminate);
    this.#rendezvous?.announce({ type: "inquiry" });
  }

  #terminate(): void {
    this.#kill(this.#options.endSignal ?? "SIGTERM");
    this.#timers.after(TERM_MS, () => this.#kill("SIGKILL"));
  }

  #kill(signal: Deno.Signal): void {
    // Skips those that are being started in the stead of others.
    this.#processes.forEach((process, rank) => {
      if (this.#ranks[rank].exit !== null) return;
      this.#ranks[rank].ended = true;
      process.kill(signal);
    });
  }

  /** From outside, `from` an agent; the second time it does not wait for the ranks. */
  #interrupt(how: string, from: object | null = null): void {
    if (this.#caller.call(() => this.#options.onInterrupt?.(how, from))) return;
    if (this.#state.name === "terminating" && this.#state.cause.kind === "interrupt") {
      return this.#kill("SIGKILL");
    }
    this.#end({ kind: "interrupt", how });
  }

  /** Ends whatever is left, also after an error. */
  async cleanUp(): Promise<void> {
    this.#state = { name: "done", cause: null };
    this.#kill("SIGKILL");
    this.#timers[Symbol.dispose]();
    await this.#cleanUps.disposeAsync();
    await Promise.allSettled(this.#watches);
  }
}
