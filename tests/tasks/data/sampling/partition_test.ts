import assert from "node:assert/strict";
import {
  checkPartition,
  formatPartition,
  parsePartition,
  partitionImages,
  partitionTokens,
} from "../../../../tasks/data/sampling/partition.ts";
import { dirichlet } from "../../../../runtime/base/dirichlet.ts";
import { Random } from "../../../../runtime/base/random.ts";

/** The paper's heterogeneous cut of Penn Treebank. */
const PAPER = "proportional:10.64,11.17,11.7,12.23,12.77,13.3,13.83,14.36";

/** `count` labels of 10 classes in no particular order. */
const labelsOf = (count: number) => Uint8Array.from({ length: count }, (_, i) => (i * 7 + 3) % 10);

/** How many samples of each class a rank holds: `[classes]`. */
function labelCounts(
  labels: Uint8Array,
  classes: number,
  indices: Uint32Array,
): Uint32Array {
  const counts = new Uint32Array(classes);
  for (const index of indices) counts[labels[index]]++;
  return counts;
}

Deno.test("every form of partition is parsed, and written back as it was", () => {
  for (const text of ["iid", "whole", "rotate", PAPER, "dirichlet:0.5", "shards:2"]) {
    assert.equal(formatPartition(parsePartition(text)), text);
  }
  assert.deepEqual(parsePartition("proportional: 60 ,40"), {
    kind: "proportional",
    shares: [60, 40],
  });
  assert.deepEqual(parsePartition("dirichlet:.1"), { kind: "dirichlet", alpha: 0.1 });
});

Deno.test("a wrong partition is refused with what is required", () => {
  for (
    const [text, why] of [
      ["", /iid, whole, rotate/],
      ["random", /"random".*dirichlet:ALPHA/],
      ["iid:3", /iid takes no value/],
      ["proportional", /positive percentages/],
      ["proportional:50,,50", /positive percentages/],
      ["proportional:50,-50,100", /positive percentages/],
      ["proportional:50,0x10", /positive percentages/],
      ["proportional:50,40", /sum to 100, they sum to 90/],
      ["dirichlet", /positive concentration/],
      ["dirichlet:0", /positive concentration/],
      ["dirichlet:Infinity", /positive concentration/],
      ["shards:1.5", /positive number of shards/],
      ["shards:0", /positive number of shards/],
    ] as const
  ) {
    assert.throws(() => parsePartition(text), (error: unknown) => {
      assert(error instanceof RangeError);
      assert.match(error.message, why);
      return true;
    });
  }
  const check = (text: string, data: "images" | "text", ranks: number) => () =>
    checkPartition(parsePartition(text), { data, ranks });
  assert.throws(check("rotate", "images", 2), /for images take iid/);
  assert.throws(check("dirichlet:1", "text", 2), /for text take rotate/);
  assert.throws(check(PAPER, "text", 4), /each of 4 ranks is required, found 8/);
  check(PAPER, "text", 8)();
});

Deno.test("image partitions give every image exactly once, whatever the sizes", () => {
  for (const ranks of [1, 2, 3, 8]) {
    for (const count of [ranks, 97, 1000]) {
      const labels = labelsOf(count);
      const proportional = `proportional:${new Array(ranks).fill(100 / ranks).join(",")}`;
      for (const text of ["iid", "whole", proportional, "dirichlet:0.5", "shards:1", "shards:3"]) {
        if (text === "shards:3" && count < 3 * ranks) continue;
        if (text === "dirichlet:0.5" && count < 50) continue;
        const options = { labels, classes: 10, ranks, seed: 4 };
        const parts = partitionImages(parsePartition(text), options);
        assert.equal(parts.length, ranks);
        const seen = new Uint8Array(count);
        for (const part of parts) for (const index of part) seen[index]++;
        assert(seen.every((n) => n === 1), `${text} at ${count} images and ${ranks} ranks`);
        assert(parts.every((part) => part.length > 0));
        // A pure function of the seed.
        assert.deepEqual(partitionImages(parsePartition(text), options), parts);
        if (count === 1000 && ranks > 1) {
          assert.notDeepEqual(
            partitionImages(parsePartition(text), { ...options, seed: 5 }),
            parts,
          );
        }
      }
    }
  }
});

Deno.test("proportional parts have their sizes and every class in its share", () => {
  const labels = labelsOf(10_000);
  const parts = partitionImages(parsePartition(PAPER), { labels, classes: 10, ranks: 8, seed: 1 });
  const shares = [10.64, 11.17, 11.7, 12.23, 12.77, 13.3, 13.83, 14.36];
  parts.forEach((part, rank) => {
    assert(Math.abs(part.length - shares[rank] * 100) <= 1, `rank ${rank}: ${part.length}`);
    const expected = part.length / 10;
    for (const count of labelCounts(labels, 10, part)) {
      // six standard deviations of a multinomial count
      assert(Math.abs(count - expected) < 6 * Math.sqrt(expected), `${count} of ${expected}`);
    }
  });
});

Deno.test("shards:K gives a rank at most K classes and one more for each shard that straddles two", () => {
  const labels = labelsOf(8000);
  const parts = partitionImages(parsePartition("shards:2"), {
    labels,
    classes: 10,
    ranks: 8,
    seed: 1,
  });
  for (const part of parts) {
    assert.equal(part.length, 1000);
    const present = labelCounts(labels, 10, part).filter((n) => n > 0).length;
    assert(present >= 2 - 1 && present <= 4, `${present} classes`);
  }
});

Deno.test("a smaller Dirichlet concentration makes the ranks more different", () => {
  const labels = labelsOf(8000);
  /** Mean over ranks of the total variation distance between a rank's classes and the set's. */
  const skew = (alpha: number) => {
    const parts = partitionImages({ kind: "dirichlet", alpha }, {
      labels,
      classes: 10,
      ranks: 8,
      seed: 3,
    });
    const distances = parts.map((part) =>
      labelCounts(labels, 10, part).reduce((d, n) => d + Math.abs(n / part.length - 0.1), 0) / 2
    );
    return distances.reduce((a, b) => a + b, 0) / 8;
  };
  const [concentrated, middle, even] = [skew(0.1), skew(1), skew(100)];
  assert(
    concentrated > 0.5 && concentrated > middle && middle > even && even < 0.1,
    `${[
      concentrated,
      middle,
      even,
    ]}`,
  );
});

Deno.test("Dirichlet draws have the mean and the variance of the distribution", () => {
  for (const alpha of [0.05, 0.5, 1, 4]) {
    const random = new Random(2, "dirichlet", Math.round(alpha * 100));
    const n = 20_000, size = 5;
    let mean = 0, square = 0;
    for (let i = 0; i < n; i++) {
      const draw = dirichlet(random, alpha, size);
      assert(Math.abs(draw.reduce((a, b) => a + b, 0) - 1) < 1e-9);
      mean += draw[0] / n;
      square += draw[0] ** 2 / n;
    }
    const variance = (1 / size) * (1 - 1 / size) / (size * alpha + 1);
    assert(Math.abs(mean - 1 / size) < 6 * Math.sqrt(variance / n), `mean ${mean} at ${alpha}`);
    assert(
      Math.abs(square - mean ** 2 - variance) < 0.06 * variance,
      `variance ${square - mean ** 2} of ${variance} at ${alpha}`,
    );
  }
});

Deno.test("sets that cannot be divided are refused", () => {
  const options = { labels: labelsOf(5), classes: 10, seed: 1 };
  assert.throws(
    () => partitionImages({ kind: "iid" }, { ...options, ranks: 6 }),
    /5 images among 6/,
  );
  assert.throws(
    () => partitionImages({ kind: "shards", perRank: 3 }, { ...options, ranks: 2 }),
    /6 shards of one image/,
  );
  assert.throws(
    () =>
      partitionImages({ kind: "dirichlet", alpha: 1e-6 }, {
        ...options,
        labels: new Uint8Array(50),
        ranks: 5,
      }),
    /larger concentration/,
  );
  assert.throws(
    () => partitionImages({ kind: "proportional", shares: [99, 1] }, { ...options, ranks: 2 }),
    /rank 1 would hold none/,
  );
  assert.throws(
    () => partitionTokens({ kind: "rotate" }, { tokens: 5, ranks: 3 }),
    /rank \d would/,
  );
});

Deno.test("token ranges are consecutive, cover the text and have the paper's proportions", () => {
  const ranges = partitionTokens(parsePartition(PAPER), { tokens: 929_589, ranks: 8 });
  let at = 0;
  const shares = [10.64, 11.17, 11.7, 12.23, 12.77, 13.3, 13.83, 14.36];
  ranges.forEach(({ start, end }, rank) => {
    assert.equal(start, at);
    assert(Math.abs((end - start) / 929_589 - shares[rank] / 100) < 1e-5);
    at = end;
  });
  assert.equal(at, 929_589);
  const equal = partitionTokens({ kind: "rotate" }, { tokens: 1003, ranks: 4 });
  assert.deepEqual(equal.map(({ start, end }) => end - start).sort(), [250, 251, 251, 251]);
});
