/**
 * What waits for messages and what messages wait, on one rank: receives, probes, and messages nobody has
 * asked for, matched by source and tag in the order of their coming (MPI 4.1, section 3.5).
 *
 * @module
 */

import type { Datatype, TypedArray } from "../base/datatypes.ts";
import type { Frame } from "./header.ts";
import { ANY_SOURCE, ANY_TAG, type Status } from "../base/status.ts";

/** A receive that waits for its message. */
export interface Posted {
  readonly source: number;
  readonly tag: number;
  readonly buffer: TypedArray;
  readonly type: Datatype;
  resolve(status: Status): void;
  reject(error: unknown): void;
}

/** A message that nobody has asked for yet. */
export interface Unexpected {
  readonly source: number;
  readonly frame: Frame;
  /** The message, or null if it is only announced. */
  readonly payload: Uint8Array | null;
  /** Whether all of the payload is there. */
  complete: boolean;
  /** The receive that took it while it was still coming in. */
  taken: Posted | null;
}

/** A probe that waits for a message. */
export interface Prober {
  readonly source: number;
  readonly tag: number;
  resolve(status: Status): void;
  reject(error: unknown): void;
}

/** The queues of one communicator on one rank. */
export class MessageQueues {
  /** Receives that wait, in the order of the calls. */
  readonly posted: Posted[] = [];
  /** Probes that wait. */
  readonly probers: Prober[] = [];
  readonly #unexpected: Unexpected[] = [];

  /** Status of the first message that a receive would get, or null. */
  peek(source: number, tag: number): Status | null {
    const found = this.#unexpected.find((u) => matches({ source, tag }, u.source, u.frame.tag));
    return found === undefined ? null : statusOf(found.source, found.frame);
  }

  /** The first message that a receive may have, or null; removes it. */
  takeMessage(wanted: Posted): Unexpected | null {
    const index = this.#unexpected.findIndex((u) => matches(wanted, u.source, u.frame.tag));
    return index < 0 ? null : this.#unexpected.splice(index, 1)[0];
  }

  /** The receive that a message belongs to, or null; removes it. */
  takeReceive(from: number, { tag }: Frame): Posted | null {
    const index = this.posted.findIndex((posted) => matches(posted, from, tag));
    return index < 0 ? null : this.posted.splice(index, 1)[0];
  }

  /** Keeps a message until it is asked for, and tells the probes that wait for it. */
  keep(message: Unexpected): void {
    this.#unexpected.push(message);
    const { source, frame } = message;
    for (let i = this.probers.length - 1; i >= 0; i--) {
      if (!matches(this.probers[i], source, frame.tag)) continue;
      this.probers.splice(i, 1)[0].resolve(statusOf(source, frame));
    }
  }
}

/** What a receive is told of a message. */
export function statusOf(source: number, frame: Frame): Status {
  return { source, tag: frame.tag, count: frame.count };
}

function matches(wanted: { source: number; tag: number }, source: number, tag: number): boolean {
  return (wanted.source === source || wanted.source === ANY_SOURCE) &&
    (wanted.tag === tag || wanted.tag === ANY_TAG);
}
