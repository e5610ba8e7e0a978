/**
 * What waits for messages and what messages wait, on one rank: receives, probes, and messages
 * nobody has asked for, matched by source and tag in the order of their coming (MPI 4.1, section
 * 3.5).
 *
 * @module
 */

import {
  type Datatype,
  datatypeByCode,
  describeCount,
  type TypedArray,
} from "../base/datatypes.ts";
import { MismatchError, TruncationError } from "../base/errors.ts";
import { ANY_SOURCE, ANY_TAG, type Status } from "../base/status.ts";
import type { MessagePattern } from "./arguments.ts";
import type { EnvelopeFrame } from "./header.ts";

/** A probe that waits for a message. */
export interface PostedProbe extends MessagePattern {
  readonly operation: "probe";
  resolve(status: Status): void;
  reject(error: unknown): void;
}

/** A receive that waits for its message. */
export interface PostedReceive extends MessagePattern {
  readonly operation: "recv";
  readonly buffer: TypedArray;
  readonly type: Datatype;
  resolve(status: Status): void;
  reject(error: unknown): void;
}

/** A message that nobody has asked for yet. */
export interface UnexpectedMessage {
  readonly source: number;
  readonly envelope: EnvelopeFrame;
  /** The message, or null if it is only announced. */
  readonly payload: Uint8Array | null;
  /** Whether all of the payload is there. */
  complete: boolean;
  /** The receive that took it while it was still coming in. */
  takenBy: PostedReceive | null;
  /** That it was still coming in when its sender was lost: it counts as come once it is all there. */
  isDoubtful?: true;
}

/** The queues of one communicator on one rank. */
export class MessageQueues {
  /** Receives that wait, in the order of the calls. */
  readonly receives: PostedReceive[] = [];
  /** Probes that wait. */
  readonly probes: PostedProbe[] = [];
  #unexpected: UnexpectedMessage[] = [];

  /** Status of the first message that a receive would get, or null. */
  peek(pattern: MessagePattern): Status | null {
    const found = this.#unexpected.find((u) => matches(pattern, u.source, u.envelope.tag));
    return found === undefined ? null : statusOf(found.source, found.envelope);
  }

  /** The first message that a receive may have, or null; removes it. */
  takeMessage(pattern: MessagePattern): UnexpectedMessage | null {
    const index = this.#unexpected.findIndex((u) => matches(pattern, u.source, u.envelope.tag));
    return index < 0 ? null : this.#unexpected.splice(index, 1)[0];
  }

  /** The receive that a message belongs to, or null; removes it. */
  takeReceive(from: number, { tag }: EnvelopeFrame): PostedReceive | null {
    const index = this.receives.findIndex((receive) => matches(receive, from, tag));
    return index < 0 ? null : this.receives.splice(index, 1)[0];
  }

  /** Forgets what a member has announced or only begun to send: it may send no more. */
  forgetUnsent(by: number): void {
    this.#unexpected = this.#unexpected.filter((message) => {
      if (message.source !== by || message.payload !== null && message.complete) return true;
      message.isDoubtful = true;
      return false;
    });
  }

  /** Keeps a message until it is asked for, and tells the probes that wait for it. */
  keep(message: UnexpectedMessage): void {
    this.#unexpected.push(message);
    const { source, envelope } = message;
    for (let i = this.probes.length - 1; i >= 0; i--) {
      if (!matches(this.probes[i], source, envelope.tag)) continue;
      this.probes.splice(i, 1)[0].resolve(statusOf(source, envelope));
    }
  }
}

/** What a receive is told of a message. */
export function statusOf(source: number, { tag, count }: EnvelopeFrame): Status {
  return { source, tag, count };
}

/** Why a message from `sender` cannot go into a receive's buffer, or null. */
export function refusalOf(
  { buffer, type }: PostedReceive,
  sender: string,
  envelope: EnvelopeFrame,
): Error | null {
  if (envelope.type !== type.code) {
    const sent = datatypeByCode(envelope.type)?.name ?? `type ${envelope.type}`;
    return new MismatchError(
      `cannot receive: ${sender} sent ${sent} elements, the buffer holds ${type.name} elements`,
    );
  }
  if (envelope.count <= buffer.length) return null;
  const sent = describeCount(envelope.count, type);
  return new TruncationError(
    `cannot receive: ${sender} sent ${sent} with tag ${envelope.tag}, ` +
      `the buffer has room for ${buffer.length}`,
  );
}

function matches(pattern: MessagePattern, source: number, tag: number): boolean {
  return (pattern.source === source || pattern.source === ANY_SOURCE) &&
    (pattern.tag === tag || pattern.tag === ANY_TAG);
}
