import assert from "node:assert/strict";
import {
  parsePartition,
  type Partition,
  partitionImages,
} from "../../../../tasks/data/sampling/partition.ts";
import { createImageSampler, evaluationBatches } from "../../../../tasks/data/sampling/sampler.ts";

const labels = Uint8Array.from({ length: 103 }, (_, i) => i % 10);

function sampler(rank: number, ranks: number, batchSize: number, partition?: Partition, seed = 9) {
  return createImageSampler({ labels, classes: 10, batchSize, rank, ranks, seed, partition });
}

Deno.test("iid: all ranks together see every sample once an epoch, in a new order each epoch", () => {
  for (const [ranks, batch] of [[1, 5], [3, 4], [4, 64], [8, 2]]) {
    const samplers = Array.from({ length: ranks }, (_, rank) => sampler(rank, ranks, batch));
    const seen: number[] = []; // in the order of the joint walk
    for (let step = 0; seen.length < 4 * labels.length; step++) {
      const batches = samplers.map((s) => s.indices(step));
      for (let i = 0; i < batch; i++) for (const indices of batches) seen.push(indices[i]);
    }
    const epochs = [0, 1, 2, 3].map((e) => seen.slice(e * labels.length, (e + 1) * labels.length));
    for (const epoch of epochs) {
      assert.deepEqual([...epoch].sort((a, b) => a - b), [...labels.keys()]);
    }
    assert.notDeepEqual(epochs[0], epochs[1]);
  }
});

Deno.test("iid: N ranks of batch B take exactly what one rank of batch N·B takes", () => {
  const whole = sampler(0, 1, 12);
  for (let step = 0; step < 30; step++) {
    const expected = whole.indices(step);
    for (let rank = 0; rank < 4; rank++) {
      assert.deepEqual(
        [...sampler(rank, 4, 3).indices(step)],
        [...expected.filter((_, i) => i % 4 === rank)],
      );
    }
  }
});

Deno.test("the order is a pure function of (seed, rank, step), from whatever step it is asked", () => {
  for (
    const partition of [
      { kind: "iid" },
      { kind: "whole" },
      { kind: "dirichlet", alpha: 0.5 },
    ] as Partition[]
  ) {
    const forward = sampler(1, 3, 7, partition);
    const order = Array.from({ length: 60 }, (_, step) => [...forward.indices(step)]);
    assert.deepEqual([...sampler(1, 3, 7, partition).indices(59)], order[59]);
    const backward = sampler(1, 3, 7, partition);
    for (let step = 59; step >= 0; step--) {
      assert.deepEqual([...backward.indices(step)], order[step]);
    }
    assert.notDeepEqual([...sampler(2, 3, 7, partition).indices(0)], order[0]);
    assert.notDeepEqual([...sampler(1, 3, 7, partition, 10).indices(0)], order[0]);
  }
});

Deno.test("whole: every rank shuffles the whole set for itself", () => {
  for (let rank = 0; rank < 3; rank++) {
    const own = sampler(rank, 3, 10, { kind: "whole" });
    const seen: number[] = [];
    for (let step = 0; seen.length < 2 * labels.length; step++) seen.push(...own.indices(step));
    for (const pass of [0, 1]) {
      assert.deepEqual(
        seen.slice(pass * labels.length, (pass + 1) * labels.length).sort((a, b) => a - b),
        [...labels.keys()],
      );
    }
  }
});

Deno.test("a fixed part is all that its rank sees, each sample once a pass", () => {
  const partition: Partition = { kind: "shards", perRank: 2 };
  const parts = partitionImages(partition, { labels, classes: 10, ranks: 4, seed: 9 });
  for (let rank = 0; rank < 4; rank++) {
    const own = sampler(rank, 4, 6, partition), size = parts[rank].length;
    const seen: number[] = [];
    for (let step = 0; seen.length < 3 * size; step++) seen.push(...own.indices(step));
    for (const pass of [0, 1, 2]) {
      assert.deepEqual(
        seen.slice(pass * size, (pass + 1) * size).sort((a, b) => a - b),
        [...parts[rank]].sort((a, b) => a - b),
      );
    }
  }
});

Deno.test("epochs are counted in samples of all ranks, the same on every rank and partition", () => {
  const a = sampler(0, 4, 5), b = sampler(3, 4, 5, { kind: "dirichlet", alpha: 1 });
  assert.equal(a.stepsPerEpoch, 103 / 20);
  assert.equal(b.stepsPerEpoch, a.stepsPerEpoch);
  assert.equal(a.epoch(0), 0);
  assert(Math.abs(a.epoch(103) - 20) < 1e-12);
});

Deno.test("a step, batch, rank or partition out of range is refused", () => {
  assert.throws(() => sampler(0, 1, 0), /batch size is a positive integer, not 0/);
  assert.throws(() => sampler(4, 4, 1), /from 0 to 3, not 4/);
  assert.throws(() => sampler(0, 2, 1, { kind: "rotate" }), /for images take/);
  assert.throws(() => sampler(0, 1, 2).indices(-1), /not -1/);
  assert.throws(() => sampler(0, 1, 2).indices(0, new Uint32Array(3)), /buffer of 3/);
});

Deno.test("evaluation counts every sample exactly once over the ranks, in batches of one size", () => {
  for (
    const [count, batch, ranks] of [[500, 64, 8], [7, 3, 4], [10, 10, 1], [3, 5, 8], [2000, 1, 3]]
  ) {
    const seen = new Uint8Array(count);
    for (let rank = 0; rank < ranks; rank++) {
      let own = 0;
      for (const { indices, valid } of evaluationBatches(count, batch, rank, ranks)) {
        assert.equal(indices.length, batch);
        assert(valid >= 1 && valid <= batch);
        for (const index of indices.subarray(0, valid)) seen[index]++;
        own += valid;
      }
      assert(Math.abs(own - count / ranks) < 1, `rank ${rank} has ${own} of ${count}`);
    }
    assert(seen.every((n) => n === 1), `${count} samples, batch ${batch}, ${ranks} ranks`);
  }
});

Deno.test("iid: when ranks become more or fewer, an epoch still has every sample once", () => {
  const worlds = [{ step: 0, ranks: 4 }, { step: 5, ranks: 2 }, { step: 11, ranks: 3 }];
  const batchSize = 3, seen: number[] = [];
  const of = (upTo: number) => {
    const { ranks } = worlds[upTo - 1], shared = { labels, classes: 10, batchSize, ranks, seed: 9 };
    return Array.from(
      { length: ranks },
      (_, rank) => createImageSampler({ ...shared, rank, worlds: worlds.slice(0, upTo) }),
    );
  };
  for (const [i, { step: from }] of worlds.entries()) {
    const samplers = of(i + 1), end = worlds[i + 1]?.step ?? 60;
    assert.equal(samplers[0].epoch(from), seen.length / labels.length);
    for (let step = from; step < end; step++) {
      const batches = samplers.map((sampler) => sampler.indices(step));
      for (let b = 0; b < batchSize; b++) for (const indices of batches) seen.push(indices[b]);
      assert.equal(samplers[0].epoch(step + 1), seen.length / labels.length);
    }
    assert.equal(samplers[0].steps(samplers[0].epoch(end)), end);
  }
  for (let epoch = 0; (epoch + 1) * labels.length <= seen.length; epoch++) {
    const part = seen.slice(epoch * labels.length, (epoch + 1) * labels.length);
    assert.deepEqual([...part].sort((a, b) => a - b), [...labels.keys()]);
  }
});

Deno.test("a rank keeps its part and its order while others are away", () => {
  const worlds = [
    { step: 0, ranks: 4 },
    { step: 5, ranks: 3, members: [0, 1, 3], lost: [{ rank: 2, since: 4 }] },
    { step: 9, ranks: 4, members: [0, 1, 2, 3] },
  ];
  for (const kind of ["shards:2", "dirichlet:1", "whole"]) {
    const shared = { labels, classes: 10, batchSize: 3, seed: 9, partition: parsePartition(kind) };
    for (const upTo of [2, 3]) {
      const { ranks, members, step } = worlds[upTo - 1];
      for (const [rank, number] of members!.entries()) {
        const options = { ...shared, rank, ranks, worlds: worlds.slice(0, upTo) };
        const now = createImageSampler(options);
        const before = createImageSampler({ ...shared, rank: number, ranks: 4 });
        assert.deepEqual(now.indices(step), before.indices(step), `${kind}, rank ${number}`);
      }
    }
    // A run that is resumed with fewer ranks has other parts.
    const resumed = [{ step: 0, ranks: 4 }, { step: 5, ranks: 2 }];
    const options = { ...shared, rank: 1, ranks: 2, worlds: resumed };
    const { worlds: _, ...fresh } = options;
    assert.deepEqual(createImageSampler(options).indices(7), createImageSampler(fresh).indices(7));
  }
});
