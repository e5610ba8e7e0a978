/**
 * Small messages over a proven connection: a 32-bit length, then JSON. Used by ranks, the rendezvous, gateways
 * and agents.
 *
 * @module
 */

import { closeConnection } from "../base/close_connection.ts";

/** Sends and receives JSON messages. */
export class JsonChannel {
  readonly #connection: Deno.Conn;
  readonly #most: number;
  #sending: Promise<void> | null = null;
  #closed = false;

  /**
   * @param connection owned by the channel
   * @param most largest incoming message, in bytes; a longer one ends the channel before any memory
   *   is taken for it
   */
  constructor(connection: Deno.Conn, most: number) {
    this.#connection = connection;
    this.#most = most;
  }

  /** A waiting `receive()` no longer keeps the process alive. */
  unref(): void {
    this.#connection.unref();
  }

  /**
   * Sends a message. An idle channel hands it to the system before this call returns, so that a rank
   * that is about to end can still say why.
   */
  send(message: unknown): Promise<void> {
    const text = new TextEncoder().encode(JSON.stringify(message));
    const frame = new Uint8Array(4 + text.length);
    new DataView(frame.buffer).setUint32(0, text.length);
    frame.set(text, 4);
    const sent = this.#sending === null
      ? this.#write(frame)
      : this.#sending.then(() => this.#write(frame));
    const settled = sent.then(() => {}, () => {}).then(() => {
      if (this.#sending === settled) this.#sending = null;
    });
    this.#sending = settled;
    return sent;
  }

  async #write(frame: Uint8Array): Promise<void> {
    for (let at = 0; at < frame.length;) {
      at += await this.#connection.write(frame.subarray(at));
    }
  }

  /**
   * The next message, or null after the last one.
   *
   * @throws RangeError if it is longer than allowed; SyntaxError if it is not JSON
   */
  async receive(): Promise<unknown> {
    const head = new Uint8Array(4);
    if (!await this.#fill(head)) return null;
    const length = new DataView(head.buffer).getUint32(0);
    if (length > this.#most) {
      throw new RangeError(
        `a message may be ${this.#most} bytes long, one of ${length} was announced`,
      );
    }
    const text = new Uint8Array(length);
    if (!await this.#fill(text)) return null;
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(text));
  }

  async #fill(into: Uint8Array): Promise<boolean> {
    for (let at = 0; at < into.length;) {
      const n = await this.#connection.read(into.subarray(at));
      if (n === null) return false;
      at += n;
    }
    return true;
  }

  /** Closes the connection. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeConnection(this.#connection);
  }
}
