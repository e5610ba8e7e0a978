import type { Context } from "../engine/context.ts";
import { bytesOf, type TypedArray } from "../base/datatypes.ts";
import type { Op } from "../base/ops.ts";
import { checkRank } from "../engine/arguments.ts";
import { EMPTY } from "../algorithms/blocks.ts";
import type { CollectiveCall } from "../engine/call.ts";
import { partition, type Range } from "../algorithms/partition.ts";
import { reduceSegments } from "../algorithms/reduce_segments.ts";
import { foldBytes, type ReductionJob, reductionJob } from "../algorithms/reducing.ts";
import { isSmall } from "../engine/tuning.ts";

/** Reduces the members' buffers element by element; the root gets the result, in place. */
export async function reduce(
  context: Context,
  buffer: TypedArray,
  op: Op = "sum",
  root = 0,
): Promise<void> {
  const job = reductionJob("reduce", buffer, op);
  checkRank(root, context.size, "root");
  await context.collective({ name: "reduce", ...job.signature, root }, async (call) => {
    if (!isSmall(job.bytes)) return await direct(call, job, root);
    const answer = await call.exchange(job.bytes, (inputs) => {
      const result = foldBytes(job, inputs);
      return inputs.map((_, to) => to === root ? result : EMPTY);
    });
    if (context.rank === root) job.bytes.set(answer);
  });
}

/** Direct reduce-scatter, then a gather at the root: 2 steps, n bytes a rank, nN to the root. */
async function direct(call: CollectiveCall, job: ReductionJob, root: number): Promise<void> {
  const { rank, size } = call.context, { type, fold, bytes, count } = job;
  await reduceSegments(call, {
    type,
    width: fold.width,
    input: bytes,
    pieces: partition(count, size, fold.width),
    reduce(inputs, _segment, workspace) {
      workspace.fold(fold, inputs, inputs[root]);
      return inputs.map((input, to) => to === root ? bytesOf(input) : null);
    },
    place: (_owner: number, { start, end }: Range) =>
      rank === root ? bytes.subarray(start * type.bytes, end * type.bytes) : null,
  });
}
