import { bytesOf, elementsOf, type TypedArray } from "../base/datatypes.ts";
import type { CollectiveCall } from "../engine/call.ts";
import { SEGMENT_BYTES, WINDOW_SEGMENTS } from "../engine/tuning.ts";
import { copyElements } from "../reduction/reduction.ts";
import { EMPTY } from "./blocks.ts";
import { segments } from "./partition.ts";
import type { ReductionArguments } from "./reduction_arguments.ts";

/** The numbers of the frames of segment s. */
const accumulatorOf = (s: number) => 3 * s, resultOf = (s: number) => 3 * s + 1;
const ackOf = (s: number) => 3 * s + 2;

/**
 * Allreduce on a ring, for networks where a rank should talk to the ranks beside it alone: accumulators
 * go 0 → 1 → … → N−1, each rank folding its own input in, and the rounded result goes on from N−1 round
 * to N−2. Segments follow one another, so all links are busy: 2(N−1)+S−1 steps for S segments.
 *
 * The usual ring begins every chunk at another rank and so sums every chunk in another order. Beginning
 * all at rank 0 and passing unrounded accumulators keeps the promise of equal bits; for float32 that
 * costs 3n bytes a link instead of 2n(N−1)/N.
 */
export async function ringAllreduce(
  call: CollectiveCall,
  { type, fold, bytes, count }: ReductionArguments,
  segmentBytes = SEGMENT_BYTES,
): Promise<void> {
  const { rank, size } = call.group;
  if (size === 1) return await call.agree();
  const previous = (rank - 1 + size) % size, next = (rank + 1) % size, last = size - 1;
  const most = Math.max(1, Math.floor(segmentBytes / type.bytes / fold.width)) * fold.width;
  const cuts = segments({ start: 0, end: count }, most);
  const own = cuts.map(({ start, end }) => bytes.subarray(start * type.bytes, end * type.bytes));
  const length = Math.min(most, count);

  // A window of a few accumulators; passing a segment's on makes room for another, and is acknowledged.
  const window = Math.min(WINDOW_SEGMENTS, cuts.length);
  const accumulators = Array.from({ length: window }, () => fold.accumulators(length));
  const accumulator = (s: number) =>
    accumulators[s % window].subarray(0, cuts[s].end - cuts[s].start);
  const arriving: Promise<Uint8Array>[] = [];
  const postReceive = (s: number) => {
    if (rank === 0 || s >= cuts.length) return;
    arriving[s] = call.receive(previous, accumulatorOf(s), bytesOf(accumulator(s)));
  };
  for (let s = 0; s < window; s++) postReceive(s);
  const acks = rank < last
    ? cuts.map((_, s) => s + window < cuts.length ? call.receive(next, ackOf(s), EMPTY) : null)
    : [];
  const results = rank < last
    ? own.map((segment, s) => call.receive(previous, resultOf(s), segment))
    : [];
  await call.agree();

  const reduce = async () => {
    for (let s = 0; s < cuts.length; s++) {
      const acc: TypedArray = accumulator(s), mine = elementsOf(type, own[s]);
      if (rank === 0) copyElements(acc, mine);
      else {
        await arriving[s];
        fold.combine(acc, mine);
      }
      if (rank === last) copyElements(mine, acc);
      else {
        if (s >= window) await acks[s - window];
        await call.send(next, accumulatorOf(s), bytesOf(acc));
      }
      postReceive(s + window);
      if (rank > 0 && s + window < cuts.length) await call.send(previous, ackOf(s), EMPTY);
      if (rank === last) await call.send(next, resultOf(s), own[s]);
    }
  };
  const spread = async () => {
    for (const [s, arrived] of results.entries()) {
      await arrived;
      if (next !== last) await call.send(next, resultOf(s), own[s]);
    }
  };
  await Promise.all([reduce(), spread()]);
}
