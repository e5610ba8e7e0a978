import { elementsOf } from "../base/datatypes.ts";
import { foldInputs } from "../reduction/reduction.ts";
import { others, receiveBlock, sendBlock } from "./blocks.ts";
import type { CollectiveCall } from "../engine/call.ts";
import type { ReductionJob } from "./reducing.ts";

/**
 * Allreduce as an allgather after which every rank folds all inputs: 1 step, n(N−1) bytes a rank, and
 * N−1 times the buffer as scratch. Fewest steps, so for small buffers between distant ranks.
 */
export async function allgatherThenReduce(call: CollectiveCall, job: ReductionJob): Promise<void> {
  const { rank } = call.context, { type, fold, bytes } = job;
  const peers = others(call), mine = elementsOf(type, bytes);
  const scratch = new Uint8Array(peers.length * bytes.length);
  const inputs = [];
  const incoming: Promise<unknown>[] = [];
  for (const [k, from] of peers.entries()) {
    const place = scratch.subarray(k * bytes.length, (k + 1) * bytes.length);
    inputs[from] = elementsOf(type, place);
    incoming.push(receiveBlock(call, from, place));
  }
  inputs[rank] = mine;
  await call.agree();
  await Promise.all([...incoming, ...peers.map((to) => sendBlock(call, to, bytes))]);
  foldInputs(fold, inputs, mine);
}
