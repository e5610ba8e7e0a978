/**
 * What the launcher is asked to do, and how it went.
 *
 * @module
 */

import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { LaunchFailure } from "./root_cause.ts";
import type { World, WorldOptions } from "./across_hosts.ts";
import type { JobPlan } from "../ranks/host_ranks.ts";
import { listenAt } from "../security/endpoint.ts";
import type { EndingSignal } from "./interrupts.ts";
import { MOST_CONNECTIONS } from "../rendezvous/messages.ts";
import { parseLink } from "../transport/access_link.ts";
import {
  DEFAULT_TIMEOUT_SECONDS,
  defaultJoinSeconds,
  readOnFailure,
  readTransport,
} from "../bootstrap/environment.ts";
import type { TransportKind } from "../bootstrap/mesh.ts";
import type { OnFailure } from "../transport/transport.ts";

/** What to launch, and how. */
export interface LaunchProgramOptions extends
  Partial<
    Pick<
      WorldOptions,
      | "world"
      | "mostRanks"
      | "hosts"
      | "hostfile"
      | "place"
      | "port"
      | "invitation"
      | "version"
      | "ssh"
    >
  > {
  /** Number of ranks, from 1; with `world`, `hosts` or `hostfile` those of this host; ignored with `on`. */
  readonly ranks: number;
  /** Path, relative to this process's directory, or URL of the program that every rank runs. */
  readonly program: string | URL;
  /** Arguments of the program. */
  readonly args?: readonly string[];
  /** Environment variables added to this process's own. */
  readonly env?: Readonly<Record<string, string>>;
  /**
   * Variables of each of this host's ranks beside `env`, in their order, such as which GPU it sees. Other hosts
   * have their own, see `JoinLaunchOptions.prepare`. Programs need `--allow` to read them.
   */
  readonly rankEnv?: readonly Readonly<Record<string, string>>[];
  /** Directory the ranks run in. @default {this process's} */
  readonly cwd?: string;
  /**
   * Permissions, such as `read=data,models` or `ffi`: Deno's flags without their `--allow-`. A rank may
   * do no more than talk to the other ranks and read the variables of `env` unless it is said here. A
   * comma in a path is doubled.
   */
  readonly allow?: readonly string[];
  /**
   * Which ranks get what comes in on this process's standard input; that of the others is empty.
   * @default {"none"}
   */
  readonly stdin?: "rank0" | "all" | "none";
  /** Directory for `rank-<r>.log`; made if need be. */
  readonly logDir?: string;
  /**
   * Seconds without a sign of life after which a rank is taken for lost: one that others wait for, or the
   * last to run, once all have left the job. @default {60}
   */
  readonly timeout?: number;
  /**
   * Seconds that the others may take to call `init()` once one rank has. @default {60, or the timeout if
   * that is more}
   */
  readonly joinTimeout?: number;
  /** Prints nothing of what the ranks print. @default {false} */
  readonly quiet?: boolean;
  /** Rank whose output is passed on as it is, without a rank in front, such as one with a progress bar. */
  readonly rawRank?: number;
  /** Gets every line of every rank. */
  readonly onOutput?: (rank: number, line: string, stream: "stdout" | "stderr") => void;
  /** Ends the job. */
  readonly signal?: AbortSignal;
  /**
   * Whether SIGINT and SIGTERM to this process, or which signals, end the job; they do not end this process then, which
   * is for the caller to do. If the `deno task` that runs this process is killed, that counts as SIGTERM.
   * @default {true}
   */
  readonly handleSignals?: boolean | readonly EndingSignal[];
  /**
   * Is told of such a signal before it ends the job, and of those to the launchers of other hosts.
   *
   * @param how the signal's name, or "abort"
   * @param from the launcher that it came to, always the same object; null for this process
   * @returns whether the job goes on all the same
   */
  readonly onInterrupt?: (how: string, from: object | null) => boolean;
  /** The signal by which ranks are ended, a second before SIGKILL. @default {"SIGTERM"} */
  readonly endSignal?: "SIGTERM" | "SIGINT";
  /** Address the rendezvous and the ranks listen on. @default {"127.0.0.1"} */
  readonly listen?: string;
  /** PEM files; with them all TCP connections run under TLS. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly ca: string };
  /**
   * What the ranks talk over; `mpi` is the library of a launcher that has started one process of ours for
   * each rank (see `place`), and needs the `ffi` permission.
   * @default {$CELGC_TRANSPORT, or "auto": within a host memory, if they have the `ffi` permission, and
   * Unix sockets; TCP between hosts}
   */
  readonly transport?: "auto" | "tcp" | "unix" | "mpi";
  /**
   * The access link that every rank is to be behind, such as `100mbit,20ms`: bandwidth each way, one-way
   * delay, and TCP's window; see `access_link.ts`. @default {none: as fast as it goes}
   */
  readonly link?: string;
  /**
   * Connections between two ranks of different hosts, 1 to 64; large messages go over all of them, since one
   * carries at most a window in a round trip. Not with the `mpi` transport. @default {1}
   */
  readonly connections?: number;
  /**
   * What the loss of a rank is to the others: `abort`, the end of the job, or `return`, an error that their
   * program may catch; see `InitOptions.onFailure`, which may say otherwise. With `return` the launcher leaves
   * the others alone, tells them, and ends a rank only if another has lost it while it still runs.
   * @default {"return" with `respawn`, else $CELGC_ON_FAILURE, or "abort"}
   */
  readonly onFailure?: OnFailure;
  /** With `onFailure: "return"`: told of each loss. @default {a line on standard error, unless quiet} */
  readonly onLost?: (loss: LaunchFailure) => void;
  /**
   * With `onFailure: "return"`: asked at each loss after how many ms a rank is started in its stead, null for
   * none. It is started on the same host, comes to the running job with a rank of its own, beyond all before
   * it, and waits to be let in by `Communicator.grow()`. A host that is lost has nobody in its stead, unless another
   * one comes (`mostRanks`).
   * @default {none}
   */
  readonly respawn?: (loss: LaunchFailure) => number | null;
  /** The hosts to run on, opened before; stays open. @default {those that the other options name} */
  readonly on?: World;
  /**
   * With `onFailure: "return"`: whether the launcher of a host that has lost all its ranks, with none to come in their
   * stead, ends with the exit code of the last of them while the job goes on. One that something else has started
   * (`place`) stays.
   * @default {true, but for hosts that were opened before (`on`), which other jobs may need}
   */
  readonly hostsLeave?: boolean;
  /**
   * Told how the job ended, once its ranks have, and before the launchers of other hosts are: what has started them may
   * end this one as soon as the first of those ends with a failure.
   */
  readonly onEnd?: (outcome: LaunchOutcome) => void;
  /** Whatever the agents of other hosts are to be told, as JSON; see `JoinLaunchOptions.prepare`. */
  readonly details?: unknown;
}

/** How long the others may take to call `init()` once one rank has, in seconds. */
export function joinSeconds(options: LaunchProgramOptions): number {
  const { timeout = DEFAULT_TIMEOUT_SECONDS, joinTimeout } = options;
  return joinTimeout ?? defaultJoinSeconds(timeout);
}

/** How a job ended. */
export interface LaunchOutcome {
  /**
   * 0 if all ranks ended well, else the exit code of the rank that failed first (128 + signal). With `onFailure:
   * "return"` also 0 if some were lost and any other ended well, as with Open MPI's `--enable-recovery`.
   */
  readonly code: number;
  /** With `onFailure: "return"`: the ranks that were lost while others went on, in the order of their ends. */
  readonly losses?: readonly LaunchFailure[];
  /** The rank that failed first, if one did. */
  readonly failure?: LaunchFailure;
  /** The signal to this process that ended the job, or "abort" for `options.signal`. */
  readonly interrupted?: string;
  /** What each rank waited for when the job was interrupted, in words, several lines. */
  readonly pending?: string;
}

/**
 * Checks the options before anything is started.
 *
 * @param size of the world, if that is not this host alone
 * @returns the program's URL
 * @throws RangeError if an option has a value it cannot have, or there is no such program
 */
export async function checkOptions(options: LaunchProgramOptions, size?: number): Promise<URL> {
  const { timeout = DEFAULT_TIMEOUT_SECONDS, rawRank, cwd } = options;
  const ranks = size ?? options.ranks;
  if (!Number.isInteger(ranks) || ranks < 1 || ranks > 65536) {
    throw new RangeError(`cannot launch: the number of ranks is from 1 to 65536, not ${ranks}`);
  }
  for (const [name, value] of Object.entries({ timeout, joinTimeout: options.joinTimeout ?? 1 })) {
    if (value > 0 && value <= 1e6) continue;
    throw new RangeError(
      `cannot launch: the ${name} is a number of seconds above 0, not ${value}`,
    );
  }
  if (!["rank0", "all", "none"].includes(options.stdin ?? "none")) {
    throw new RangeError(`cannot launch: stdin is rank0, all or none, not ${options.stdin}`);
  }
  if (rawRank !== undefined && !(Number.isInteger(rawRank) && rawRank >= 0 && rawRank < ranks)) {
    throw new RangeError(`cannot launch: there is no rank ${rawRank} among ${ranks}`);
  }
  for (const name of Object.keys(options.env ?? {})) {
    if (!/^[^=\0]+$/.test(name) || name.startsWith("CELGC_")) {
      throw new RangeError(`cannot launch: ${JSON.stringify(name)} cannot be set for ranks`);
    }
  }
  if (cwd !== undefined && !(await isThere(cwd))?.isDirectory) {
    throw new RangeError(`cannot launch: there is no directory ${cwd}`);
  }
  if (options.link !== undefined) {
    try {
      parseLink(options.link);
    } catch (error) {
      throw new RangeError(`cannot launch: ${(error as Error).message}`, { cause: error });
    }
  }
  const { connections = 1 } = options;
  if (!Number.isInteger(connections) || connections < 1 || connections > MOST_CONNECTIONS) {
    throw new RangeError(
      `cannot launch: two ranks have 1 to ${MOST_CONNECTIONS} connections, not ${connections}`,
    );
  }
  if (connections > 1 && transportOf(options) === "mpi") {
    throw new RangeError(
      `cannot launch: an MPI library has connections of its own: leave out the ${connections}, or take ` +
        "another transport",
    );
  }
  if (onFailureOf(options) === "return" && transportOf(options) === "mpi") {
    throw new RangeError(
      "cannot launch: over an MPI library ranks cannot go on without each other: leave out onFailure " +
        '"return", or take another transport',
    );
  }
  for (const path of Object.values(options.tls ?? {})) {
    const found = await isThere(path);
    if (found !== null && !found.isDirectory) continue;
    throw new RangeError(`cannot launch: there is no file ${path} for TLS`);
  }
  if (transportOf(options) === "mpi" && size === undefined) throw new RangeError(NEEDS_MPIRUN);
  if (size === undefined) checkListen(options.listen ?? "127.0.0.1");
  const url = programUrl(options.program);
  if (url.protocol === "file:" && !(await isThere(url))?.isFile) {
    throw new RangeError(`cannot launch: there is no program ${options.program}`);
  }
  if (OTHER_FILES.test(url.pathname)) {
    throw new RangeError(
      `cannot launch ${options.program}: a program of ranks is JavaScript, TypeScript or WebAssembly`,
    );
  }
  return url;
}

/** Files that are easily taken for a program's, of which each rank would say that it cannot read it. */
const OTHER_FILES = /\.(py|sh|md|txt|json|csv|html|ya?ml|toml)$/i;

/** Why an MPI library cannot connect the ranks of a launcher that nothing else has started. */
export const NEEDS_MPIRUN =
  "cannot launch ranks that talk over mpi: the launcher of an MPI library must start one process for each " +
  "of them, as in mpirun -n 4 deno task launch --transport mpi";

/** What the ranks are to talk over: as the options say, or the environment. */
export function transportOf(
  { transport }: Pick<LaunchProgramOptions, "transport">,
): TransportKind | "mpi" {
  return transport ?? readTransport(Deno.env.get("CELGC_TRANSPORT"));
}

/** What the loss of a rank is to be to the others: as the options say, or the environment. */
function onFailureOf(
  { onFailure, respawn }: Pick<LaunchProgramOptions, "onFailure" | "respawn">,
): OnFailure {
  return onFailure ?? (respawn ? "return" : readOnFailure(Deno.env.get("CELGC_ON_FAILURE")));
}

function checkListen(hostname: string): void {
  try {
    listenAt({ kind: "tcp", hostname, port: 0 }).close();
  } catch (error) {
    const { message } = error as Error;
    throw new RangeError(`cannot launch: cannot listen on ${hostname}: ${message}`);
  }
}

function programUrl(program: string | URL): URL {
  if (program instanceof URL) return program;
  return /^(https?|file):/.test(program) ? new URL(program) : pathToFileURL(resolve(program));
}

async function isThere(path: string | URL): Promise<Deno.FileInfo | null> {
  try {
    return await Deno.stat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      return null;
    }
    throw error;
  }
}

/** What the ranks of a job have in common. */
export function planOf(
  options: LaunchProgramOptions,
  program: URL,
  name: string,
  size: number,
): JobPlan {
  const { args = [], env = {}, allow = [], timeout = DEFAULT_TIMEOUT_SECONDS } = options;
  return {
    name,
    size,
    program,
    args,
    env,
    allow,
    timeout,
    joinTimeout: joinSeconds(options),
    transport: transportOf(options),
    link: options.link ?? null,
    connections: options.connections ?? 1,
    onFailure: onFailureOf(options),
  };
}
