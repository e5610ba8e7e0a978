import assert from "node:assert/strict";
import { philox4x32, Random } from "../../../runtime/base/random.ts";

Deno.test("a stream is a pure function of its seed and name", () => {
  const draw = (...key: [number, ...(string | number)[]]) => {
    const random = new Random(...key);
    return Array.from({ length: 9 }, () => random.bits());
  };
  assert.deepEqual(draw(1, "a", 2), draw(1, "a", 2));
  for (
    const other of [
      draw(2, "a", 2),
      draw(1, "b", 2),
      draw(1, "a", 3),
      draw(1, "a"),
      draw(1, "a", 2, 0),
    ]
  ) {
    assert.notDeepEqual(draw(1, "a", 2), other);
  }
  assert.notDeepEqual(draw(1), draw(2));
});

Deno.test("uniform and normal numbers have the moments they should", () => {
  const random = new Random(5, "moments");
  const n = 100_000;
  let u = 0, u2 = 0, z = 0, z2 = 0;
  for (let i = 0; i < n; i++) {
    const a = random.uniform(), b = random.normal();
    assert(a >= 0 && a < 1);
    u += a / n;
    u2 += a * a / n;
    z += b / n;
    z2 += b * b / n;
  }
  // five standard errors
  assert(Math.abs(u - 1 / 2) < 5 * Math.sqrt(1 / 12 / n), `mean ${u}`);
  assert(Math.abs(u2 - 1 / 3) < 5 * Math.sqrt(4 / 45 / n), `second moment ${u2}`);
  assert(Math.abs(z) < 5 / Math.sqrt(n), `mean ${z}`);
  assert(Math.abs(z2 - 1) < 5 * Math.sqrt(2 / n), `variance ${z2}`);
});

Deno.test("a permutation holds every index once, and integers are even over their range", () => {
  const random = new Random(5, "permutation");
  const order = random.permutation(1000);
  assert.deepEqual([...order].sort((a, b) => a - b), Array.from({ length: 1000 }, (_, i) => i));
  assert.notDeepEqual([...order], [...new Random(6, "permutation").permutation(1000)]);
  const counts = new Array(7).fill(0);
  for (let i = 0; i < 70_000; i++) counts[random.integer(7)]++;
  const chi2 = counts.reduce((sum, c) => sum + (c - 10_000) ** 2 / 10_000, 0);
  assert(chi2 < 30, `chi-squared ${chi2} at 6 degrees of freedom`);
});

Deno.test("the cipher is Philox4x32-10: it gives the published known answers", () => {
  // Known-answer vectors of the authors' Random123 library: counter, key, result.
  const vectors: [number[], [number, number], number[]][] = [
    [[0, 0, 0, 0], [0, 0], [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]],
    [
      [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      [0xffffffff, 0xffffffff],
      [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    ],
    [
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ],
  ];
  for (const [counter, key, expected] of vectors) {
    const block = new Uint32Array(counter);
    philox4x32(block, ...key);
    assert.deepEqual([...block], expected);
  }
});

Deno.test("bad seeds and bounds are refused with their values", () => {
  assert.throws(() => new Random(0.5), /0\.5/);
  assert.throws(() => new Random(1).integer(0), /not 0/);
});
