/**
 * Accepts connections, lets in the ranks of the job, and drops everybody else. Strangers, however many,
 * cost one frame, one timer and an entry in a bounded queue each, and are never fatal.
 *
 * @module
 */

import { closeConnection } from "../base/close_connection.ts";
import {
  type Credentials,
  HANDSHAKE_MS,
  type Purpose,
  type Refusal,
  respond,
} from "./handshake.ts";
import { platform } from "../base/platform.ts";

/** Most connections that may be unproven at one time. */
const MOST_PENDING = 128;

/** Whom a listener lets in for one purpose. */
export interface Admission {
  readonly purpose: Purpose;
  /** The rank that listens, or which ranks this listener stands for. */
  readonly self: number | ((listener: number) => boolean);
  /** Whether a rank has any business here, over which of several connections. */
  isExpected(rank: number, number: number): boolean;
  /** Whether a rank may come several times over a connection of the same number. @default {false} */
  readonly again?: boolean;
  /**
   * A rank is in; the connection passes to the caller, with the rank that the other one has come for, and
   * which of its connections this is.
   */
  onAccepted(rank: number, connection: Deno.Conn, listener: number, number: number): void;
}

/** What an {@linkcode AuthenticatingListener} needs. */
export interface AuthenticatingListenerOptions extends Admission {
  /**
   * Looks at a connection before it has to prove itself; resolves to false if it has been taken elsewhere,
   * and then owns it. @default {all have to prove themselves}
   */
  screen?(connection: Deno.Conn): Promise<boolean>;
  /** Owned by the authenticating listener, which closes it. */
  readonly listener: Deno.Listener;
  readonly job: Credentials;
  /**
   * A connection has been closed because it has not proved itself in time. Under TLS that has not come about the
   * system's connection stays open all the same, until its other end closes it: whoever stands between the
   * two can cut it.
   */
  onExpired?(connection: Deno.Conn): void;
  /** Largest time in ms for a proof. @default {5000} */
  readonly deadlineMs?: number;
  /** Most unproven connections; one more drops the oldest. @default {128} */
  readonly mostPending?: number;
}

/** Accepts connections until it is closed. */
export class AuthenticatingListener implements Disposable {
  readonly #options: AuthenticatingListenerOptions;
  /** Whom it lets in, and who is in already, with the number of the connection. */
  readonly #admissions = new Map<Admission, Set<string>>();
  // In order of arrival. The oldest has had the most time, so it is the first to go: a rank that has
  // just arrived needs milliseconds, and tries again if it was pushed out all the same.
  readonly #pending = new Set<Deno.Conn>();
  #closed = false;
  #lastError: unknown = null;

  constructor(options: AuthenticatingListenerOptions) {
    this.#options = options;
    this.serve(options);
    this.#accept();
  }

  /**
   * Lets in whoever comes for another purpose too, on the same port.
   *
   * @returns ends that; who is in stays in
   */
  serve(admission: Admission): () => void {
    this.#admissions.set(admission, new Set());
    return () => void this.#admissions.delete(admission);
  }

  /** Number of connections that have not proved themselves yet. */
  get pending(): number {
    return this.#pending.size;
  }

  /** The last error of the listener itself, or null: why ranks may not have come in. */
  get lastError(): unknown {
    return this.#lastError;
  }

  /** Stops listening and drops whoever has not proved itself. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#options.listener.close();
    for (const connection of this.#pending) this.#drop(connection);
  }

  /** As {@linkcode AuthenticatingListener.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  async #accept(): Promise<void> {
    const most = this.#options.mostPending ?? MOST_PENDING;
    while (!this.#closed) {
      let connection: Deno.Conn;
      try {
        connection = await this.#options.listener.accept();
      } catch (error) {
        if (this.#closed) return;
        this.#lastError = error;
        // Out of file descriptors, or reset before it was accepted: neither ends the job.
        await new Promise((resolve) => platform.setTimeout(resolve, 20));
        continue;
      }
      if (this.#pending.size >= most) {
        const [oldest] = this.#pending;
        this.#expire(oldest);
      }
      this.#pending.add(connection);
      this.#prove(connection);
    }
  }

  async #prove(connection: Deno.Conn): Promise<void> {
    const { job, deadlineMs = HANDSHAKE_MS } = this.#options;
    const timer = platform.setTimeout(() => this.#expire(connection), deadlineMs);
    let takeBack = () => {};
    const services = [...this.#admissions].map(([admission, accepted]) => ({
      admission,
      purpose: admission.purpose,
      self: admission.self,
      admit: (rank: number, number: number): Refusal | null => {
        if (!admission.isExpected(rank, number)) return "unexpected rank";
        if (admission.again !== true) {
          const key = `${rank}/${number}`;
          if (accepted.has(key)) return "duplicate rank";
          accepted.add(key);
          takeBack = () => accepted.delete(key);
        }
        // A proven rank is no longer subject to what protects against strangers.
        this.#pending.delete(connection);
        platform.clearTimeout(timer);
        return null;
      },
    }));
    try {
      if (await this.#options.screen?.(connection) === false) {
        this.#pending.delete(connection);
        return;
      }
      const { rank, service, listener, number } = await respond(connection, job, services);
      if (this.#closed) throw new Error("closed");
      setNoDelay(connection);
      service.admission.onAccepted(rank, connection, listener, number);
    } catch {
      takeBack();
      this.#drop(connection);
    } finally {
      platform.clearTimeout(timer);
    }
  }

  #expire(connection: Deno.Conn): void {
    this.#drop(connection);
    this.#options.onExpired?.(connection);
  }

  #drop(connection: Deno.Conn): void {
    this.#pending.delete(connection);
    closeConnection(connection);
  }
}

/** Small frames must not wait for an acknowledgement (Nagle, RFC 896). */
export function setNoDelay(connection: Deno.Conn): void {
  if ("setNoDelay" in connection) (connection as Deno.TcpConn).setNoDelay(true);
}
