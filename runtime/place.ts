/**
 * A rank's place in its job, as the launcher has put it into the environment.
 *
 *     CELGC_RANK         0 ≤ rank < size
 *     CELGC_SIZE         number of ranks
 *     CELGC_LOCAL_RANK   place among the ranks of this host
 *     CELGC_JOB          name of the job
 *     CELGC_RENDEZVOUS   host:port
 *     CELGC_TIMEOUT      seconds without a sign of life; 60 if not set
 *     CELGC_JOIN_TIMEOUT seconds for all ranks to join; 60, or CELGC_TIMEOUT if that is more, if not set
 *     CELGC_TRANSPORT    auto, tcp or unix; auto if not set
 *     CELGC_SOCKETS      directory for Unix sockets
 *     CELGC_HOST         this host's name in messages
 *     CELGC_LINK         the access link that every rank is to be behind, such as 100mbit,20ms
 *     CELGC_SECRET_FILE  file of mode 0600 with the secret; standard input if not set
 *     CELGC_TLS_CERT, CELGC_TLS_KEY, CELGC_TLS_CA   PEM files
 *
 * @module
 */

import { parseAddress, type TlsMaterial } from "./endpoint.ts";
import { RendezvousError } from "./errors.ts";
import { type LinkShape, parseLink } from "./link.ts";
import type { Medium } from "./mesh.ts";

/** A rank's place. */
export interface Place {
  readonly rank: number;
  readonly size: number;
  readonly localRank: number;
  readonly job: string;
  readonly rendezvous: { readonly hostname: string; readonly port: number };
  readonly timeoutMs: number;
  /** How long all ranks may take to join, in ms. */
  readonly joinMs: number;
  readonly medium: Medium;
  /** Directory for Unix sockets, or null. */
  readonly sockets: string | null;
  /** This host's name, or null if it was not given. */
  readonly host: string | null;
  /** The access link that every rank is to be behind, or null. */
  readonly link: LinkShape | null;
  /** File with the secret, or null for standard input. */
  readonly secretFile: string | null;
  /** Files with what TLS needs, or null. */
  readonly tls: { readonly cert: string; readonly key: string; readonly ca: string } | null;
}

/** Reads one variable; undefined if it is not set. */
export type Environment = (name: string) => string | undefined;

/** Default of CELGC_TIMEOUT, in seconds. */
export const DEFAULT_TIMEOUT_SECONDS = 60;

/** Default of CELGC_JOIN_TIMEOUT, in seconds: starting a rank may mean downloading packages. */
export const defaultJoinSeconds = (timeout: number): number => Math.max(60, timeout);

/** The process's environment; what may not be read is not set. */
export function processEnvironment(name: string): string | undefined {
  try {
    return Deno.env.get(name) || undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) return undefined;
    throw error;
  }
}

/**
 * Finds this rank's place.
 *
 * @returns null if nobody has launched this process as a rank
 * @throws RendezvousError if the environment is incomplete or contradicts itself
 */
export function findPlace(environment: Environment): Place | null {
  const need = (name: string): string => {
    const value = environment(name);
    if (value === undefined) {
      throw new RendezvousError(`CELGC_RANK is set but ${name} is not: a rank needs both`);
    }
    return value;
  };
  if (environment("CELGC_RANK") === undefined) return null;
  const size = integer("CELGC_SIZE", need("CELGC_SIZE"), 1, 65536);
  const rank = integer("CELGC_RANK", need("CELGC_RANK"), 0, size - 1);
  const localRank = environment("CELGC_LOCAL_RANK") ?? String(rank);
  const timeout = seconds(environment, "CELGC_TIMEOUT", DEFAULT_TIMEOUT_SECONDS);
  const job = need("CELGC_JOB");
  if (!/^[\w.-]{1,64}$/.test(job)) {
    throw new RendezvousError(
      `CELGC_JOB is 1 to 64 letters, digits, "_", "." or "-", not ${JSON.stringify(job)}`,
    );
  }
  let rendezvous;
  try {
    rendezvous = parseAddress(need("CELGC_RENDEZVOUS"));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new RendezvousError(`CELGC_RENDEZVOUS: ${error.message}`);
  }
  return {
    rank,
    size,
    localRank: integer("CELGC_LOCAL_RANK", localRank, 0, size - 1),
    job,
    rendezvous,
    timeoutMs: 1000 * timeout,
    joinMs: 1000 * seconds(environment, "CELGC_JOIN_TIMEOUT", defaultJoinSeconds(timeout)),
    medium: readMedium(environment("CELGC_TRANSPORT")),
    sockets: environment("CELGC_SOCKETS") ?? null,
    host: environment("CELGC_HOST") ?? null,
    link: readLink(environment("CELGC_LINK")),
    secretFile: environment("CELGC_SECRET_FILE") ?? null,
    tls: tlsFiles(environment),
  };
}

/** Reads what CELGC_TRANSPORT says. */
export function readMedium(text = "auto"): Medium {
  if (text === "auto" || text === "tcp" || text === "unix") return text;
  throw new RendezvousError(`CELGC_TRANSPORT is auto, tcp or unix, not ${JSON.stringify(text)}`);
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
  files: { readonly cert: string; readonly key: string; readonly ca: string },
): Promise<TlsMaterial> {
  const [cert, key, ca] = await Promise.all(
    [files.cert, files.key, files.ca].map((path) => Deno.readTextFile(path)),
  );
  return { cert, key, ca };
}

function integer(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < least || value > most) {
    throw new RendezvousError(
      `${name} is an integer from ${least} to ${most}, not ${JSON.stringify(text)}`,
    );
  }
  return value;
}

function seconds(environment: Environment, name: string, otherwise: number): number {
  const text = environment(name), value = text === undefined ? otherwise : Number(text);
  if (value > 0 && value <= 1e6) return value;
  throw new RendezvousError(
    `${name} is a number of seconds above 0, not ${JSON.stringify(text)}`,
  );
}

function tlsFiles(environment: Environment): Place["tls"] {
  const names = ["CELGC_TLS_CERT", "CELGC_TLS_KEY", "CELGC_TLS_CA"];
  const [cert, key, ca] = names.map(environment);
  if (cert === undefined && key === undefined && ca === undefined) return null;
  if (cert === undefined || key === undefined || ca === undefined) {
    const absent = names.filter((name) => environment(name) === undefined);
    throw new RendezvousError(
      `TLS needs all of ${names.join(", ")}; not set: ${absent.join(", ")}`,
    );
  }
  return { cert, key, ca };
}
