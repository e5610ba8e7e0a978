/** Sums without rounding: the same bytes however they are divided into partial sums, on whatever exponents. */

import assert from "node:assert/strict";
import { Random } from "../../../runtime/base/random.ts";
import { type ExactTerm, partialSum, sumExactly } from "../../../runtime/compression/exact_sum.ts";
import { codecOf } from "../../../runtime/compression/registry.ts";
import { decode, encode } from "../../../runtime/compression/tile.ts";
import { roundTrip } from "../../_helpers/compressed_sum.ts";
import { sameBits } from "../_values.ts";

const NAMES = ["mxint8", "mxint4"] as const;
const LENGTHS = [0, 1, 31, 32, 33, 100, 4096, 4097, 9001];

/** Numbers as training has them; of all exponents; of two far apart, by turns of blocks and ranks; with NaNs. */
const KINDS = ["normal", "all", "apart", "largest", "bad"] as const;

function numbers(seed: number, length: number, kind: typeof KINDS[number]): Float32Array {
  const random = new Random(seed), bad = [NaN, Infinity, -Infinity, 0];
  return Float32Array.from({ length }, (_, i) => {
    const one = random.normal();
    if (kind === "all") return one * 2 ** (random.integer(250) - 125);
    if (kind === "apart") return (i >> 5) % 3 === seed % 3 ? 1e-30 * one : (i >> 5) % 4 * one;
    if (kind === "largest") return 3e38 * (random.uniform() - 0.5);
    if (kind === "bad" && random.integer(200) === 0) return bad[random.integer(4)];
    return 0.01 * one;
  });
}

const written = (name: string, values: Float32Array) => {
  const codec = codecOf(name)!, bytes = new Uint8Array(codec.bytes(values.length));
  encode(codec, values, bytes);
  return bytes;
};

function summed(name: string, terms: ExactTerm[], own: Float32Array | null, length: number) {
  const codec = codecOf(name)!, bytes = new Uint8Array(codec.bytes(length));
  const read = new Float32Array(length), loss = new Float32Array(length).fill(9);
  sumExactly(codec, terms, own, length, bytes, loss);
  decode(codec, bytes, read);
  return { bytes, read, loss };
}

/** The sign of a NaN is that of the processor. */
const anyNaN = (values: Float32Array) => values.map((x) => Number.isNaN(x) ? NaN : x);

for (const name of NAMES) {
  for (const kind of KINDS) {
    Deno.test(`${name}: a sum of ${kind} numbers has the bits of the serial program, however it is divided`, () => {
      const codec = codecOf(name)!, ranks = 6;
      for (const length of LENGTHS) {
        const arrays = Array.from({ length: ranks }, (_, rank) => numbers(rank, length, kind));
        const inputs = arrays.slice(1).map((array) => written(name, array));
        const direct = inputs.map((bytes) => ({ bytes, isPartial: false }));
        const partial = (...ranks: number[]) => ({
          bytes: partialSum(codec, ranks.map((rank) => inputs[rank]), length),
          isPartial: true,
        });

        const one = summed(name, direct, arrays[0], length), total = exact(name, arrays);
        sameBits("sum", anyNaN(one.read), anyNaN(roundTrip(name, total)));
        sameBits("loss", anyNaN(one.loss), anyNaN(total.map((x, i) => x - one.read[i])));
        for (
          const terms of [
            [partial(0, 1, 2, 3, 4)],
            [partial(4, 2), partial(3), partial(0, 1)],
            [direct[3], partial(0, 4), direct[1], direct[2]],
            [partial(1, 3), direct[4], partial(2, 0)],
          ]
        ) {
          const other = summed(name, terms, arrays[0], length);
          assert.deepEqual(other.bytes, one.bytes, `${length}`);
          sameBits("loss", anyNaN(other.loss), anyNaN(one.loss));
        }
        assert.deepEqual(
          summed(name, [partial(0, 1), direct[2]], null, length).bytes,
          summed(name, direct.slice(0, 3), null, length).bytes,
        );
      }
    });
  }

  Deno.test(`${name}: numbers too small for a scale are zeros, and stay with the rank`, () => {
    const values = new Float32Array(64).fill(1e-38, 3, 9).fill(-1e-45, 40, 50);
    sameBits(
      "read",
      summed(name, [{ bytes: written(name, values), isPartial: false }], null, 64)
        .read,
      new Float32Array(64),
    );
    assert.deepEqual(partialSum(codecOf(name)!, [written(name, values)], 64), new Uint8Array(4));
  });
}

/** What is summed, before it is written: rank 0's numbers last, the others' exactly. */
function exact(name: string, arrays: readonly Float32Array[]): Float32Array {
  const sums = arrays.map((array, rank) => rank === 0 ? array : roundTrip(name, array));
  return arrays[0].map((own, i) => {
    const others = sums.slice(1).map((sum) => sum[i]);
    if (!others.every(Number.isFinite)) return NaN;
    // Every float32 is an integer times 2⁻¹⁴⁹.
    const integers = others.reduce((sum, value) => sum + BigInt(value * 2 ** 149), 0n);
    return Number(integers) * 2 ** -149 + own;
  });
}

Deno.test("a partial sum of four takes 0.31 of float32's bytes with mxint8, and 0.18 with mxint4", () => {
  for (const [name, most] of [["mxint8", 0.31], ["mxint4", 0.18]] as const) {
    const codec = codecOf(name)!, length = 1 << 16;
    const inputs = [1, 2, 3, 4].map((seed) => written(name, numbers(seed, length, "normal")));
    const share = partialSum(codec, inputs, length).length / (4 * length);
    assert.ok(share <= most && share > codec.bytes(length) / (4 * length), `${name}: ${share}`);
  }
});

Deno.test("terms that are not as long as they say are refused, whatever is in them", () => {
  const codec = codecOf("mxint8")!, length = 100, random = new Random(3);
  const inputs = [1, 2].map((seed) => written("mxint8", numbers(seed, length, "apart")));
  const whole = partialSum(codec, inputs, length),
    sum = (bytes: Uint8Array) => summed("mxint8", [{ bytes, isPartial: true }], null, length);
  sum(whole);
  const refused = { name: "RangeError", message: /takes terms as long as they say, found one of/ };
  for (let end = 0; end < whole.length; end++) {
    assert.throws(() => sum(whole.subarray(0, end)), refused, `${end}`);
  }
  assert.throws(() => sum(Uint8Array.of(...whole, 0)), refused);
  for (let i = 0; i < 500; i++) {
    const bytes = Uint8Array.from({ length: random.integer(300) }, () => random.integer(256));
    try {
      sum(bytes);
    } catch (error) {
      assert.ok(error instanceof RangeError);
    }
  }
});
