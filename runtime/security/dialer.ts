/**
 * Dials a member of the job and proves this rank to it, again if need be.
 *
 * @module
 */

import { closeConnection } from "../base/close_connection.ts";
import {
  describeConnectionError,
  describeEndpoint,
  dial,
  type Endpoint,
  type TlsMaterial,
} from "./endpoint.ts";
import { HandshakeError, RendezvousError } from "../base/errors.ts";
import { type Credentials, HANDSHAKE_MS, initiate, KNOCK, type Purpose } from "./handshake.ts";
import { platform } from "../base/platform.ts";

/** Twice what a listener grants until it has let somebody in, because a listener that is only slow must not be given up first. */
const PATIENCE_MS = 2 * HANDSHAKE_MS;

/** How often a listener may hang up on a proof before it is believed to mean it. */
const MOST_HANG_UPS = 3;

/** Whom to reach, and how. */
export interface DialOptions {
  /** Where, in order of preference; the last is tried again and again, the others once. */
  readonly endpoints: readonly Endpoint[];
  readonly job: Credentials;
  readonly purpose: Purpose;
  readonly self: number;
  readonly peer: number;
  /** Which of several connections between the two this is. @default {0} */
  readonly number?: number;
  /** In words, for errors. */
  readonly name: string;
  /** Who dials, in words, for errors. @default {"rank <self>"} */
  readonly selfName?: string;
  /** Used on TCP. */
  readonly tls?: TlsMaterial;
  /** Whether it is a gateway that is dialled, and not one who is behind it. @default {false} */
  readonly knocks?: boolean;
  /** Largest time in ms for an attempt until the listener's challenge has come. @default {10000} */
  readonly patienceMs?: number;
  /** When to give up, on the clock of `performance.now()`. */
  readonly deadline: number;
  /** Whether not to try again; that the listener hung up is then a HandshakeError as well. @default {false} */
  readonly once?: boolean;
  /** Gives up; what has been opened is closed. @default {only the deadline does} */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Connects and shakes hands. What may pass is tried again until the deadline: nobody listens there
 * yet, the queue of unproven connections was full, the listener was slow.
 *
 * @throws HandshakeError if the listener refuses this rank or cannot prove itself
 * @throws RendezvousError if the deadline has passed
 */
export async function dialMember(options: DialOptions): Promise<Deno.Conn> {
  const { endpoints, job, purpose, self, peer, name, tls, deadline, once, signal } = options;
  const selfName = options.selfName ?? `rank ${self}`;
  let hangUps = 0, pause = 10, last: unknown;
  for (let attempt = 0;; attempt++) {
    const endpoint = endpoints[Math.min(attempt, endpoints.length - 1)];
    let proving = false, late = false;
    try {
      const connection = await dialBefore(options, endpoint);
      const since = platform.now(), left = () => Math.max(1, deadline - platform.now());
      const giveUp = () => (late = true, closeConnection(connection));
      let timer = platform.setTimeout(giveUp, Math.min(options.patienceMs ?? PATIENCE_MS, left()));
      // A listener that has the proof may have let this rank in, and not come to say so: it would refuse
      // another connection.
      const prove = () => {
        proving = true;
        platform.clearTimeout(timer);
        timer = platform.setTimeout(giveUp, left());
      };
      using _given = onAbort(signal, () => closeConnection(connection));
      try {
        await initiate(
          {
            read: (into) => connection.read(into),
            write: (bytes) => (prove(), connection.write(bytes)),
          },
          job,
          purpose,
          self,
          peer,
          options.number,
        );
        return connection;
      } catch (error) {
        closeConnection(connection);
        if (signal?.aborted || error instanceof HandshakeError && error.final) throw error;
        if (tls !== undefined && error instanceof Deno.errors.InvalidData) {
          throw new HandshakeError(
            `cannot trust ${name} at ${describeEndpoint(endpoint)}: ${error.message}`,
            true,
          );
        }
        if (proving && !late && (++hangUps >= MOST_HANG_UPS || once)) {
          const times = hangUps === 1 ? "" : ` ${hangUps} times`;
          throw new HandshakeError(
            `${name} at ${describeEndpoint(endpoint)} hung up on ${selfName}${times} ` +
              `when it proved itself: most likely the secret or the name of the job differs`,
            !once,
          );
        }
        throw late ? unanswered(platform.now() - since, error) : error;
      } finally {
        platform.clearTimeout(timer);
      }
    } catch (error) {
      if (signal?.aborted || error instanceof HandshakeError && error.final) throw error;
      last = error;
    }
    if (attempt < endpoints.length - 1) continue;
    if (once && last instanceof HandshakeError) throw last;
    if (once || platform.now() + pause >= deadline) {
      throw new RendezvousError(
        `${selfName} cannot reach ${name} at ${describeEndpoint(endpoint)}: ` +
          describeConnectionError(last),
        { cause: last },
      );
    }
    await pauseFor(pause, signal);
    pause = Math.min(2 * pause, 500);
  }
}

/** Dials, through a gateway if need be, but does not wait for an answer longer than until the deadline. */
async function dialBefore(options: DialOptions, endpoint: Endpoint): Promise<Deno.Conn> {
  const { tls, deadline, job, self, peer, knocks } = options;
  const passes = knocks || endpoint.kind === "gateway";
  const enter = async (connection: Deno.Conn) => {
    await connection.write(Uint8Array.of(KNOCK));
    if (!knocks) await initiate(connection, job, "gateway", self, peer);
  };
  const patience = Math.min(PATIENCE_MS, Math.max(1, deadline - platform.now()));
  const controller = new AbortController(), { signal } = controller;
  const dialled = dial(endpoint, tls, { enter: passes ? enter : undefined, signal });
  dialled.then((connection) => signal.aborted && closeConnection(connection), () => {});
  const { promise: expiry, reject } = Promise.withResolvers<never>();
  const giveUp = (why: Error) => {
    controller.abort();
    reject(why);
  };
  const timer = platform.setTimeout(() => giveUp(unanswered(patience)), patience);
  using _given = onAbort(options.signal, () => giveUp(new Error("given up")));
  try {
    return await Promise.race([dialled, expiry]);
  } finally {
    platform.clearTimeout(timer);
  }
}

const unanswered = (ms: number, cause?: unknown) =>
  new Error(`no answer within ${Math.round(ms)} ms`, { cause });

/** Waits, but not any longer once the signal says so; then rejects. */
function pauseFor(ms: number, signal: AbortSignal | undefined): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = platform.setTimeout(() => resolve(), ms);
  const given = onAbort(signal, () => {
    platform.clearTimeout(timer);
    reject(new Error("given up"));
  });
  return promise.finally(() => given[Symbol.dispose]());
}

/** Acts when the signal comes, or at once if it has come, until what it returns is disposed of. */
function onAbort(signal: AbortSignal | undefined, act: () => void): Disposable {
  if (signal?.aborted) act();
  else signal?.addEventListener("abort", act);
  return { [Symbol.dispose]: () => signal?.removeEventListener("abort", act) };
}
