import type { Context } from "../engine/context.ts";
import type { TypedArray } from "../base/datatypes.ts";
import type { Op } from "../base/ops.ts";
import type { CollectiveCall } from "../engine/call.ts";
import { allgatherThenReduce } from "../algorithms/allreduce_allgather.ts";
import { memoryAllreduce } from "../algorithms/allreduce_memory.ts";
import { ringAllreduce } from "../algorithms/allreduce_ring.ts";
import { chunks, type Range } from "../algorithms/partition.ts";
import { reduceSegments } from "../algorithms/reduce_segments.ts";
import { twoLevelReduction } from "../algorithms/two_level.ts";
import {
  checkReduction,
  foldBytes,
  type ReductionArguments,
} from "../algorithms/reduction_arguments.ts";
import { hasTwoLevels } from "../base/hosts.ts";
import { isSmall } from "../engine/tuning.ts";

/** The ways to reduce to all, in the order of their numbers on the wire. */
export const ALLREDUCE_ALGORITHMS = [
  "auto",
  "tree",
  "allgather",
  "direct",
  "ring",
  "memory",
  "two-level",
] as const;

/** A way to reduce to all. All give the same bits. */
export type AllreduceAlgorithm = typeof ALLREDUCE_ALGORITHMS[number];

/** How an allreduce is to be carried out; every member must ask for the same. */
export interface AllreduceOptions {
  /**
   * `auto` takes the tree for small buffers; for large ones `memory` where the ranks have memory in
   * common, `two-level` where they are on several hosts and share some of these, else `direct`. @default {"auto"}
   */
  algorithm?: AllreduceAlgorithm;
  /** Longest segment in bytes. */
  segmentBytes?: number;
}

/** Reduces the members' buffers element by element; every member gets the result, in place. */
export async function allreduce(
  context: Context,
  buffer: TypedArray,
  op: Op = "sum",
  { algorithm = "auto", segmentBytes }: AllreduceOptions = {},
): Promise<void> {
  const reduction = checkReduction("allreduce", buffer, op);
  const code = ALLREDUCE_ALGORITHMS.indexOf(algorithm);
  if (code < 0) {
    throw new TypeError(
      `cannot allreduce: algorithm must be one of ${ALLREDUCE_ALGORITHMS.join(", ")}, ` +
        `found "${algorithm}"`,
    );
  }
  if (segmentBytes !== undefined && !(Number.isInteger(segmentBytes) && segmentBytes > 0)) {
    throw new RangeError(`cannot allreduce: segmentBytes must be positive, found ${segmentBytes}`);
  }
  const signature = {
    name: "allreduce",
    ...reduction.signature,
    algorithm: code,
    segmentBytes,
  } as const;
  await context.collective(signature, async (call) => {
    if (algorithm === "memory" || algorithm === "auto" && !isSmall(reduction.bytes)) {
      const { size, members, localPeers } = context;
      const sharesMemory = size > 1 && localPeers.sharesMemory(members);
      if (sharesMemory && await memoryAllreduce(call, reduction, segmentBytes)) return;
    }
    switch (algorithm) {
      case "allgather":
        return await allgatherThenReduce(call, reduction);
      case "ring":
        return await ringAllreduce(call, reduction, segmentBytes);
      case "tree":
        return await tree(call, reduction);
      case "two-level":
        return await twoLevelReduction(call, reduction, { segmentBytes });
      case "auto":
        if (isSmall(reduction.bytes)) return await tree(call, reduction);
        return await (hasTwoLevels(context.hosts)
          ? twoLevelReduction(call, reduction, { segmentBytes })
          : direct(call, reduction, segmentBytes));
      default:
        return await direct(call, reduction, segmentBytes);
    }
  });
}

/**
 * The tree exchange carries all inputs to rank 0, which folds them, and the result back: 2⌈log₈N⌉
 * steps.
 */
async function tree(call: CollectiveCall, reduction: ReductionArguments): Promise<void> {
  reduction.bytes.set(
    await call.exchange(reduction.bytes, (inputs) => foldBytes(reduction, inputs)),
  );
}

/** Direct reduce-scatter, then direct allgather: 2 steps, 2n(N−1)/N bytes a rank. */
async function direct(
  call: CollectiveCall,
  reduction: ReductionArguments,
  segmentBytes?: number,
): Promise<void> {
  const { rank, size } = call.group, { type, fold, bytes, count } = reduction;
  const bytesOf = ({ start, end }: Range) => bytes.subarray(start * type.bytes, end * type.bytes);
  await reduceSegments(call, {
    type,
    width: fold.width,
    input: bytes,
    chunks: chunks(count, size, fold.width),
    segmentBytes,
    reduce(inputs, segment, workspace) {
      workspace.fold(fold, inputs, inputs[rank]);
      return new Array(size).fill(bytesOf(segment));
    },
    resultOf: (_owner, segment) => bytesOf(segment),
  });
}
