/** The tree that collectives agree on, for every number of ranks up to beyond its second level. */

import assert from "node:assert/strict";
import { childrenOf, parentOf, subtreeSize, Tree } from "../../../runtime/engine/tree.ts";
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

const HOSTS = ["A", "AAAA", "ABCD", "AABB", "ABAB", "ABBBA", "AAAABBBB", "ABCCBACC", "A".repeat(20)]
  .concat(
    "AB".repeat(20),
    "ABCDEFGHIJKL".repeat(9),
    "ABBCCCDDDDEEEEEFFFFFFGGGGGGGHHHHHHHHIIIIIIIIIJ",
  );

/** The ranks on each host, from a letter a rank. */
function hostsOf(letters: string): number[][] {
  return [...new Set(letters)].map((host) =>
    [...letters].map((_, rank) => rank).filter((rank) => letters[rank] === host)
  );
}

Deno.test("a tree of hosts reaches every rank once, and its subtrees are ranges of its order", () => {
  for (const letters of HOSTS) {
    const tree = new Tree(hostsOf(letters));
    const collect = (rank: number): number[] => {
      const children = tree.childrenOf(rank);
      for (const child of children) {
        assert.equal(tree.parentOf(child.rank), rank, letters);
        assert.equal(tree.positionOf(child.rank), child.position, letters);
        const range = tree.order.slice(child.position, child.position + child.size);
        assert.deepEqual(collect(child.rank), range, letters);
      }
      return [rank, ...children.flatMap((child) => collect(child.rank))];
    };
    assert.deepEqual(collect(0), tree.order, letters);
    assert.deepEqual(tree.order.toSorted((a, b) => a - b), ranksOf(letters.length), letters);
  }
});

Deno.test("every host but that of rank 0 has one way up to another host", () => {
  for (const letters of HOSTS) {
    const tree = new Tree(hostsOf(letters));
    const leaving = ranksOf(letters.length).slice(1)
      .filter((rank) => letters[tree.parentOf(rank)] !== letters[rank]);
    assert.equal(leaving.length, new Set(letters).size - 1, letters);
  }
});
