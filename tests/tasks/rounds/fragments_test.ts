import assert from "node:assert/strict";
import { Random } from "../../../runtime/base/random.ts";
import { fragmentsOf } from "../../../tasks/rounds/fragments.ts";

/** Weights of so many floats each, laid out one after the other. */
function layout(sizes: Record<string, number>) {
  const names = Object.keys(sizes);
  const range = (name: string) => {
    const before = names.slice(0, names.indexOf(name));
    return { offset: before.reduce((sum, each) => sum + sizes[each], 0), length: sizes[name] };
  };
  const length = Object.values(sizes).reduce((sum, size) => sum + size, 0);
  return { specs: names.map((name) => ({ name, dims: [sizes[name]] })), range, length };
}

/** The floats that a part takes, by their places. */
function placesOf(parts: ReturnType<typeof fragmentsOf>, length: number): number[][] {
  const flat = Float32Array.from({ length }, (_, i) => i);
  return parts.map((part) => [...part.take(flat)]);
}

/** The least size that the largest of `count` groups of neighbours can have, by trying every cut. */
function least(sizes: readonly number[], count: number): number {
  const sum = sizes.reduce((total, size) => total + size, 0);
  if (count === 1) return sum;
  let best = Infinity, first = 0;
  for (let cut = 1; cut <= sizes.length - count + 1; cut++) {
    first += sizes[cut - 1];
    best = Math.min(best, Math.max(first, least(sizes.slice(cut), count - 1)));
  }
  return best;
}

Deno.test("parts are whole neighbouring parameters, the largest as small as it can be", () => {
  const random = new Random(1, "fragments test");
  for (let trial = 0; trial < 60; trial++) {
    const sizes = Array.from(
      { length: 1 + trial % 9 },
      () => 1 + Math.floor(20 * random.uniform()),
    );
    const weights = layout(Object.fromEntries(sizes.map((size, i) => [`p${i}.weight`, size])));
    for (let count = 1; count <= sizes.length; count++) {
      const whole = { weights, parameterCount: weights.length, statistics: false };
      const places = placesOf(fragmentsOf(whole, count), weights.length);
      assert.equal(places.length, count);
      assert.deepEqual(places.flat(), Array.from({ length: weights.length }, (_, i) => i));
      assert.equal(Math.max(...places.map(({ length }) => length)), least(sizes, count));
      const begins = new Set(weights.specs.map(({ name }) => weights.range(name).offset));
      for (const [first] of places) assert.ok(begins.has(first));
    }
  }
});

Deno.test("running statistics go with their layer's parameters, or stay where they are", () => {
  const weights = layout({
    "conv.weight": 6,
    "bn1.weight": 2,
    "fc.weight": 7,
    "bn1.running_mean": 2,
    "fc.scale_mean": 1,
    "bn1.running_var": 2,
    "orphan": 1,
  });
  const common = { weights, parameterCount: 15 };
  const [first, second] = placesOf(fragmentsOf({ ...common, statistics: true }, 2), 21);
  assert.deepEqual(first, [0, 1, 2, 3, 4, 5, 6, 7, 15, 16, 18, 19]);
  assert.deepEqual(second, [8, 9, 10, 11, 12, 13, 14, 17, 20]);
  const without = fragmentsOf({ ...common, statistics: false }, 2);
  assert.deepEqual(without.map(({ trained, length }) => [trained, length]), [[8, 8], [7, 7]]);
  const [all] = fragmentsOf({ ...common, statistics: true }, 1);
  assert.deepEqual([all.trained, all.length], [15, 21]);
  assert.throws(
    () => fragmentsOf({ ...common, statistics: true }, 4),
    /^OptionError: --fragments 4 are more parts than the network has parameters, 3$/,
  );
});
