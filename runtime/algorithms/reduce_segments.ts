/**
 * The reduction of large buffers that allreduce, reduce, reduce-scatter, scan and exscan share.
 *
 * @module
 */

import { type Datatype, elementsOf, type TypedArray } from "../base/datatypes.ts";
import { align, type Workspace } from "../reduction/workspace.ts";
import { EMPTY, others } from "./blocks.ts";
import type { CollectiveCall } from "../engine/call.ts";
import { type Range, segments } from "./partition.ts";
import { SEGMENT_BYTES, SEGMENTS_IN_FLIGHT } from "../engine/tuning.ts";

/** What is to be reduced, and what becomes of it. */
export interface SegmentReduction {
  readonly type: Datatype;
  /** Elements that must stay together. */
  readonly width: number;
  /** This rank's contribution. */
  readonly input: Uint8Array;
  /** The elements that each rank reduces. */
  readonly pieces: readonly Range[];
  /** Longest segment in bytes. */
  readonly segmentBytes?: number;
  /**
   * Reduces one segment of this rank's piece.
   *
   * @param inputs the segment as every rank contributed it, in the order of ranks
   * @param segment its elements
   * @param workspace where the others' inputs lie
   * @returns for each rank what is sent to it, or null; the entry of this rank is not looked at. It
   *   may lie in that rank's own input, which comes in again only when the result has arrived
   */
  reduce(inputs: TypedArray[], segment: Range, workspace: Workspace): (Uint8Array | null)[];
  /** Where this rank wants the result of a segment that `owner` reduces, or null. */
  place(owner: number, segment: Range): Uint8Array | null;
}

/**
 * Rank p owns the p-th piece: it gets it from all others, reduces it and sends out results. Two
 * dependent steps; every rank sends n(N−1)/N bytes of input, and results as the caller decides. (The
 * reduce-scatter is Rabenseifner's first half with direct exchange instead of halving, so that every
 * element is reduced in one place, in the order of ranks.)
 *
 * Both steps go on at once, segment by segment. An owner has room for a few segments from everyone;
 * the result of one, or an empty part, is its leave to send another.
 */
export async function reduceSegments(call: CollectiveCall, job: SegmentReduction): Promise<void> {
  const { rank, size, engine } = call.context;
  const { type, width, input, pieces, segmentBytes = SEGMENT_BYTES } = job;
  const step = Math.max(1, Math.floor(segmentBytes / type.bytes / width)) * width;
  const cuts = pieces.map((piece) => segments(piece, step));
  const cut = ({ start, end }: Range) => input.subarray(start * type.bytes, end * type.bytes);
  const peers = others(call), own = cuts[rank];

  const room = align(own.length === 0 ? 0 : (own[0].end - own[0].start) * type.bytes);
  const lanes = Math.min(SEGMENTS_IN_FLIGHT, own.length);
  const workspace = engine.workspaces.borrow(lanes * peers.length * room, size, room);
  const arriving: Promise<Uint8Array>[][] = [];
  const offer = (s: number) => {
    if (s >= own.length) return;
    const length = (own[s].end - own[s].start) * type.bytes;
    arriving[s] = peers.map((from, k) => {
      const at = ((s % lanes) * peers.length + k) * room;
      return call.receive(from, 2 * s, workspace.bytes.subarray(at, at + length));
    });
  };
  for (let s = 0; s < lanes; s++) offer(s);
  const results = cuts.map((list, owner) =>
    owner === rank ? [] : list.map((segment, s) => {
      const place = job.place(owner, segment);
      if (place !== null) return call.receive(owner, 2 * s + 1, place);
      return s + SEGMENTS_IN_FLIGHT < list.length ? call.receive(owner, 2 * s + 1, EMPTY) : null;
    })
  );
  await call.agree();

  const contribute = async (owner: number) => {
    for (const [s, segment] of cuts[owner].entries()) {
      if (s >= SEGMENTS_IN_FLIGHT) await results[owner][s - SEGMENTS_IN_FLIGHT];
      await call.send(owner, 2 * s, cut(segment));
    }
  };
  const reduceOwn = async () => {
    const sending: Promise<void>[] = [];
    for (const [s, segment] of own.entries()) {
      const arrived = await Promise.all(arriving[s]);
      const inputs: TypedArray[] = new Array(size);
      peers.forEach((from, k) => inputs[from] = elementsOf(type, arrived[k]));
      inputs[rank] = elementsOf(type, cut(segment));
      const out = job.reduce(inputs, segment, workspace);
      offer(s + lanes);
      for (const to of peers) {
        const payload = out[to] ?? (s + SEGMENTS_IN_FLIGHT < own.length ? EMPTY : null);
        if (payload !== null) sending.push(call.send(to, 2 * s + 1, payload));
      }
    }
    await Promise.all(sending);
  };
  await Promise.all([...peers.map(contribute), ...results.flat(), reduceOwn()]);
  engine.workspaces.giveBack(workspace);
}
