import type { Context } from "../engine/context.ts";
import { bytesOf, elementsOf, type TypedArray } from "../base/datatypes.ts";
import type { Op } from "../base/ops.ts";
import { foldPrefixes } from "../reduction/reduction.ts";
import { EMPTY } from "../algorithms/blocks.ts";
import { chunks, type Range } from "../algorithms/partition.ts";
import { reduceSegments } from "../algorithms/reduce_segments.ts";
import { checkReduction } from "../algorithms/reduction_arguments.ts";
import { isSmall } from "../engine/tuning.ts";

/** Rank r gets the reduction of the buffers of ranks 0 … r, in place. */
export function scan(context: Context, buffer: TypedArray, op: Op = "sum"): Promise<void> {
  return prefix(context, "scan", buffer, op);
}

/** Rank r gets the reduction of the buffers of ranks 0 … r−1, in place; rank 0's stays as it is. */
export function exscan(context: Context, buffer: TypedArray, op: Op = "sum"): Promise<void> {
  return prefix(context, "exscan", buffer, op);
}

/**
 * Small: rank 0 computes all prefixes in the tree exchange, 2⌈log₈N⌉ steps. Large: rank p computes the
 * prefixes of the p-th chunk and sends each to its rank: 2 steps, 2n(N−1)/N bytes a rank, where a chain
 * takes N−1 steps.
 */
async function prefix(
  context: Context,
  name: "scan" | "exscan",
  buffer: TypedArray,
  op: Op,
): Promise<void> {
  const { type, fold, bytes, count, signature } = checkReduction(name, buffer, op);
  const { rank, size } = context, exclusive = name === "exscan";
  const reduce = (inputs: TypedArray[]) => {
    foldPrefixes(fold, inputs, inputs, exclusive);
    return inputs.map((input, to) => exclusive && to === 0 ? null : bytesOf(input));
  };
  await context.collective({ name, ...signature }, async (call) => {
    if (isSmall(bytes)) {
      const answer = await call.exchange(
        bytes,
        (contributions) =>
          reduce(contributions.map((one) => elementsOf(type, one.slice()))).map((p) => p ?? EMPTY),
      );
      return bytes.set(answer);
    }
    await reduceSegments(call, {
      type,
      width: fold.width,
      input: bytes,
      chunks: chunks(count, size, fold.width),
      reduce,
      resultOf: (_owner: number, { start, end }: Range) =>
        exclusive && rank === 0 ? null : bytes.subarray(start * type.bytes, end * type.bytes),
    });
  });
}
