/**
 * What every rank of a job is started with: its environment, its sockets' folder, its arguments.
 *
 * @module
 */

import { resolve } from "node:path";
import { NATIVE_ENGINE_ENVIRONMENT } from "../../deps.ts";
import { compiledRankEnvironment, isCompiled } from "./compiled_rank.ts";
import { PIPE_FD } from "./_rank_process.ts";
import { joinSeconds, type LaunchProgramOptions } from "./options.ts";
import { rankFlags } from "./permissions.ts";
import type {} from "./preload.ts"; // run by path alone; so that a packer sees it
import { DEFAULT_TIMEOUT_SECONDS } from "../bootstrap/environment.ts";
import { socketPath, type TransportKind } from "../bootstrap/mesh.ts";
import { fitsSocket } from "../security/endpoint.ts";

/** Most ranks whose Unix sockets are spelled out in every rank's permissions. */
const MOST_SOCKETS = 256;

/** What a job's ranks have in common. */
export interface JobFacts {
  /** The job's name. */
  readonly name: string;
  /** Where the rendezvous listens, as `host:port`. */
  readonly rendezvous: string;
  readonly transport: TransportKind;
  /** Folder for Unix sockets, or null. */
  readonly sockets: string | null;
  /** This host's name. */
  readonly host: string;
}

/** What a rank's process is given to start with. */
export function rankArguments(
  options: LaunchProgramOptions,
  program: URL,
  hosts: readonly string[],
  sockets: string | null,
): readonly string[] {
  return isCompiled() ? Deno.args : denoArguments(options, program, hosts, sockets);
}

/** The environment of every rank but for its own rank: this process's, the caller's, the job's. */
export function environment(
  options: LaunchProgramOptions,
  program: URL,
  { name, rendezvous, transport, sockets, host }: JobFacts,
): Readonly<Record<string, string>> {
  const { ranks, env, timeout = DEFAULT_TIMEOUT_SECONDS, link, tls } = options;
  return {
    // Ranks write to pipes and logs, where colour codes are noise.
    NO_COLOR: "1",
    ...ownEnvironment(),
    ...env,
    ...NATIVE_ENGINE_ENVIRONMENT,
    CELGC_SIZE: String(ranks),
    CELGC_JOB: name,
    CELGC_RENDEZVOUS: rendezvous,
    CELGC_TIMEOUT: String(timeout),
    CELGC_JOIN_TIMEOUT: String(joinSeconds(options)),
    CELGC_TRANSPORT: transport,
    CELGC_HOST: host,
    CELGC_SECRET_FD: String(PIPE_FD),
    ...(isCompiled() ? compiledRankEnvironment(program, options.args ?? []) : {}),
    ...(link === undefined ? {} : { CELGC_LINK: link }),
    ...(sockets === null ? {} : { CELGC_SOCKETS: sockets }),
    ...(tls === undefined ? {} : {
      CELGC_TLS_CERT: resolve(tls.cert),
      CELGC_TLS_KEY: resolve(tls.key),
      CELGC_TLS_CA: resolve(tls.ca),
    }),
  };
}

/** This process's environment, without what belongs to a job that it may be a rank of. */
function ownEnvironment(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(Deno.env.toObject()).filter(([name]) => !name.startsWith("CELGC_")),
  );
}

/**
 * The arguments of `deno` for every rank.
 *
 * @param hosts that a rank talks to
 */
function denoArguments(
  { ranks, allow = [], env = {}, args = [], tls }: LaunchProgramOptions,
  program: URL,
  hosts: readonly string[],
  sockets: string | null,
): string[] {
  const preload = new URL(import.meta.resolve("./preload.ts"));
  const paths = Array.from({ length: ranks }, (_, rank) => socketPath(sockets ?? "", rank));
  return [
    "run",
    ...rankFlags({
      program,
      hosts,
      sockets: sockets === null ? null : { directory: sockets, paths },
      variables: [...Object.keys(NATIVE_ENGINE_ENVIRONMENT), ...Object.keys(env)],
      files: tls === undefined ? [] : [tls.cert, tls.key, tls.ca].map((path) => resolve(path)),
      modules: [preload],
      allow,
    }),
    `--preload=${preload.href}`,
    program.href,
    ...args,
  ];
}

/**
 * Makes a folder for the ranks' Unix sockets, of mode 0700: in the system's folder for temporary files,
 * or, where its name is too long for a socket, has a comma or is not there, in /tmp.
 *
 * @returns null where ranks do without such sockets: they take TCP
 */
export async function makeSocketFolder(
  ranks: number,
  transport: TransportKind,
): Promise<string | null> {
  if (transport === "tcp" || Deno.build.os === "windows") return null;
  if (ranks === 1 || ranks > MOST_SOCKETS) return null;
  for (const dir of [undefined, "/tmp"]) {
    let folder: string;
    try {
      folder = await Deno.realPath(await Deno.makeTempDir({ dir, prefix: "celgc-" }));
    } catch {
      continue;
    }
    if (!folder.includes(",") && fitsSocket(socketPath(folder, ranks - 1))) return folder;
    await Deno.remove(folder).catch(() => {});
  }
  return null;
}
