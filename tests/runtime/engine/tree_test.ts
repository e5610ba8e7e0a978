/** The tree that collectives agree on, for every number of ranks up to beyond its second level. */

import assert from "node:assert/strict";
import { childrenOf, parentOf, subtreeSize } from "../../../runtime/engine/tree.ts";
import { TREE_RADIX } from "../../../runtime/engine/tuning.ts";

const SIZES = Array.from({ length: 70 }, (_, i) => i + 1);
const ranksOf = (size: number) => Array.from({ length: size }, (_, rank) => rank);

Deno.test("every rank but 0 is one rank's child, and that is its parent", () => {
  for (const size of SIZES) {
    const reached = ranksOf(size).flatMap((rank) => {
      const children = childrenOf(rank, size);
      for (const child of children) assert.equal(parentOf(child, size), rank, `N = ${size}`);
      return children;
    });
    assert.deepEqual(reached.toSorted((a, b) => a - b), ranksOf(size).slice(1), `N = ${size}`);
  }
});

Deno.test("a subtree is the ranks from its root on, its children in the order of ranks", () => {
  const collect = (rank: number, size: number): number[] => [
    rank,
    ...childrenOf(rank, size).flatMap((child) => collect(child, size)),
  ];
  for (const size of SIZES) {
    for (const rank of ranksOf(size)) {
      const expected = ranksOf(size).slice(rank, rank + subtreeSize(rank, size));
      assert.deepEqual(collect(rank, size), expected, `rank ${rank} of ${size}`);
    }
    assert.equal(subtreeSize(0, size), size);
  }
});

Deno.test("the tree is no deeper and no wider than its radix allows", () => {
  for (const size of SIZES) {
    const depth = (rank: number): number => rank === 0 ? 0 : 1 + depth(parentOf(rank, size));
    let levels = 0; // ⌈log_k N⌉
    while (TREE_RADIX ** levels < size) levels++;
    for (const rank of ranksOf(size)) {
      assert(depth(rank) <= levels, `rank ${rank} of ${size}`);
      assert(childrenOf(rank, size).length <= levels * (TREE_RADIX - 1), `rank ${rank} of ${size}`);
    }
  }
});
