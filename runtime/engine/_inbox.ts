/**
 * What one collective call waits for on one rank, and what has arrived for it.
 *
 * @module
 */

import { type Destination, keptAside } from "./destination.ts";
import type { Group } from "./group.ts";

/** The call that an inbox belongs to. */
export interface InboxOwner {
  readonly group: Group;
  /** The call in words, for errors. */
  readonly operation: string;
}

/** Where a payload is read to: a place of its length, or what finds one when the length is known. */
export type Room = Uint8Array | ((length: number) => Uint8Array);

interface Waiter {
  readonly number: number;
  readonly from: number;
  readonly into: Room | undefined;
  /** Whether a payload of another length is welcome too, apart from `into`. */
  readonly orOther: boolean;
  /** Tells the transport that the member is waited for. */
  readonly wait: Disposable;
  resolve(payload: Uint8Array): void;
  reject(error: unknown): void;
}

/**
 * Payloads of one call, each known by the kind of its frame, a number, and the member it comes
 * from.
 */
export class Inbox {
  readonly #owner: InboxOwner;
  readonly #waiters = new Map<number, Waiter>();
  readonly #arrived = new Map<number, Uint8Array>();
  #error: unknown = null;

  constructor(owner: InboxOwner) {
    this.#owner = owner;
  }

  /** What the call has failed with, or null. */
  get error(): unknown {
    return this.#error;
  }

  /** Throws what the call has failed with, if it has. */
  check(): void {
    if (this.#error !== null) throw this.#error;
  }

  /** The name of a payload. */
  key(kind: number, number: number, from: number): number {
    return (number * this.#owner.group.size + from) * 16 + kind;
  }

  /** Whether a payload has come that nobody has taken. */
  has(key: number): boolean {
    return this.#arrived.has(key);
  }

  /**
   * Waits for a payload, which is read into `into` if that is given.
   *
   * @param orOther whether it may have another length; then it is kept aside
   */
  receive(
    kind: number,
    number: number,
    from: number,
    into?: Room,
    orOther = false,
  ): Promise<Uint8Array> {
    const key = this.key(kind, number, from);
    const early = this.#arrived.get(key);
    if (early !== undefined) {
      this.#arrived.delete(key);
      if (!(into instanceof Uint8Array) || orOther && early.length !== into.length) {
        return Promise.resolve(early);
      }
      if (early.length !== into.length) {
        return refused(this.#wrongLength(number, from, early.length, into.length));
      }
      into.set(early);
      return Promise.resolve(into);
    }
    if (this.#error !== null) return refused(this.#error);
    const { group } = this.#owner;
    if (group.lossOf(from) !== undefined) {
      return refused(group.lostError(from, this.#owner.operation));
    }
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
    promise.catch(ignore);
    const wait = group.expecting(from);
    this.#waiters.set(key, { number, from, into, orOther, wait, resolve, reject });
    return promise;
  }

  /** Takes in a payload of `length` bytes. */
  accept(kind: number, number: number, from: number, length: number): Destination {
    const key = this.key(kind, number, from);
    const waiter = this.#waiters.get(key), room = waiter?.into;
    const into = typeof room === "function" ? room(length) : room;
    if (into === undefined || waiter!.orOther && into.length !== length) {
      return keptAside(length, (payload) => this.#arrive(key, payload));
    }
    if (into.length !== length) throw this.#wrongLength(number, from, length, into.length);
    return { into, done: () => this.#arrive(key, into) };
  }

  #wrongLength(number: number, from: number, length: number, expected: number): Error {
    const { group, operation } = this.#owner;
    return new Error(
      `${operation}: segment ${number} from ${group.name(from)} has ${length} bytes, ` +
        `expected ${expected}`,
    );
  }

  #arrive(key: number, payload: Uint8Array): void {
    const waiter = this.#waiters.get(key);
    if (waiter === undefined) {
      this.#arrived.set(key, payload);
      return;
    }
    this.#settle(key, waiter);
    const { into } = waiter;
    if (
      !(into instanceof Uint8Array) || into === payload ||
      waiter.orOther && into.length !== payload.length
    ) {
      return waiter.resolve(payload);
    }
    if (into.length !== payload.length) {
      const { number, from } = waiter;
      return waiter.reject(this.#wrongLength(number, from, payload.length, into.length));
    }
    into.set(payload);
    waiter.resolve(into);
  }

  #settle(key: number, waiter: Waiter): void {
    this.#waiters.delete(key);
    waiter.wait[Symbol.dispose]();
  }

  /** Whether something is still to come from a member. */
  waitsFor(from: number): boolean {
    for (const waiter of this.#waiters.values()) if (waiter.from === from) return true;
    return false;
  }

  /** All that is waited for rejects, and so does all that will be. */
  fail(error: unknown): void {
    if (this.#error !== null) return;
    this.#error = error;
    for (const [key, waiter] of [...this.#waiters]) {
      this.#settle(key, waiter);
      waiter.reject(error);
    }
  }
}

const ignore = () => {};

/** A promise that rejects, and may do so before anybody waits for it. */
export function refused(error: unknown): Promise<never> {
  const promise = Promise.reject(error);
  promise.catch(ignore);
  return promise;
}
