/**
 * The connection between the coordinator and an agent: messages, a sign of life now and then, and how much of a
 * stream may be on its way.
 *
 * @module
 */

import { JsonChannel } from "../rendezvous/json_channel.ts";
import { describeConnectionError } from "../security/endpoint.ts";
import { WINDOW_BYTES } from "./messages.ts";

/** How often there is a sign of life, at least, in seconds. */
const SLOWEST_PULSE = 5;

/** Carries messages one way and takes in checked ones the other way. */
export class AgentChannel<Incoming> {
  readonly #channel: JsonChannel;
  readonly #check: (value: unknown) => Incoming;
  #pulse: ReturnType<typeof setInterval> | undefined;
  #heard = performance.now();
  #silent: string | null = null;
  #closed = false;

  /**
   * @param connection owned by the channel
   * @param most largest incoming message, in bytes
   * @param check throws if a value is no message of the other side
   */
  constructor(connection: Deno.Conn, most: number, check: (value: unknown) => Incoming) {
    this.#channel = new JsonChannel(connection, most);
    this.#check = check;
  }

  /** Takes the other side for gone after so many seconds without a word. */
  watch(timeout: number): void {
    clearInterval(this.#pulse);
    this.#heard = performance.now();
    this.#pulse = setInterval(() => {
      const seconds = (performance.now() - this.#heard) / 1000;
      if (seconds > timeout) {
        this.#silent = `it has given no sign of life for ${Math.round(seconds)} s`;
        return this.close();
      }
      this.send({ type: "alive" });
    }, 1000 * Math.min(SLOWEST_PULSE, timeout / 4));
  }

  /** Sends a message, unless the connection has ended. */
  send(message: unknown): Promise<void> {
    return this.#channel.send(message).catch(() => {});
  }

  /** The next message, or null after the last one. Throws TypeError if it is none. */
  async receive(): Promise<Incoming | null> {
    const value = await this.#channel.receive();
    this.#heard = performance.now();
    return value === null ? null : this.#check(value);
  }

  /**
   * Hands over each message until the last.
   *
   * @returns why there are no more
   */
  async deliver(take: (message: Incoming) => void): Promise<string> {
    try {
      for (;;) {
        const message = await this.receive();
        if (message === null) return this.#silent ?? "its connection has ended";
        take(message);
      }
    } catch (error) {
      if (this.#silent !== null) return this.#silent;
      return `its connection has ended: ${describeConnectionError(error)}`;
    } finally {
      this.close();
    }
  }

  /** Ends the connection, once what was sent before is on its way. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#pulse);
    this.#channel.close();
  }
}

/** A stream's bytes that are on their way to the other side, which says how many it has taken. */
export class SendWindow {
  #sent = 0;
  #isOpen = false;
  /** Called when there may be room. */
  readonly #waiting: (() => void)[] = [];

  /** Waits for room, and counts what is about to be sent. */
  async admit(count: number): Promise<void> {
    while (this.#sent > WINDOW_BYTES && !this.#isOpen) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    this.#sent += count;
  }

  /** So many have been taken. */
  taken(count: number): void {
    this.#sent -= count;
    this.#wake();
  }

  /** Nothing waits for room any more. */
  open(): void {
    this.#isOpen = true;
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}
