import assert from "node:assert/strict";
import { awdLstm } from "../../../models/architectures/awd_lstm.ts";
import { dropoutMask, keptRows, rowCapacity } from "../../../models/architectures/dropout.ts";
import type { HostTensor } from "../../../runtime/devices/device.ts";

const key = { seed: 3, rank: 2, step: 17 };

/** Whether a count of successes is what `count` draws of a probability may give: within 5 deviations. */
function plausible(successes: number, count: number, probability: number): boolean {
  const deviation = Math.sqrt(count * probability * (1 - probability));
  return Math.abs(successes - count * probability) < 5 * deviation;
}

Deno.test("a mask drops with its probability and keeps the expectation", () => {
  for (const probability of [0.1, 0.25, 0.5, 0.9]) {
    const { data, dims } = dropoutMask("mask", [50, 1, 200], probability, key);
    assert.deepEqual(dims, [50, 1, 200]);
    const dropped = data.filter((x) => x === 0).length;
    assert(plausible(dropped, 10_000, probability), `${dropped} of 10,000 at ${probability}`);
    const kept = Math.fround(1 / (1 - probability));
    assert(data.every((x) => x === 0 || x === kept));
  }
});

Deno.test("a mask's elements are independent of each other", () => {
  const { data } = dropoutMask("mask", [20_000], 0.5, key);
  for (const lag of [1, 2, 3, 4, 7, 64]) {
    let both = 0;
    for (let i = lag; i < data.length; i++) both += Number(data[i] === 0 && data[i - lag] === 0);
    assert(plausible(both, data.length - lag, 0.25), `lag ${lag}: ${both}`);
  }
});

Deno.test("the kept rows are a draw of single rows, in the form that the graph takes", () => {
  for (const [count, probability] of [[4600, 0.5], [48, 0.5], [30, 0.1], [1600, 0.8]]) {
    const { rows, positions, scale } = keptRows("rows", count, probability, key);
    const capacity = rowCapacity(count, probability);
    assert.deepEqual([rows.dims, positions.dims, scale.dims], [[capacity], [count], [capacity]]);
    const kept = scale.data.filter((x) => x > 0).length;
    assert(kept < capacity, "the last place stays free");
    assert(plausible(kept, count, 1 - probability), `${kept} of ${count}`);
    const factor = Math.fround(1 / (1 - probability));
    scale.data.forEach((x, place) => assert.equal(x, place < kept ? factor : 0));
    let next = 0;
    positions.data.forEach((place, row) => {
      if (place === capacity - 1) return;
      assert.equal(place, next++, "in order");
      assert.equal(rows.data[place], row);
    });
    assert.equal(next, kept);
  }
});

Deno.test("a draw that leaves more rows than there are places is drawn again", () => {
  let sum = 0;
  for (let step = 0; step < 400; step++) {
    // Half the draws leave more than 6 of 13 rows.
    const { scale, positions } = keptRows("rows", 13, 0.5, { ...key, step }, 7);
    const kept = scale.data.filter((x) => x > 0).length;
    assert(kept < 7);
    assert.equal(positions.data.filter((place) => place < 6).length, kept);
    sum += kept;
  }
  // The mean of a binomial of 13, given that it is 6 at most.
  assert(Math.abs(sum / 400 - 5.03) < 0.3, `${sum / 400}`);
});

Deno.test("masks are a pure function of seed, rank and step, and differ between them and by name", () => {
  const awd = awdLstm({ vocabulary: 300, embedding: 40, hidden: 60 });
  const first = awd.masks(4, key);
  assert.deepEqual(awd.masks(4, key), first);
  const drawn = new Map<string, string>();
  const note = (origin: string, masks: Record<string, HostTensor>) => {
    for (const [name, { data }] of Object.entries(masks)) {
      if (name.endsWith(".scale")) continue; // known by how many rows are kept
      const text = data.join();
      assert(!drawn.has(text), `${origin} ${name} is also ${drawn.get(text)}`);
      drawn.set(text, `${origin} ${name}`);
    }
  };
  note("first", first);
  note("seed", awd.masks(4, { ...key, seed: 4 }));
  note("rank", awd.masks(4, { ...key, rank: 3 }));
  note("step", awd.masks(4, { ...key, step: 18 }));
  assert.deepEqual(Object.keys(first), [
    "encoder.dropout",
    "input.dropout",
    ...[0, 1, 2].flatMap((layer) => [
      ...layer < 2 ? [`rnns.${layer}.dropout`] : [],
      ...["rows", "positions", "scale"].map((what) => `rnns.${layer}.weight_hh_l0.${what}`),
    ]),
    "output.dropout",
  ]);
});

Deno.test("no dropout, no masks", () => {
  const dropout = { word: 0, input: 0, hidden: 0, output: 0, weight: 0 };
  for (const weightDrop of ["rows", "elements"] as const) {
    const awd = awdLstm({ vocabulary: 30, embedding: 4, hidden: 6, dropout, weightDrop });
    assert.deepEqual(awd.masks(2, key), {});
    const { graph } = awd.build({ batchSize: 2, mode: "train", length: 3 });
    assert(![...graph.inputs.keys()].some((name) => /dropout|rows/.test(name)));
  }
});
