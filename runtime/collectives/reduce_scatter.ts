import type { Context } from "../engine/context.ts";
import { bytesOf, describeCount, elementsOf, type TypedArray } from "../base/datatypes.ts";
import type { Op } from "../base/ops.ts";
import { decodeCounts, encodeCounts, sameType } from "../algorithms/blocks.ts";
import type { CollectiveCall } from "../engine/call.ts";
import { pack, unpack } from "../engine/pack.ts";
import type { Range } from "../algorithms/partition.ts";
import { reduceSegments } from "../algorithms/reduce_segments.ts";
import { foldBytes, type ReductionJob, reductionJob } from "../algorithms/reducing.ts";
import { isSmall } from "../engine/tuning.ts";

/**
 * Reduces the members' `send` element by element and gives every member its block of the result.
 * Blocks may differ in length: the lengths of all `recv` together make that of `send`.
 */
export async function reduceScatter(
  context: Context,
  send: TypedArray,
  recv: TypedArray,
  op: Op = "sum",
): Promise<void> {
  sameType("reduceScatter", send, recv);
  const job = reductionJob("reduceScatter", send, op);
  if (recv.length % job.fold.width !== 0) {
    throw new RangeError(
      `cannot reduceScatter: the op takes groups of ${job.fold.width} elements, ` +
        `recv holds ${recv.length}`,
    );
  }
  await context.collective({ name: "reduceScatter", ...job.signature }, async (call) => {
    const small = isSmall(job.bytes);
    const meta = encodeCounts([recv.length]);
    const answer = await call.exchange(small ? pack([meta, job.bytes]) : pack([meta]), (parts) => {
      const unpacked = parts.map((part) => unpack(part, small ? 2 : 1));
      const counts = unpacked.map(([count]) => decodeCounts(count)[0]);
      const ranges = rangesOf(counts);
      if (ranges[ranges.length - 1].end !== send.length) {
        context.mismatch(
          `cannot reduceScatter: ${context.name(0)} passed a send of ` +
            `${describeCount(send.length, job.type)}, and ranks 0 to ${context.size - 1} passed ` +
            `recvs of ${counts.join(", ")}`,
        );
        return parts;
      }
      if (!small) return encodeCounts(counts);
      const result = foldBytes(job, unpacked.map(([, input]) => input));
      return ranges.map(({ start, end }) =>
        result.subarray(start * job.type.bytes, end * job.type.bytes)
      );
    });
    if (small) bytesOf(recv).set(answer);
    else await direct(call, job, recv, rangesOf(decodeCounts(answer)));
  });
}

/** Every member reduces the block it is to have: 1 step, n(N−1)/N bytes a rank. */
async function direct(
  call: CollectiveCall,
  { type, fold, bytes }: ReductionJob,
  recv: TypedArray,
  pieces: Range[],
): Promise<void> {
  const { rank, size } = call.context;
  const out = bytesOf(recv), { start: first } = pieces[rank];
  await reduceSegments(call, {
    type,
    width: fold.width,
    input: bytes,
    pieces,
    reduce(inputs, { start, end }, workspace) {
      const place = out.subarray((start - first) * type.bytes, (end - first) * type.bytes);
      workspace.fold(fold, inputs, elementsOf(type, place));
      return new Array(size).fill(null);
    },
    place: () => null,
  });
}

function rangesOf(counts: readonly number[]): Range[] {
  let end = 0;
  return counts.map((count) => ({ start: end, end: end += count }));
}
