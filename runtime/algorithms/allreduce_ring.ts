import { bytesOf, elementsOf, type TypedArray } from "../base/datatypes.ts";
import { copyElements } from "../reduction/reduction.ts";
import type { CollectiveCall } from "../engine/call.ts";
import { segments } from "./partition.ts";
import type { ReductionJob } from "./reducing.ts";
import { SEGMENT_BYTES, SEGMENTS_IN_FLIGHT } from "../engine/tuning.ts";

/**
 * Allreduce on a ring, for networks where a rank should talk to its neighbours alone: accumulators go
 * 0 → 1 → … → N−1, each rank folding its own input in, and the rounded result goes on from N−1 round
 * to N−2. Segments follow one another, so all links are busy: 2(N−1)+S−1 steps for S segments.
 *
 * The usual ring begins every part at another rank and so sums every part in another order. Beginning
 * all at rank 0 and passing unrounded accumulators keeps the promise of equal bits; for float32 that
 * costs 3n bytes a link instead of 2n(N−1)/N.
 */
export async function ringAllreduce(
  call: CollectiveCall,
  { type, fold, bytes, count }: ReductionJob,
  segmentBytes = SEGMENT_BYTES,
): Promise<void> {
  const { rank, size } = call.context;
  if (size === 1) return await call.agree();
  const previous = (rank - 1 + size) % size, next = (rank + 1) % size, last = size - 1;
  const step = Math.max(1, Math.floor(segmentBytes / type.bytes / fold.width)) * fold.width;
  const cuts = segments({ start: 0, end: count }, step);
  const own = cuts.map(({ start, end }) => bytes.subarray(start * type.bytes, end * type.bytes));
  const length = Math.min(step, count);

  // Accumulators come into one of a few lanes; passing a segment's on frees the lane for another.
  const lanes = Math.min(SEGMENTS_IN_FLIGHT, cuts.length);
  const accumulators = Array.from({ length: lanes }, () => fold.accumulators(length));
  const lane = (s: number) => accumulators[s % lanes].subarray(0, cuts[s].end - cuts[s].start);
  const arriving: Promise<Uint8Array>[] = [];
  const offer = (s: number) => {
    if (rank > 0 && s < cuts.length) arriving[s] = call.receive(previous, 3 * s, bytesOf(lane(s)));
  };
  for (let s = 0; s < lanes; s++) offer(s);
  const leave = rank < last
    ? cuts.map((_, s) => s + lanes < cuts.length ? call.receive(next, 3 * s + 2, NOTHING) : null)
    : [];
  const results = rank < last
    ? own.map((place, s) => call.receive(previous, 3 * s + 1, place))
    : [];
  await call.agree();

  const reduce = async () => {
    for (let s = 0; s < cuts.length; s++) {
      const acc: TypedArray = lane(s), mine = elementsOf(type, own[s]);
      if (rank === 0) copyElements(acc, mine);
      else {
        await arriving[s];
        fold.combine(acc, mine);
      }
      if (rank === last) copyElements(mine, acc);
      else {
        if (s >= lanes) await leave[s - lanes];
        await call.send(next, 3 * s, bytesOf(acc));
      }
      offer(s + lanes);
      if (rank > 0 && s + lanes < cuts.length) await call.send(previous, 3 * s + 2, NOTHING);
      if (rank === last) await call.send(next, 3 * s + 1, own[s]);
    }
  };
  const spread = async () => {
    for (const [s, arrived] of results.entries()) {
      await arrived;
      if (next !== last) await call.send(next, 3 * s + 1, own[s]);
    }
  };
  await Promise.all([reduce(), spread()]);
}

const NOTHING = new Uint8Array(0);
