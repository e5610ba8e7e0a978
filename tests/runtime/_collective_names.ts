/** The collective calls in whose middle a rank may end. */

/** By the names of their methods. */
export const COLLECTIVES = [
  "barrier",
  "bcast",
  "allreduce",
  "reduce",
  "gather",
  "gatherv",
  "scatter",
  "scatterv",
  "allgather",
  "allgatherv",
  "alltoall",
  "alltoallv",
  "reduceScatter",
  "scan",
  "exscan",
  "iallreduce",
  "split",
];
