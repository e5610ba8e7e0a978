import type { Context } from "../engine/context.ts";
import type { TypedArray } from "../base/datatypes.ts";
import type { Op } from "../base/ops.ts";
import type { CollectiveCall } from "../engine/call.ts";
import { allgatherThenReduce } from "../algorithms/allreduce_allgather.ts";
import { memoryAllreduce } from "../algorithms/allreduce_memory.ts";
import { ringAllreduce } from "../algorithms/allreduce_ring.ts";
import { partition, type Range } from "../algorithms/partition.ts";
import { reduceSegments } from "../algorithms/reduce_segments.ts";
import { foldBytes, type ReductionJob, reductionJob } from "../algorithms/reducing.ts";
import { isSmall } from "../engine/tuning.ts";

/** The ways to reduce to all, in the order of their numbers on the wire. */
export const ALLREDUCE_ALGORITHMS = [
  "auto",
  "tree",
  "allgather",
  "direct",
  "ring",
  "memory",
] as const;

/** A way to reduce to all. All give the same bits. */
export type AllreduceAlgorithm = typeof ALLREDUCE_ALGORITHMS[number];

/** How an allreduce is to be carried out; every member must ask for the same. */
export interface AllreduceOptions {
  /**
   * `auto` takes the tree for small buffers; for large ones `memory` where the ranks have memory in
   * common, else `direct`. @default {"auto"}
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
  const job = reductionJob("allreduce", buffer, op);
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
    ...job.signature,
    algorithm: code,
    segmentBytes,
  } as const;
  await context.collective(signature, async (call) => {
    if (algorithm === "memory" || algorithm === "auto" && !isSmall(job.bytes)) {
      const { engine } = context;
      await engine.discovery; // all members must come to the same decision
      const { localPeers } = engine;
      const near = localPeers !== null && context.size > 1 &&
        localPeers.sharesMemory(context.group);
      if (near && await memoryAllreduce(call, job, localPeers, segmentBytes)) return;
    }
    switch (algorithm) {
      case "allgather":
        return await allgatherThenReduce(call, job);
      case "ring":
        return await ringAllreduce(call, job, segmentBytes);
      case "tree":
        return await tree(call, job);
      case "auto":
        return await (isSmall(job.bytes) ? tree(call, job) : direct(call, job, segmentBytes));
      default:
        return await direct(call, job, segmentBytes);
    }
  });
}

/** The wave carries all inputs to rank 0, which folds them, and the result back: 2⌈log₈N⌉ steps. */
async function tree(call: CollectiveCall, job: ReductionJob): Promise<void> {
  job.bytes.set(await call.exchange(job.bytes, (inputs) => foldBytes(job, inputs)));
}

/** Direct reduce-scatter, then direct allgather: 2 steps, 2n(N−1)/N bytes a rank. */
async function direct(
  call: CollectiveCall,
  job: ReductionJob,
  segmentBytes?: number,
): Promise<void> {
  const { rank, size } = call.context, { type, fold, bytes, count } = job;
  const place = ({ start, end }: Range) => bytes.subarray(start * type.bytes, end * type.bytes);
  await reduceSegments(call, {
    type,
    width: fold.width,
    input: bytes,
    pieces: partition(count, size, fold.width),
    segmentBytes,
    reduce(inputs, segment, workspace) {
      workspace.fold(fold, inputs, inputs[rank]);
      return new Array(size).fill(place(segment));
    },
    place: (_owner, segment) => place(segment),
  });
}
