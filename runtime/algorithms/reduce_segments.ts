/**
 * The reduction of large buffers that allreduce, reduce, reduce-scatter, scan and exscan share.
 *
 * @module
 */

import { type Datatype, elementsOf, type TypedArray } from "../base/datatypes.ts";
import type { CollectiveCall } from "../engine/call.ts";
import { SEGMENT_BYTES, WINDOW_SEGMENTS } from "../engine/tuning.ts";
import { align, type Workspace } from "../reduction/workspace.ts";
import { EMPTY, others } from "./blocks.ts";
import { type Range, segments } from "./partition.ts";

/** What is to be reduced, and what becomes of it. */
export interface SegmentReduction {
  readonly type: Datatype;
  /** Elements that must stay together. */
  readonly width: number;
  /** This rank's contribution. */
  readonly input: Uint8Array;
  /** The elements that each rank reduces. */
  readonly chunks: readonly Range[];
  /** Longest segment in bytes. */
  readonly segmentBytes?: number;
  /** Whether all have agreed already, and what comes early may be kept aside. @default {false} */
  readonly isAgreed?: boolean;
  /**
   * Reduces one segment of this rank's chunk.
   *
   * @param inputs the segment as every rank contributed it, in the order of ranks
   * @param segment its elements
   * @param workspace where the others' inputs lie
   * @returns for each rank what is sent to it, or null; the entry of this rank is not looked at. It
   *   may lie in that rank's own input, which comes in again only when the result has arrived
   */
  reduce(inputs: TypedArray[], segment: Range, workspace: Workspace): (Uint8Array | null)[];
  /** Where this rank wants the result of a segment that `owner` reduces, or null. */
  resultOf(owner: number, segment: Range): Uint8Array | null;
}

/** The numbers of the frames of segment s, on the way to its owner and back. */
const inputOf = (s: number) => 2 * s, resultOf = (s: number) => 2 * s + 1;

/**
 * Rank p owns the p-th chunk: it gets it from all others, reduces it and sends out results. Two
 * dependent steps; every rank sends n(N−1)/N bytes of input, and results as the caller decides. (The
 * reduce-scatter is Rabenseifner's first half with direct exchange instead of halving, so that every
 * element is reduced in one place, in the order of ranks.)
 *
 * Both steps go on at once, segment by segment. An owner has room for a window of a few segments from
 * everyone; the result of one, or an empty frame, is the acknowledgement that lets another be sent.
 */
export async function reduceSegments(
  call: CollectiveCall,
  reduction: SegmentReduction,
): Promise<void> {
  const { rank, size, workspaces } = call.group;
  const { type, width, input, segmentBytes = SEGMENT_BYTES } = reduction;
  const length = Math.max(1, Math.floor(segmentBytes / type.bytes / width)) * width;
  const cuts = reduction.chunks.map((chunk) => segments(chunk, length));
  const bytesOf = ({ start, end }: Range) => input.subarray(start * type.bytes, end * type.bytes);
  const peers = others(call.group), own = cuts[rank];

  const room = align(own.length === 0 ? 0 : (own[0].end - own[0].start) * type.bytes);
  const window = Math.min(WINDOW_SEGMENTS, own.length);
  const workspace = workspaces.borrow(window * peers.length * room, size, room);
  const arriving: Promise<Uint8Array>[][] = [];
  const postReceives = (s: number) => {
    if (s >= own.length) return;
    const bytes = (own[s].end - own[s].start) * type.bytes;
    arriving[s] = peers.map((from, k) => {
      const at = ((s % window) * peers.length + k) * room;
      return call.receive(from, inputOf(s), workspace.bytes.subarray(at, at + bytes));
    });
  };
  for (let s = 0; s < window; s++) postReceives(s);
  const results = cuts.map((list, owner) =>
    owner === rank ? [] : list.map((segment, s) => {
      const into = reduction.resultOf(owner, segment);
      if (into !== null) return call.receive(owner, resultOf(s), into);
      return s + WINDOW_SEGMENTS < list.length ? call.receive(owner, resultOf(s), EMPTY) : null;
    })
  );
  if (!reduction.isAgreed) await call.agree();

  const contribute = async (owner: number) => {
    for (const [s, segment] of cuts[owner].entries()) {
      if (s >= WINDOW_SEGMENTS) await results[owner][s - WINDOW_SEGMENTS];
      await call.send(owner, inputOf(s), bytesOf(segment));
    }
  };
  const reduceOwn = async () => {
    const sending: Promise<void>[] = [];
    for (const [s, segment] of own.entries()) {
      const arrived = await Promise.all(arriving[s]);
      const inputs: TypedArray[] = new Array(size);
      peers.forEach((from, k) => inputs[from] = elementsOf(type, arrived[k]));
      inputs[rank] = elementsOf(type, bytesOf(segment));
      const out = reduction.reduce(inputs, segment, workspace);
      postReceives(s + window);
      for (const to of peers) {
        const payload = out[to] ?? (s + WINDOW_SEGMENTS < own.length ? EMPTY : null);
        if (payload !== null) sending.push(call.send(to, resultOf(s), payload));
      }
    }
    await Promise.all(sending);
  };
  await Promise.all([...peers.map(contribute), ...results.flat(), reduceOwn()]);
  workspaces.giveBack(workspace);
}
