import { elementsOf } from "../base/datatypes.ts";
import type { CollectiveCall } from "../engine/call.ts";
import { foldInputs } from "../reduction/reduction.ts";
import { others, receiveBlock, sendBlock } from "./blocks.ts";
import type { ReductionArguments } from "./reduction_arguments.ts";

/**
 * Allreduce as an allgather after which every rank folds all inputs: 1 step, n(N−1) bytes a rank, and
 * N−1 times the buffer as scratch. Fewest steps, so for small buffers between distant ranks.
 */
export async function allgatherThenReduce(
  call: CollectiveCall,
  { type, fold, bytes }: ReductionArguments,
): Promise<void> {
  const peers = others(call.group), mine = elementsOf(type, bytes);
  const scratch = new Uint8Array(peers.length * bytes.length);
  const inputs = [];
  const incoming: Promise<unknown>[] = [];
  for (const [k, from] of peers.entries()) {
    const into = scratch.subarray(k * bytes.length, (k + 1) * bytes.length);
    inputs[from] = elementsOf(type, into);
    incoming.push(receiveBlock(call, from, into));
  }
  inputs[call.group.rank] = mine;
  await call.agree();
  await Promise.all([...incoming, ...peers.map((to) => sendBlock(call, to, bytes))]);
  foldInputs(fold, inputs, mine);
}
