/**
 * The arguments of messages: what they may be, and how errors speak of them.
 *
 * @module
 */

import { ANY_SOURCE, ANY_TAG, TAG_UB } from "../base/status.ts";
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
