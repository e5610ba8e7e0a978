import type { Context } from "../engine/context.ts";
import { bytesOf, type TypedArray } from "../base/datatypes.ts";
import type { Op } from "../base/ops.ts";
import { checkRank } from "../engine/arguments.ts";
import { EMPTY } from "../algorithms/blocks.ts";
import type { CollectiveCall } from "../engine/call.ts";
import { chunks, type Range } from "../algorithms/partition.ts";
import { reduceSegments } from "../algorithms/reduce_segments.ts";
import {
  checkReduction,
  foldBytes,
  type ReductionArguments,
} from "../algorithms/reduction_arguments.ts";
import { twoLevelReduction } from "../algorithms/two_level.ts";
import { hasTwoLevels } from "../base/hosts.ts";
import { isSmall } from "../engine/tuning.ts";

/** Reduces the members' buffers element by element; the root gets the result, in place. */
export async function reduce(
  context: Context,
  buffer: TypedArray,
  op: Op = "sum",
  root = 0,
): Promise<void> {
  const reduction = checkReduction("reduce", buffer, op);
  checkRank(root, context.size, "root");
  await context.collective({ name: "reduce", ...reduction.signature, root }, async (call) => {
    if (!isSmall(reduction.bytes)) {
      return await (hasTwoLevels(context.hosts)
        ? twoLevelReduction(call, reduction, { root })
        : direct(call, reduction, root));
    }
    const answer = await call.exchange(reduction.bytes, (inputs) => {
      const result = foldBytes(reduction, inputs);
      return inputs.map((_, to) => to === root ? result : EMPTY);
    });
    if (context.rank === root) reduction.bytes.set(answer);
  });
}

/** Direct reduce-scatter, then a gather at the root: 2 steps, n bytes a rank, nN to the root. */
async function direct(
  call: CollectiveCall,
  reduction: ReductionArguments,
  root: number,
): Promise<void> {
  const { rank, size } = call.group, { type, fold, bytes, count } = reduction;
  await reduceSegments(call, {
    type,
    width: fold.width,
    input: bytes,
    chunks: chunks(count, size, fold.width),
    reduce(inputs, _segment, workspace) {
      workspace.fold(fold, inputs, inputs[root]);
      return inputs.map((input, to) => to === root ? bytesOf(input) : null);
    },
    resultOf: (_owner: number, { start, end }: Range) =>
      rank === root ? bytes.subarray(start * type.bytes, end * type.bytes) : null,
  });
}
