/**
 * The tree that tree exchanges run on: a k-nomial tree with rank 0 at the root.
 *
 * The parent of rank r is r with its lowest digit other than 0 cleared, in base k, so a subtree is
 * a range of ranks, and what is collected along the tree stays in the order of ranks. Its depth is
 * ⌈log_k N⌉ at most. (Thakur, Rabenseifner, Gropp: Optimization of Collective Communication
 * Operations in MPICH, IJHPCA 2005, for k = 2.)
 *
 * @module
 */

import { TREE_RADIX } from "./tuning.ts";

/** k to the position of the lowest digit of `rank` that is not 0; at least `size` for rank 0. */
function span(rank: number, size: number): number {
  let power = 1;
  while (power < size && rank % (power * TREE_RADIX) === 0) power *= TREE_RADIX;
  return power;
}

/** The parent of a rank other than 0. */
export function parentOf(rank: number, size: number): number {
  return rank - rank % (span(rank, size) * TREE_RADIX);
}

/** Children of a rank, in the order of ranks, which is that of the sizes of their subtrees. */
export function childrenOf(rank: number, size: number): number[] {
  const children = [], limit = span(rank, size);
  for (let power = 1; power < limit; power *= TREE_RADIX) {
    for (let digit = 1; digit < TREE_RADIX && rank + digit * power < size; digit++) {
      children.push(rank + digit * power);
    }
  }
  return children;
}

/** Ranks in the subtree below and including `rank`, which are those that follow it. */
export function subtreeSize(rank: number, size: number): number {
  return Math.min(span(rank, size), size - rank);
}
