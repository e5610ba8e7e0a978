/**
 * What a process knows of itself as a rank, as the environment tells it: the variables of our launcher,
 * or, if they are not there, those of another one (`foreign_launchers.ts`).
 *
 *     CELGC_RANK         0 ≤ rank < size
 *     CELGC_SIZE         number of ranks
 *     CELGC_JOB          name of the job
 *     CELGC_RENDEZVOUS   host:port
 *     CELGC_TIMEOUT      seconds without a sign of life; 60 if not set
 *     CELGC_JOIN_TIMEOUT seconds for all ranks to join; 60, or CELGC_TIMEOUT if that is more, if not set
 *     CELGC_TRANSPORT    auto, tcp, unix or mpi; auto if not set
 *     CELGC_SOCKETS      directory for Unix sockets
 *     CELGC_HOST         this host's name in messages
 *     CELGC_LINK         the access link that every rank is to be behind, such as 100mbit,20ms
 *     CELGC_CONNECTIONS  connections to each rank of another host, 1 to 64; 1 if not set. A pair has as many as
 *                        both ends want
 *     CELGC_ON_FAILURE   abort or return: what the loss of a rank is to the others; abort if not set
 *     CELGC_NEWCOMER     1 if this process comes to a job that runs already: its rank is beyond the size
 *     CELGC_STEAD        the one of those that the job began with in whose stead it comes, for its program
 *     CELGC_SECRET_FILE  file of mode 0600 with the secret; the launcher's pipe if not set
 *     CELGC_SECRET_FD    descriptor of the launcher's pipe; standard input if not set
 *     CELGC_TLS_CERT, CELGC_TLS_KEY, CELGC_TLS_CA   PEM files
 *     CELGC_TLS_NAME     name that the certificates of all hosts are for; each host's address if not set
 *     CELGC_LISTEN       up to 3 addresses at which others can reach this rank, separated by commas; the one
 *                        from which it has reached the rendezvous if not set
 *     CELGC_PORT         port on which this rank listens to others; any if not set
 *     CELGC_GATEWAY      host:port of this host's gateway, through which ranks of other hosts reach this one;
 *                        they dial it itself if not set
 *     CELGC_LAUNCHER     number of this rank's launcher, where several were invited to this host; for the summary
 *     CELGC_DIALS_OUT    1 if ranks of other hosts cannot reach this one, which then dials them
 *     CELGC_PLACE        whose MPI library carries the frames, with CELGC_TRANSPORT=mpi
 *
 * For ranks that something else has started, all of these may be set but the first three, and
 *
 *     CELGC_PLACE        whose variables to believe: torchrun, slurm, openmpi, pmi, kubernetes, none
 *     CELGC_FOLDER       folder that all hosts share, by which the ranks find each other
 *     CELGC_ADDRESS      address of rank 0's host that all can reach; the host's name if not set
 *     CELGC_MPI_LIBRARY  file of the MPI library for CELGC_TRANSPORT=mpi; the launcher's if not set
 *
 * @module
 */

import { isHost, parseAddress, type TlsMaterial } from "../security/endpoint.ts";
import { RendezvousError } from "../base/errors.ts";
import { type LinkShape, parseLink } from "../transport/access_link.ts";
import { MOST_ADDRESSES, MOST_CONNECTIONS, MOST_RANKS } from "../rendezvous/messages.ts";
import type { OnFailure } from "../transport/transport.ts";
import { defaultFolder, rendezvousPath } from "../rendezvous/rendezvous_file.ts";
import type { TransportKind } from "./mesh.ts";
import { parentProcess } from "./task_runner.ts";
import {
  describeLauncher,
  type Environment,
  type ForeignLauncher,
  integer,
  type LauncherEnvironment,
  RANK_VARIABLES,
  readForeignLauncher,
  startsMpi,
} from "./foreign_launchers.ts";

/** A rank, and how it finds the others. */
export interface ProcessInfo {
  readonly rank: number;
  readonly size: number;
  readonly job: string;
  /** The launcher, if it was not ours: then rank 0 serves the rendezvous. Null for ours. */
  readonly launcher: ForeignLauncher | null;
  /** Null if it is to be found by the file below. */
  readonly rendezvous: { readonly hostname: string; readonly port: number } | null;
  /** File by which the ranks find each other, or null. */
  readonly rendezvousFile: string | null;
  /** The address of rank 0's host to write to that file, or null for the host's name. */
  readonly address: string | null;
  /** Whether all ranks are known to be on this host. */
  readonly near: boolean;
  readonly timeoutMs: number;
  /** How long all ranks may take to join, in ms. */
  readonly joinMs: number;
  readonly transport: TransportKind | "mpi";
  /** What the loss of a rank is to the others. */
  readonly onFailure: OnFailure;
  /** Whether this process comes to a job that runs already; its rank is beyond the size then. */
  readonly isNewcomer: boolean;
  /** Directory for Unix sockets, or null. */
  readonly sockets: string | null;
  /** This host's name, or null if it was not given. */
  readonly host: string | null;
  /** The access link that every rank is to be behind, or null. */
  readonly link: LinkShape | null;
  /** How many connections this rank wants to each rank of another host. */
  readonly connections: number;
  /** File with the secret, or null for the launcher's pipe. */
  readonly secretFile: string | null;
  /** File of the MPI library, or null for the one that belongs to the launcher. */
  readonly mpiLibrary: string | null;
  /** Whose MPI library carries the frames; null if none does. */
  readonly mpiLauncher: ForeignLauncher | null;
  /** Files with what TLS needs, or null. */
  readonly tls: TlsFiles | null;
  /** Addresses at which others can reach this rank; null for the one from which it reaches the rendezvous. */
  readonly addresses: readonly string[] | null;
  /** Port on which this rank listens to others; 0 for any. */
  readonly port: number;
  /** The gateway of this host, behind which this rank listens, or null. */
  readonly gateway: { readonly hostname: string; readonly port: number } | null;
  /** Whether ranks of other hosts cannot reach this one. */
  readonly dialsOut: boolean;
}

/** Files with what TLS needs, and the name that all certificates are for, or null. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
  readonly name: string | null;
}

/** Default of CELGC_TIMEOUT, in seconds. */
export const DEFAULT_TIMEOUT_SECONDS = 60;

/** Default of CELGC_JOIN_TIMEOUT, in seconds: starting a rank may mean downloading packages. */
export const defaultJoinSeconds = (timeout: number): number => Math.max(60, timeout);

/** The process's environment; what may not be read is not set. Never asks. */
export function processEnvironment(name: string): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable: name });
  return state === "granted" ? Deno.env.get(name) || undefined : undefined;
}

/**
 * Whether this process may read none of the variables that would say that it is a rank, and nobody
 * has refused that on purpose (`--deny-env`): then it cannot know whether it is one.
 */
export function environmentIsHidden(): boolean {
  return ["CELGC_RANK", ...RANK_VARIABLES].every((variable) =>
    Deno.permissions.querySync({ name: "env", variable }).state === "prompt"
  );
}

/**
 * Finds out which rank this process is.
 *
 * @param say told of variables that are passed over
 * @returns null if nobody has launched this process as a rank
 * @throws RendezvousError if the environment is incomplete or contradicts itself
 */
export function readEnvironment(
  environment: Environment,
  say?: (line: string) => void,
): ProcessInfo | null {
  return environment("CELGC_RANK") === undefined
    ? fromForeignLauncher(environment, say)
    : fromOwnLauncher(environment);
}

/** As our launcher says. */
function fromOwnLauncher(environment: Environment): ProcessInfo {
  const need = (name: string): string => {
    const value = environment(name);
    if (value === undefined) {
      throw new RendezvousError(`CELGC_RANK is set but ${name} is not: a rank needs both`);
    }
    return value;
  };
  const common = readCommonVariables(environment), mpiLauncher = environment("CELGC_PLACE");
  if (common.transport === "mpi" && !startsMpi(mpiLauncher)) {
    throw new RendezvousError(
      "the mpi transport is for ranks that an MPI launcher starts, or celgc's launcher under it, and this " +
        `one was started by celgc's alone: use ${MPIRUN}`,
    );
  }
  const size = integer("CELGC_SIZE", need("CELGC_SIZE"), 1, 65536);
  const isNewcomer = environment("CELGC_NEWCOMER") === "1";
  const [least, most] = isNewcomer ? [size, MOST_RANKS - 1] : [0, size - 1];
  const rank = integer("CELGC_RANK", need("CELGC_RANK"), least, most);
  return {
    rank,
    size,
    isNewcomer,
    job: checkJob(need("CELGC_JOB")),
    launcher: null,
    rendezvous: readAddress("CELGC_RENDEZVOUS", need("CELGC_RENDEZVOUS")),
    rendezvousFile: null,
    address: null,
    near: false,
    ...common,
    mpiLauncher: common.transport === "mpi" ? mpiLauncher as ForeignLauncher : null,
  };
}

/**
 * As another launcher says, which knows nothing of a rendezvous; null without one, or if this process is
 * all that it has started.
 *
 * @throws RendezvousError as {@linkcode readEnvironment}
 */
export function fromForeignLauncher(
  environment: Environment,
  say?: (line: string) => void,
): ProcessInfo | null {
  const found = readForeignLauncher(environment, say);
  if (found === null) {
    if (environment("CELGC_TRANSPORT") !== "mpi") return null;
    throw new RendezvousError(
      `the mpi transport is for ranks that an MPI launcher starts, and none has started this process: ` +
        `use ${MPIRUN}`,
    );
  }
  if (found.size === 1) return null;
  const { launcher, rank, size } = found, words = describeLauncher(launcher);
  const rest = readCommonVariables(environment);
  if (rest.transport === "mpi") return placeByMpi(found, rest);
  const given = environment("CELGC_RENDEZVOUS");
  const address = given !== undefined
    ? readAddress("CELGC_RENDEZVOUS", given)
    : rest.secretFile === null
    ? null
    : found.address;
  if (address !== null && rest.secretFile === null) {
    throw new RendezvousError(
      "CELGC_RENDEZVOUS is set but CELGC_SECRET_FILE is not: strangers can reach that address, so all " +
        "ranks need a file of mode 0600 with 64 hexadecimal digits",
    );
  }
  const shared = environment("CELGC_FOLDER");
  // Whoever names a way between hosts has several; nobody needs one within a host.
  const near = found.near ?? (shared === undefined && address === null);
  if (address === null && shared === undefined && found.near === false) {
    throw new RendezvousError(
      `${words} say that this is rank ${rank} of ${size} on several hosts, and not how they find each ` +
        "other: set CELGC_FOLDER to a folder that all hosts share, or CELGC_RENDEZVOUS to host:port of " +
        "rank 0 and CELGC_SECRET_FILE",
    );
  }
  const named = environment("CELGC_JOB");
  const job = named !== undefined
    ? checkJob(named)
    : found.job ?? nameJob(launcher, shared, address !== null);
  return {
    rank,
    size,
    job,
    launcher,
    rendezvous: address,
    rendezvousFile: address === null
      ? rendezvousPath(shared ?? defaultFolder(environment), job)
      : null,
    address: environment("CELGC_ADDRESS") ?? null,
    near,
    isNewcomer: false,
    ...rest,
  };
}

/** How the mpi transport is started, for those who have not. */
const MPIRUN = "mpirun -n 4 deno run -A program.ts, or srun";

/** A rank whose library finds the others. */
function placeByMpi(
  { launcher, rank, size, near, job }: LauncherEnvironment,
  common: ReturnType<typeof readCommonVariables>,
): ProcessInfo {
  if (!startsMpi(launcher)) {
    throw new RendezvousError(
      `the mpi transport is for ranks that an MPI launcher starts, and ${
        describeLauncher(launcher)
      } are of none: use ${MPIRUN}`,
    );
  }
  return {
    rank,
    size,
    job: job ?? launcher,
    launcher,
    rendezvous: null,
    rendezvousFile: null,
    address: null,
    near: near ?? false,
    isNewcomer: false,
    ...common,
    mpiLauncher: launcher,
  };
}

/** The name of a job that nobody has named, the same on all of its ranks. */
function nameJob(
  launcher: ForeignLauncher,
  shared: string | undefined,
  addressed: boolean,
): string {
  // Those who meet at an address know each other by their secret.
  if (addressed) return launcher;
  // On one host they are children of the same process. Elsewhere that number is another one.
  if (shared === undefined) return `${launcher}-${parentProcess()}`;
  throw new RendezvousError(
    `CELGC_FOLDER is set but CELGC_JOB is not, and ${launcher} does not name the job: ` +
      "set CELGC_JOB to the same name on all ranks, another one for each job",
  );
}

/** How a rank is to behave, whoever has started it. */
function readCommonVariables(environment: Environment) {
  const timeout = seconds(environment, "CELGC_TIMEOUT", DEFAULT_TIMEOUT_SECONDS);
  return {
    timeoutMs: 1000 * timeout,
    joinMs: 1000 * seconds(environment, "CELGC_JOIN_TIMEOUT", defaultJoinSeconds(timeout)),
    transport: readTransport(environment("CELGC_TRANSPORT")),
    onFailure: readOnFailure(environment("CELGC_ON_FAILURE")),
    sockets: environment("CELGC_SOCKETS") ?? null,
    host: environment("CELGC_HOST") ?? null,
    link: readLink(environment("CELGC_LINK")),
    connections: integer(
      "CELGC_CONNECTIONS",
      environment("CELGC_CONNECTIONS") ?? "1",
      1,
      MOST_CONNECTIONS,
    ),
    secretFile: environment("CELGC_SECRET_FILE") ?? null,
    mpiLibrary: environment("CELGC_MPI_LIBRARY") ?? null,
    mpiLauncher: null,
    tls: tlsFiles(environment),
    addresses: readAddresses(environment("CELGC_LISTEN")),
    port: integer("CELGC_PORT", environment("CELGC_PORT") ?? "0", 0, 65535),
    gateway: readGateway(environment("CELGC_GATEWAY")),
    dialsOut: environment("CELGC_DIALS_OUT") === "1",
  };
}

function checkJob(job: string): string {
  if (/^[\w.-]{1,64}$/.test(job)) return job;
  throw new RendezvousError(
    `CELGC_JOB is 1 to 64 letters, digits, "_", "." or "-", not ${JSON.stringify(job)}`,
  );
}

function readAddress(name: string, text: string): { hostname: string; port: number } {
  try {
    return parseAddress(text);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new RendezvousError(`${name}: ${error.message}`);
  }
}

/** Reads what CELGC_LISTEN says. */
function readAddresses(text: string | undefined): ProcessInfo["addresses"] {
  if (text === undefined) return null;
  const addresses = text.split(",");
  if (addresses.length <= MOST_ADDRESSES && addresses.every(isHost)) return addresses;
  throw new RendezvousError(
    `CELGC_LISTEN is 1 to ${MOST_ADDRESSES} addresses or names of this host, separated by commas alone, not ` +
      JSON.stringify(text),
  );
}

/** Reads what CELGC_GATEWAY says. */
function readGateway(text: string | undefined): ProcessInfo["gateway"] {
  return text === undefined ? null : readAddress("CELGC_GATEWAY", text);
}

/** Reads what CELGC_TRANSPORT says. */
export function readTransport(text = "auto"): TransportKind | "mpi" {
  if (text === "auto" || text === "tcp" || text === "unix" || text === "mpi") return text;
  throw new RendezvousError(
    `CELGC_TRANSPORT is auto, tcp, unix or mpi, not ${JSON.stringify(text)}`,
  );
}

/** Reads what CELGC_ON_FAILURE says. */
export function readOnFailure(text = "abort"): OnFailure {
  if (text === "abort" || text === "return") return text;
  throw new RendezvousError(`CELGC_ON_FAILURE is abort or return, not ${JSON.stringify(text)}`);
}

/** Reads what CELGC_LINK says. */
function readLink(text: string | undefined): LinkShape | null {
  try {
    return text === undefined ? null : parseLink(text);
  } catch (error) {
    throw new RendezvousError(`CELGC_LINK: ${(error as Error).message}`);
  }
}

/** Reads the PEM files that TLS needs. */
export async function readTls(
  files: Omit<TlsFiles, "name"> & { readonly name?: string | null },
): Promise<TlsMaterial> {
  const [cert, key, ca] = await Promise.all(
    [files.cert, files.key, files.ca].map((path) => Deno.readTextFile(path)),
  );
  return files.name ? { cert, key, ca, name: files.name } : { cert, key, ca };
}

function seconds(environment: Environment, name: string, otherwise: number): number {
  const text = environment(name), value = text === undefined ? otherwise : Number(text);
  if (value > 0 && value <= 1e6) return value;
  throw new RendezvousError(
    `${name} is a number of seconds above 0, not ${JSON.stringify(text)}`,
  );
}

function tlsFiles(environment: Environment): ProcessInfo["tls"] {
  const names = ["CELGC_TLS_CERT", "CELGC_TLS_KEY", "CELGC_TLS_CA"];
  const [cert, key, ca] = names.map(environment);
  if (cert === undefined && key === undefined && ca === undefined) return null;
  if (cert === undefined || key === undefined || ca === undefined) {
    const absent = names.filter((name) => environment(name) === undefined);
    throw new RendezvousError(
      `TLS needs all of ${names.join(", ")}; not set: ${absent.join(", ")}`,
    );
  }
  return { cert, key, ca, name: environment("CELGC_TLS_NAME") ?? null };
}
