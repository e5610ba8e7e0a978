/**
 * How much a rank may send to another without asking, so that what waits at the receiver stays bounded.
 *
 * @module
 */

/** Longest message, in bytes, that is sent without asking. */
export const EAGER_BYTES = 65536;
/** Bytes that a sender may have waiting at a receiver. */
export const CREDIT_BYTES = 4 << 20;
/** What a message is taken to cost the receiver beside its bytes. */
const MESSAGE_OVERHEAD = 256;
/** Credit is returned when this much of it has gathered. */
const CREDIT_STEP = CREDIT_BYTES / 4;

/** Credit with every member of a communicator, and what is owed to them. */
export class Credit {
  /** Bytes waiting at each member. */
  readonly #waiting: number[];
  /** Bytes received from each member and not yet given back as credit. */
  readonly #owed: number[];

  constructor(size: number) {
    this.#waiting = new Array(size).fill(0);
    this.#owed = new Array(size).fill(0);
  }

  /** Spends credit on a message to a member; false if it is too long or there is not enough. */
  spend(to: number, length: number): boolean {
    const cost = length + MESSAGE_OVERHEAD;
    if (length > EAGER_BYTES || this.#waiting[to] + cost > CREDIT_BYTES) return false;
    this.#waiting[to] += cost;
    return true;
  }

  /** A member has given credit back. */
  returned(from: number, bytes: number): void {
    this.#waiting[from] -= bytes;
  }

  /** A message of a member has been received. Returns the credit to give back at once, or 0. */
  consume(from: number, length: number): number {
    const owed = this.#owed[from] + length + MESSAGE_OVERHEAD;
    this.#owed[from] = owed < CREDIT_STEP ? owed : 0;
    return owed < CREDIT_STEP ? 0 : owed;
  }
}
