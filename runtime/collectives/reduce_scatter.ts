import type { Context } from "../engine/context.ts";
import {
  bytesOf,
  describeCount,
  elementsOf,
  overlap,
  sameBytes,
  type TypedArray,
} from "../base/datatypes.ts";
import type { Op } from "../base/ops.ts";
import { decodeCounts, encodeCounts, sameType } from "../algorithms/blocks.ts";
import type { CollectiveCall } from "../engine/call.ts";
import { pack, unpack } from "../base/pack.ts";
import type { Range } from "../algorithms/partition.ts";
import { reduceSegments } from "../algorithms/reduce_segments.ts";
import {
  checkReduction,
  foldBytes,
  type ReductionArguments,
} from "../algorithms/reduction_arguments.ts";
import { twoLevelReduction } from "../algorithms/two_level.ts";
import { hasTwoLevels } from "../base/hosts.ts";
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
  const reduction = checkReduction("reduceScatter", send, op);
  if (recv.length % reduction.fold.width !== 0) {
    throw new RangeError(
      `cannot reduceScatter: the op takes groups of ${reduction.fold.width} elements, ` +
        `recv holds ${recv.length}`,
    );
  }
  await context.collective({ name: "reduceScatter", ...reduction.signature }, async (call) => {
    const small = isSmall(reduction.bytes);
    const meta = encodeCounts([recv.length]);
    const answer = await call.exchange(
      small ? pack([meta, reduction.bytes]) : pack([meta]),
      (contributions) => {
        const unpacked = contributions.map((one) => unpack(one, small ? 2 : 1));
        const counts = unpacked.map(([count]) => decodeCounts(count)[0]);
        const ranges = rangesOf(counts);
        if (ranges[ranges.length - 1].end !== send.length) {
          context.mismatch(
            `cannot reduceScatter: ${context.name(0)} passed a send of ` +
              `${describeCount(send.length, reduction.type)}, and ranks 0 to ${
                context.size - 1
              } passed ` +
              `recvs of ${counts.join(", ")}`,
          );
          return contributions;
        }
        if (!small) return encodeCounts(counts);
        const result = foldBytes(reduction, unpacked.map(([, input]) => input));
        return ranges.map(({ start, end }) =>
          result.subarray(start * reduction.type.bytes, end * reduction.type.bytes)
        );
      },
    );
    if (small) bytesOf(recv).set(answer);
    else await large(call, reduction, recv, rangesOf(decodeCounts(answer)));
  });
}

/**
 * Every member reduces the block it is to have. Direct exchange: 1 step, n(N−1)/N bytes a rank; two
 * levels: 2 steps.
 */
async function large(
  call: CollectiveCall,
  reduction: ReductionArguments,
  recv: TypedArray,
  chunks: Range[],
): Promise<void> {
  const { rank, size, hosts } = call.group, { type, fold, bytes } = reduction;
  const { start: first, end } = chunks[rank], target = bytesOf(recv);
  const own = bytes.subarray(first * type.bytes, end * type.bytes);
  // What a segment's result would overwrite may still have to go out.
  const mayFill = !overlap(bytes, target) || sameBytes(own, target);
  const out = mayFill ? target : new Uint8Array(target.length);
  const into = ({ start, end }: Range) =>
    out.subarray((start - first) * type.bytes, (end - first) * type.bytes);
  if (hasTwoLevels(hosts)) await twoLevelReduction(call, reduction, { owned: { chunks, into } });
  else {
    await reduceSegments(call, {
      type,
      width: fold.width,
      input: bytes,
      chunks,
      reduce(inputs, segment, workspace) {
        workspace.fold(fold, inputs, elementsOf(type, into(segment)));
        return new Array(size).fill(null);
      },
      resultOf: () => null,
    });
  }
  if (!mayFill) target.set(out);
}

function rangesOf(counts: readonly number[]): Range[] {
  let end = 0;
  return counts.map((count) => ({ start: end, end: end += count }));
}
