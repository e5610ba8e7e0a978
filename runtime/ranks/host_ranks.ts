/**
 * The ranks of one host: what each is started with, their sockets' folder, and their end.
 *
 * @module
 */

import { NATIVE_ENGINE_ENVIRONMENT } from "../../deps.ts";
import { compiledRankEnvironment, isCompiled } from "./compiled_rank.ts";
import { checkDescriptors, descriptorLimit } from "../base/descriptors.ts";
import { PIPE_FD, RankProcess, type RankProcessOptions } from "./rank_process.ts";
import { rankFlags } from "./permissions.ts";
import type {} from "./preload.ts"; // run by path alone; so that a packer sees it
import { Watchdog } from "./watchdog.ts";
import { socketPath, type TransportKind } from "../bootstrap/mesh.ts";
import type { OnFailure } from "../transport/transport.ts";

/** What all ranks of a job have in common, on whatever host. */
export interface JobPlan {
  /** The job's name. */
  readonly name: string;
  /** Number of ranks. */
  readonly size: number;
  readonly program: URL;
  readonly args: readonly string[];
  /** Environment variables added to the launcher's own. */
  readonly env: Readonly<Record<string, string>>;
  /** Permissions, as in `LaunchProgramOptions`. */
  readonly allow: readonly string[];
  /** As CELGC_TIMEOUT, in seconds. */
  readonly timeout: number;
  /** As CELGC_JOIN_TIMEOUT, in seconds. */
  readonly joinTimeout: number;
  readonly transport: TransportKind | "mpi";
  /** As CELGC_LINK, or null. */
  readonly link: string | null;
  /** As CELGC_CONNECTIONS. */
  readonly connections: number;
  /** As CELGC_ON_FAILURE. */
  readonly onFailure: OnFailure;
}

/** Whether ranks of a host may talk over Unix sockets. */
export const hasSockets = (transport: JobPlan["transport"]): boolean =>
  transport === "auto" || transport === "unix";

/**
 * The hosts that a rank on one of several may talk to, as it is told.
 *
 * @param peers all that there are; null for any
 * @param own further addresses of this host
 * @returns null for any, also where one has a scope, for which Deno's permissions have no spelling
 */
export function peersOf(
  peers: readonly string[] | null,
  ...own: readonly string[]
): readonly string[] | null {
  if (peers === null || peers.some((peer) => peer.includes("%"))) return null;
  return [...new Set([...peers, ...own, "0.0.0.0", "::"])];
}

/** Where a rank finds what it needs for TLS. */
export interface TlsPaths {
  /** PEM file with the certificate. */
  readonly cert: string;
  /** PEM file with its key. */
  readonly key: string;
  /** PEM file with the certificate of the authority. */
  readonly ca: string;
  /** As CELGC_TLS_NAME, or null. */
  readonly name: string | null;
}

/** What the ranks of one host have in common. */
export interface HostPlan {
  /** The first of them. */
  readonly first: number;
  /** This host's name. */
  readonly host: string;
  /** As CELGC_LAUNCHER; null or absent where this host has one launcher. */
  readonly launcher?: number | null | undefined;
  /** Where the rendezvous listens, as `host:port`. */
  readonly rendezvous: string;
  /** Hosts that a rank talks to; null for any. */
  readonly peers: readonly string[] | null;
  /** Folder for Unix sockets, or null. */
  readonly sockets: string | null;
  /** Folder the ranks run in; undefined for this process's. */
  readonly cwd: string | undefined;
  /** What TLS needs, or null. */
  readonly tls: TlsPaths | null;
  /** As CELGC_LISTEN: where others can reach a rank of this host; null for where it reaches the rendezvous. */
  readonly addresses: readonly string[] | null;
  /** As CELGC_DIALS_OUT. */
  readonly dialsOut: boolean;
  /** Variables of each rank beside those of the job, in their order; none where there is no more. */
  readonly rankEnv?: readonly Readonly<Record<string, string>>[] | undefined;
  /** As CELGC_GATEWAY; null if ranks of other hosts dial these themselves. */
  readonly gateway: string | null;
}

/** Starts the ranks of one host, and ends with them what they leave behind. */
export class HostRanks implements AsyncDisposable {
  readonly #job: JobPlan;
  readonly #host: HostPlan;
  readonly #secret: string;
  readonly #args: readonly string[];
  readonly #env: Readonly<Record<string, string>>;
  readonly #watchdog: Watchdog;
  readonly #limit = descriptorLimit();
  /** Of ranks that were started in the stead of others: the first of these. */
  readonly #origins = new Map<number, number>();

  /**
   * @param secret the job's, in hexadecimal digits
   * @param folder of the job's own on this host, to be removed if this process is killed
   * @throws RangeError if a permission is none, or cannot be spelled, or a rank may not have enough open
   */
  constructor(job: JobPlan, host: HostPlan, secret: string, folder = host.sockets) {
    if (job.transport !== "mpi") checkDescriptors(job.size, this.#limit, "cannot launch");
    this.#job = job;
    this.#host = host;
    this.#secret = secret;
    this.#args = isCompiled() ? Deno.args : denoArguments(job, host);
    this.#env = environment(job, host);
    this.#watchdog = new Watchdog(folder);
  }

  /**
   * @param lost the rank in whose stead this one comes to the running job, null for nobody's; left out if it was there
   * when the job began
   * @throws RangeError if the system cannot start another process
   */
  async start(rank: number, stdin: boolean, lost?: number | null): Promise<RankProcess> {
    const { first, cwd, rankEnv = [] } = this.#host;
    const origin = lost == null ? rank : this.#origins.get(lost) ?? lost;
    if (lost != null) this.#origins.set(rank, origin);
    const env = {
      ...this.#env,
      ...rankEnv[origin - first],
      CELGC_RANK: String(rank),
      ...(lost === undefined ? {} : { CELGC_NEWCOMER: "1" }),
      ...(lost == null ? {} : { CELGC_STEAD: String(origin) }),
    };
    const secret = this.#secret, args = this.#args;
    const process = await startRank(rank, this.#limit, { args, env, cwd, secret, stdin });
    this.#watchdog.add(process.pid);
    return process;
  }

  /** Ends what a rank that has ended has left behind. */
  bury(process: RankProcess): void {
    process.kill("SIGKILL");
    this.#watchdog.remove(process.pid);
  }

  /** Ends the watch, and whatever is left. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#watchdog.close();
  }
}

/** The environment of every rank but for its own rank: this process's, the caller's, the job's. */
function environment(job: JobPlan, host: HostPlan): Readonly<Record<string, string>> {
  const { tls, sockets, addresses, gateway, dialsOut, launcher = null } = host;
  return {
    // Ranks write to pipes and logs, where colour codes are noise.
    NO_COLOR: "1",
    ...ownEnvironment(),
    ...job.env,
    ...NATIVE_ENGINE_ENVIRONMENT,
    CELGC_SIZE: String(job.size),
    CELGC_JOB: job.name,
    CELGC_RENDEZVOUS: host.rendezvous,
    CELGC_TIMEOUT: String(job.timeout),
    CELGC_JOIN_TIMEOUT: String(job.joinTimeout),
    CELGC_TRANSPORT: job.transport,
    CELGC_HOST: host.host,
    CELGC_SECRET_FD: String(PIPE_FD),
    ...(isCompiled() ? compiledRankEnvironment(job.program, job.args) : {}),
    ...(job.link === null ? {} : { CELGC_LINK: job.link }),
    ...(job.connections === 1 ? {} : { CELGC_CONNECTIONS: String(job.connections) }),
    ...(job.onFailure === "abort" ? {} : { CELGC_ON_FAILURE: job.onFailure }),
    ...(sockets === null ? {} : { CELGC_SOCKETS: sockets }),
    ...(tls === null ? {} : {
      CELGC_TLS_CERT: tls.cert,
      CELGC_TLS_KEY: tls.key,
      CELGC_TLS_CA: tls.ca,
      ...(tls.name === null ? {} : { CELGC_TLS_NAME: tls.name }),
    }),
    ...(gateway === null ? {} : { CELGC_GATEWAY: gateway }),
    ...(launcher === null ? {} : { CELGC_LAUNCHER: String(launcher) }),
    ...(dialsOut ? { CELGC_DIALS_OUT: "1" } : {}),
    ...(addresses === null ? {} : { CELGC_LISTEN: addresses.join(",") }),
  };
}

/** This process's environment, without what belongs to a job that it may be a rank of. */
function ownEnvironment(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(Deno.env.toObject()).filter(([name]) => !name.startsWith("CELGC_")),
  );
}

/** The arguments of `deno` for every rank. */
function denoArguments(
  { size, program, allow, env, args }: JobPlan,
  { peers, sockets, tls }: HostPlan,
): string[] {
  const preload = new URL(import.meta.resolve("./preload.ts"));
  const paths = Array.from({ length: size }, (_, rank) => socketPath(sockets ?? "", rank));
  return [
    "run",
    ...rankFlags({
      program,
      hosts: peers ?? [],
      sockets: sockets === null ? null : { directory: sockets, paths },
      variables: [...Object.keys(NATIVE_ENGINE_ENVIRONMENT), ...Object.keys(env)],
      files: tls === null ? [] : [tls.cert, tls.key, tls.ca],
      modules: [preload],
      allow: peers === null ? [...allow, "net"] : allow,
    }),
    `--preload=${preload.href}`,
    program.href,
    ...args,
  ];
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
