/**
 * The agreements of one communicator on one rank. They outlive the use of the communicator: a rank that
 * has freed it may be the only one left to know what was decided, until all others have freed it as well.
 *
 * @module
 */

import { Agreement, type Merge } from "../../agreement/agreement.ts";
import {
  type AgreementMessage,
  decodeAgreement,
  encodeAgreement,
} from "../../agreement/messages.ts";
import { type Destination, keptAside } from "../destination.ts";
import type { Group } from "../group.ts";
import { type AgreementFrame, encodeAgreementFrame } from "../header.ts";

/** Agreements that one call may take. */
const AGREEMENTS_A_CALL = 2;

/** Agrees with all members that live on what `merge` makes of their inputs. */
export type Agree = (input: Uint8Array, merge: Merge) => Promise<Uint8Array>;

/** The agreements of one communicator, in the order in which its members call for them. */
export class Agreements {
  readonly #group: Group;
  /** By place in the order: those that go on or are to come, and the last that was decided. */
  readonly #agreements = new Map<number, Agreement>();
  /** Tells the transport that a member is waited for, while an agreement goes on. */
  readonly #waits = new Map<number, Disposable>();
  /** Members that agree on nothing more. */
  readonly #left = new Set<number>();
  /** Called once this rank and all others have left. */
  #forget: (() => void) | null = null;
  #oldest = 0;
  #calls = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor(group: Group) {
    this.#group = group;
  }

  /** Whether there has been none. */
  get isEmpty(): boolean {
    return this.#agreements.size === 0;
  }

  /** What waits for other members, in words. */
  pending(): string[] {
    return this.#waits.size === 0 ? [] : ["an agreement"];
  }

  /**
   * Agrees with all members that live: {@linkcode Agreement.run}. Several go on one after the other, in
   * the order of the calls.
   *
   * @param input called when it is this agreement's turn
   */
  run(input: () => Uint8Array, merge: Merge): Promise<Uint8Array> {
    return this.inOrder((agree) => agree(input(), merge));
  }

  /**
   * Makes a call that takes up to two agreements, with nobody else's in between. Its place in the order is
   * taken at once.
   */
  inOrder<T>(call: (agree: Agree) => Promise<T>): Promise<T> {
    let next = AGREEMENTS_A_CALL * this.#calls++;
    const begin = () => call((input, merge) => this.#run(next++, input, merge));
    const done = this.#last.then(begin);
    this.#last = done.catch(() => {});
    return done;
  }

  /**
   * This rank makes no more calls. To be called once.
   *
   * @param forget called when nobody needs to be told any more what was decided
   */
  leave(forget: () => void): void {
    void this.#last.then(() => {
      this.#forget = forget;
      for (const rank of this.#others()) this.#send(this.#oldest, rank, { kind: "farewell" });
      this.#forgetIfLast();
    });
  }

  #forgetIfLast(): void {
    if (!this.#forget || !this.#others().every((rank) => this.#left.has(rank))) return;
    this.#forget();
    this.#forget = null;
  }

  /** The other members that live. */
  #others(): number[] {
    const { size, rank: own } = this.#group;
    return Array.from({ length: size }, (_, rank) => rank)
      .filter((rank) => rank !== own && !this.#isLost(rank));
  }

  async #run(sequence: number, input: Uint8Array, merge: Merge): Promise<Uint8Array> {
    const group = this.#group;
    for (const rank of this.#others()) this.#waits.set(rank, group.expecting(rank));
    try {
      return await this.#of(sequence).run(input, merge);
    } finally {
      for (const rank of [...this.#waits.keys()]) this.#endWait(rank);
      // That this one is decided says that all have contributed to it, and know the one before.
      for (const old of this.#agreements.keys()) if (old < sequence) this.#agreements.delete(old);
      this.#oldest = sequence;
    }
  }

  #isLost(rank: number): boolean {
    return rank !== this.#group.rank && this.#group.lossOf(rank) !== undefined;
  }

  #of(sequence: number): Agreement {
    let agreement = this.#agreements.get(sequence);
    if (agreement === undefined) {
      agreement = new Agreement({
        rank: this.#group.rank,
        size: this.#group.size,
        isLost: (rank) => this.#isLost(rank),
        send: (to, message) => this.#send(sequence, to, message),
      });
      this.#agreements.set(sequence, agreement);
    }
    return agreement;
  }

  #send(sequence: number, to: number, message: AgreementMessage): void {
    const { step, payload } = encodeAgreement(message), { id } = this.#group;
    const header = encodeAgreementFrame({ context: id, call: sequence, step });
    this.#group.send(to, header, payload).catch(() => {});
  }

  /** Takes in a frame of `length` bytes. */
  accept(from: number, { call, step }: AgreementFrame, length: number): Destination {
    return keptAside(length, (payload) => {
      if (call < this.#oldest || this.#isLost(from)) return;
      const message = decodeAgreement({ step, payload });
      if (message.kind !== "farewell") return this.#of(call).accept(from, message);
      this.#left.add(from);
      this.#forgetIfLast();
    });
  }

  /** A member is gone. */
  peerLost(rank: number): void {
    this.#endWait(rank);
    for (const agreement of [...this.#agreements.values()]) agreement.peerLost();
    this.#forgetIfLast();
  }

  #endWait(rank: number): void {
    this.#waits.get(rank)?.[Symbol.dispose]();
    this.#waits.delete(rank);
  }
}
