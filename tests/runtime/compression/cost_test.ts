/** What a codec's work costs in time. */

import assert from "node:assert/strict";
import { compressedSeconds, measureCodec } from "../../../runtime/compression/cost.ts";
import { codecOf } from "../../../runtime/compression/registry.ts";

Deno.test("every part of a codec's work takes time", () => {
  for (const name of ["int8", "topk:0.01"]) {
    const { encode, add, finish, decode } = measureCodec(codecOf(name)!);
    for (const seconds of [encode, decode]) {
      assert.ok(seconds > 0 && Number.isFinite(seconds), name);
    }
    // Differences of two times, which noise may make nothing of.
    for (const seconds of [add, finish]) assert.ok(seconds >= 0 && Number.isFinite(seconds), name);
  }
});

Deno.test("a rank encodes all but its own chunk, adds all inputs of that, and reads all sums", () => {
  const cost = { encode: 1, add: 100, finish: 10_000, decode: 1_000_000 };
  assert.equal(compressedSeconds(cost, 400, 4), 300 + 40_000 + 1_000_000 + 400_000_000);
  assert.equal(compressedSeconds(cost, 400, 4, 3), 300 + 30_000 + 1_000_000 + 400_000_000);
  assert.equal(compressedSeconds(cost, 400, 1), 0);
});
