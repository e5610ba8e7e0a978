/** The collective calls in whose middle a rank may end. */

import type { Communicator } from "../../runtime/communicator.ts";
import { COLLECTIVES as ALL } from "../../runtime/engine/signature.ts";

type Collective = Exclude<typeof ALL[number], "dup" | "free" | "close"> | "iallreduce";

/** By the names of their methods: all that ranks exchange anything in, and one that does not wait. */
export const COLLECTIVES: readonly Collective[] = [
  ...ALL.filter((name) => name !== "dup" && name !== "free" && name !== "close"),
  "iallreduce",
];

/** Those, and one that compresses what it sums. */
type Operation = Collective | "compressed";

/** Each call on a communicator, of this many elements a rank. */
export function callsOf(
  comm: Communicator,
  length: number,
): Record<Operation, () => Promise<unknown>> {
  const { rank, size } = comm, counts = new Array(size).fill(length), root = 0;
  const atRoot = rank === root;
  const one = new Float32Array(length), all = new Float32Array(length * size);
  const other = new Float32Array(length * size);
  return {
    barrier: () => comm.barrier(),
    bcast: () => comm.bcast(one, root),
    allreduce: () => comm.allreduce(one),
    reduce: () => comm.reduce(one, "sum", root),
    gather: () => comm.gather(one, atRoot ? all : null, root),
    gatherv: () => comm.gatherv(one, atRoot ? all : null, counts, root),
    scatter: () => comm.scatter(atRoot ? all : null, one, root),
    scatterv: () => comm.scatterv(atRoot ? all : null, counts, one, root),
    allgather: () => comm.allgather(one, all),
    allgatherv: () => comm.allgatherv(one, all, counts),
    alltoall: () => comm.alltoall(all, other),
    alltoallv: () => comm.alltoallv(all, counts, other, counts),
    reduceScatter: () => comm.reduceScatter(all, one),
    scan: () => comm.scan(one),
    exscan: () => comm.exscan(one),
    iallreduce: () => comm.iallreduce(one).wait(),
    compressed: () => comm.allreduce(one, { op: "sum", compress: "int8" }),
    split: () => comm.split(rank % 2),
  };
}
