import assert from "node:assert/strict";
import { overlap } from "../../../runtime/base/datatypes.ts";

Deno.test("buffers overlap where they have bytes in common, and an empty one has none", () => {
  const all = new Float32Array(8), part = (start: number, end: number) => all.subarray(start, end);
  for (
    const [a, b, expected] of [
      [part(0, 4), part(4, 8), false],
      [part(0, 5), part(4, 8), true],
      [part(2, 3), all, true],
      [all, all, true],
      [all, new Float32Array(8), false],
      [part(3, 3), all, false],
      [part(3, 3), part(3, 3), false],
      [part(0, 0), all, false],
    ] as const
  ) {
    assert.equal(overlap(a, b), expected);
    assert.equal(overlap(b, a), expected);
  }
});
