/**
 * The arguments of messages: what they may be, what they stand for, and how errors speak of them.
 *
 * @module
 */

import { ANY_SOURCE, ANY_TAG, PROC_NULL, TAG_UB } from "../base/status.ts";
import { LARGEST_PAYLOAD } from "../transport/transport.ts";
import type { Group } from "./group.ts";

/** What a message is received or looked for with. */
export interface MessagePattern {
  /** A rank, or {@linkcode ANY_SOURCE}. */
  readonly source: number;
  /** A tag, or {@linkcode ANY_TAG}. */
  readonly tag: number;
}

/** A send in words. */
export function sending(group: Group, to: number, tag: number): string {
  return `send to ${group.name(to)} with tag ${tag}`;
}

/** A receive or a probe in words. */
export function receiving(
  operation: "recv" | "probe" | "iprobe",
  group: Group,
  { source, tag }: MessagePattern,
): string {
  return `${operation} from ${source === ANY_SOURCE ? "any rank" : group.name(source)} with ` +
    (tag === ANY_TAG ? "any tag" : `tag ${tag}`);
}

/** @throws RangeError unless 0 ≤ rank < size */
export function checkRank(rank: number, size: number, what: string): void {
  if (Number.isInteger(rank) && rank >= 0 && rank < size) return;
  throw new RangeError(`${what} must be a rank from 0 to ${size - 1}, found ${rank}`);
}

/** @throws RangeError unless it can be the tag of a message */
export function checkTag(tag: number): void {
  if (Number.isInteger(tag) && tag >= 0 && tag <= TAG_UB) return;
  throw new RangeError(`tag must be an integer from 0 to ${TAG_UB}, found ${tag}`);
}

/** @throws RangeError if a message of so many bytes is more than a frame holds */
export function checkLength(bytes: number): void {
  if (bytes <= LARGEST_PAYLOAD) return;
  throw new RangeError(
    `cannot send ${bytes} bytes: a message has ${LARGEST_PAYLOAD} at most; send it in parts`,
  );
}

/**
 * Checks what a message is received or looked for with.
 *
 * @returns false if there can be none, since the source is nobody
 * @throws RangeError if it is no rank or no tag
 */
export function mayCome({ size }: Group, { source, tag }: MessagePattern): boolean {
  if (tag !== ANY_TAG) checkTag(tag);
  if (source === PROC_NULL) return false;
  if (source !== ANY_SOURCE) checkRank(source, size, "source");
  return true;
}

/** Tells the transport that a source is waited for, until what it returns is disposed of, once. */
export function expectSource(group: Group, source: number): Disposable {
  const { rank, size } = group;
  if (source !== ANY_SOURCE && source !== rank) return group.expecting(source);
  const waits = new DisposableStack();
  for (let member = 0; source === ANY_SOURCE && member < size; member++) {
    if (member !== rank) waits.use(group.expecting(member));
  }
  return waits;
}

/** The lost member without which nothing can come from a source, or null. */
export function unreachable(group: Group, source: number): number | null {
  if (source !== ANY_SOURCE) {
    return source !== group.rank && group.lossOf(source) !== undefined ? source : null;
  }
  const lost = [];
  for (let rank = 0; rank < group.size; rank++) {
    const loss = rank === group.rank ? undefined : group.lossOf(rank);
    if (loss !== undefined && !loss.orderly && !group.acknowledged.includes(rank)) return rank;
    if (loss !== undefined) lost.push(rank);
  }
  return lost.length > 0 && lost.length === group.size - 1 ? lost[0] : null;
}
