/** The arithmetic of reductions: the plain loops, and the kernel that must not differ from them. */

import assert from "node:assert/strict";
import { datatypeOf } from "../../../runtime/base/datatypes.ts";
import { createOp, type Op, reductionOf } from "../../../runtime/base/ops.ts";
import { foldInputs, foldOf } from "../../../runtime/reduction/reduction.ts";
import type { TypedArray } from "../../../runtime/mod.ts";
import { align, Workspace } from "../../../runtime/reduction/workspace.ts";

function fold<T extends TypedArray>(inputs: T[], op: Op): T {
  const type = datatypeOf(inputs[0]), out = inputs[0].slice() as T;
  foldInputs(foldOf(reductionOf(op, type), type), inputs, out);
  return out;
}

Deno.test("float sums are accumulated in float64 and rounded once", () => {
  const floats = (...values: number[]) => values.map((value) => Float32Array.of(value));
  // In float32, 2²⁴ + 1 + 1 stays 2²⁴.
  assert.equal(fold(floats(2 ** 24, 1, 1), "sum")[0], 2 ** 24 + 2);
  assert.equal(fold(floats(2 ** 50, 1, -(2 ** 50)), "sum")[0], 1);
  // What is too large for float32 on the way is no infinity.
  assert.equal(fold(floats(3e38, 3e38, -3e38), "sum")[0], Math.fround(3e38));
  assert.equal(fold(floats(2 ** 100, 2 ** 100, 2 ** -100), "prod")[0], 2 ** 100);
});

Deno.test("integers wrap in their type", () => {
  assert.equal(fold([Int8Array.of(100), Int8Array.of(100)], "sum")[0], -56);
  assert.equal(fold([Uint16Array.of(65535), Uint16Array.of(65535)], "prod")[0], 1);
  assert.equal(fold([Int32Array.of(0x7fffffff), Int32Array.of(0x7fffffff)], "prod")[0], 1);
  assert.equal(fold([Uint32Array.of(0xffffffff), Uint32Array.of(0xffffffff)], "prod")[0], 1);
  assert.equal(
    fold([BigInt64Array.of(2n ** 63n - 1n), BigInt64Array.of(1n)], "sum")[0],
    -(2n ** 63n),
  );
});

Deno.test("NaN wins a minimum, −0 is below 0", () => {
  assert.ok(Number.isNaN(fold([Float32Array.of(1), Float32Array.of(NaN)], "min")[0]));
  assert.ok(Object.is(fold([Float64Array.of(0), Float64Array.of(-0)], "min")[0], -0));
});

Deno.test("an op that needs integers refuses floats, an unknown one is named", () => {
  assert.throws(() => fold([Float32Array.of(1)], "bor"), /"bor" works on integers.*float32/);
  assert.throws(() => fold([Float32Array.of(1)], "avg" as Op), /one of sum, .* found "avg"/);
  assert.throws(() => createOp(() => 0, { width: 0 }), RangeError);
});

Deno.test("the SIMD kernel has the bits of the plain loop, special values included", () => {
  const bits = new Uint32Array(1), float = new Float32Array(bits.buffer);
  let state = 12345;
  const random = () => {
    state = Math.imul(state ^ state >>> 15, 0x2c1b3c6d) + 0x9e3779b9 | 0;
    return state >>> 0;
  };
  const special = [0, -0, Infinity, -Infinity, NaN, 1e-45, -1e-45, 1.17549421e-38, 3.4028235e38, 1];
  for (const ranks of [1, 2, 3, 8, 13]) {
    for (const length of [1, 15, 16, 17, 1000, 4099]) {
      const room = align(4 * length), workspace = new Workspace(room * ranks, ranks, room);
      const inputs = Array.from({ length: ranks }, (_, rank) => {
        // The last input lies outside the workspace, as a rank's own does.
        const { buffer, byteOffset } = workspace.bytes;
        const input = rank === ranks - 1
          ? new Float32Array(length)
          : new Float32Array(buffer, byteOffset + rank * room, length);
        for (let i = 0; i < length; i++) {
          bits[0] = random();
          input[i] = random() % 4 === 0 ? special[random() % special.length] : float[0];
        }
        return input;
      });
      const expected = fold(inputs, "sum");
      const type = datatypeOf(expected), out = inputs[ranks - 1];
      workspace.fold(foldOf(reductionOf("sum", type), type), inputs, out);
      // The bits of a NaN say nothing; that it is one does.
      const same = out.every((x, i) => Object.is(x, expected[i]));
      assert.ok(same, `${ranks} ranks, ${length} floats`);
    }
  }
});
