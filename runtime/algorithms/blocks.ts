/**
 * The blocks that gather, scatter, allgather and alltoall move: where they lie in a buffer, and how
 * large ones travel.
 *
 * @module
 */

import {
  bytesOf,
  type Datatype,
  datatypeOf,
  overlap,
  sameBytes,
  type TypedArray,
} from "../base/datatypes.ts";
import type { CollectiveCall } from "../engine/call.ts";
import type { Group } from "../engine/group.ts";
import { SEGMENT_BYTES } from "../engine/tuning.ts";

/** No bytes. */
export const EMPTY = new Uint8Array(0);

/** Lengths of the blocks of each rank, in elements, and where each starts in the buffer. */
export interface Layout {
  readonly counts: readonly number[];
  /** Without it, blocks follow one another. */
  readonly displacements?: readonly number[];
}

/** The same length for every rank. */
export function uniform(count: number, size: number): Layout {
  return { counts: new Array(size).fill(count) };
}

/**
 * The bytes of each rank's block.
 *
 * @param what names the operation and the buffer in errors, such as "cannot gather: recv"
 * @throws RangeError if the layout does not have one block a rank, or a block lies outside the buffer
 */
export function blocksOf(
  what: string,
  buffer: TypedArray,
  layout: Layout,
  size: number,
): Uint8Array[] {
  const { counts, displacements } = layout;
  for (const [name, list] of Object.entries({ counts, displacements })) {
    if (list === undefined) continue;
    if (list.length !== size || list.some((n) => !Number.isInteger(n) || n < 0)) {
      throw new RangeError(
        `${what} needs ${size} ${name} that are non-negative integers, found [${list.join(", ")}]`,
      );
    }
  }
  const bytes = bytesOf(buffer), unit = buffer.BYTES_PER_ELEMENT;
  let next = 0;
  return counts.map((count, rank) => {
    const start = displacements?.[rank] ?? next;
    next = start + count;
    if (next > buffer.length) {
      throw new RangeError(
        `${what} must hold ${next} elements for the block of rank ${rank}, found ${buffer.length}`,
      );
    }
    return bytes.subarray(start * unit, next * unit);
  });
}

/**
 * As {@linkcode blocksOf} where blocks are received: they must not overlap each other.
 *
 * @throws RangeError as well if two blocks do
 */
export function blocksToFill(
  what: string,
  buffer: TypedArray,
  layout: Layout,
  size: number,
): Uint8Array[] {
  const blocks = blocksOf(what, buffer, layout, size);
  if (layout.displacements === undefined) return blocks;
  const ranks = blocks.map((_, rank) => rank).filter((rank) => blocks[rank].length > 0)
    .sort((a, b) => blocks[a].byteOffset - blocks[b].byteOffset);
  for (let i = 1; i < ranks.length; i++) {
    const [a, b] = [ranks[i - 1], ranks[i]];
    if (!overlap(blocks[a], blocks[b])) continue;
    throw new RangeError(
      `${what} must have a place for every block, those of ranks ${a} and ${b} overlap`,
    );
  }
  return blocks;
}

/**
 * Blocks that can be sent while others come in: copies of those that would change before they have
 * gone out.
 *
 * @param stays the block that this rank sends to itself, and where it comes to lie: if that is where it
 *   lies, it does not change
 */
export function apart(
  sendBlocks: readonly Uint8Array[],
  recvBlocks: readonly Uint8Array[],
  stays: readonly [from: Uint8Array, to: Uint8Array],
): readonly Uint8Array[] {
  if (sendBlocks[0].buffer !== recvBlocks[0].buffer) return sendBlocks;
  const inPlace = sameBytes(...stays), [from, to] = stays;
  return sendBlocks.map((block) =>
    recvBlocks.some((into) => overlap(block, into) && !(inPlace && block === from && into === to))
      ? block.slice()
      : block
  );
}

/** Posts the receives of a block's segments; best called before {@linkcode CollectiveCall.agree}. */
export function receiveBlock(
  call: CollectiveCall,
  from: number,
  into: Uint8Array,
): Promise<unknown> {
  const arriving = [];
  for (let start = 0, segment = 0; start < into.length; start += SEGMENT_BYTES, segment++) {
    arriving.push(call.receive(from, segment, into.subarray(start, start + SEGMENT_BYTES)));
  }
  const block = Promise.all(arriving);
  block.catch(() => {}); // whoever posted it may already have failed elsewhere
  return block;
}

/** Sends a block, segment by segment. */
export async function sendBlock(
  call: CollectiveCall,
  to: number,
  block: Uint8Array,
): Promise<void> {
  for (let start = 0, segment = 0; start < block.length; start += SEGMENT_BYTES, segment++) {
    await call.send(to, segment, block.subarray(start, start + SEGMENT_BYTES));
  }
}

/** The other ranks, beginning behind this one, so that not all turn to the same rank at once. */
export function others({ rank, size }: Group): number[] {
  return Array.from({ length: size - 1 }, (_, k) => (rank + 1 + k) % size);
}

/** Counts as bytes for a tree exchange. */
export function encodeCounts(counts: readonly number[]): Uint8Array {
  return new Uint8Array(new Float64Array(counts).buffer);
}

/** Counts from the bytes of a tree exchange. */
export function decodeCounts(bytes: Uint8Array): number[] {
  return [...new Float64Array(bytes.slice().buffer)];
}

/** The element type of both buffers of `cannot <name>`. @throws TypeError if they differ */
export function sameType(name: string, send: TypedArray, recv: TypedArray): Datatype {
  const type = datatypeOf(send, "send"), other = datatypeOf(recv, "recv");
  if (type === other) return type;
  throw new TypeError(
    `cannot ${name}: recv must hold ${type.name} elements as send does, found ${other.name}`,
  );
}
