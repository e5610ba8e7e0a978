/** Exact partial sums: the bits of the sum in the order of ranks, however these are divided. */

import assert from "node:assert/strict";
import { BLOCK, encodePartial, sumPartials } from "../../../runtime/reduction/exact_partials.ts";
import { Random } from "../../../runtime/base/random.ts";
import { doubtfulByLoops, encodeByLoops } from "./_partials_reference.ts";

const random = new Random(11, "partials");
const uniform = () => random.uniform();
const normal = () => random.normal();
const anyBits = () => {
  const [value] = new Float32Array(Uint32Array.of(Math.floor(uniform() * 2 ** 32)).buffer);
  return Number.isNaN(value) ? NaN : value; // of one kind, since nobody promises the bits of a NaN
};
const SPECIAL = [0, -0, Infinity, -Infinity, NaN, 1e-45, -1e-45, 1.17549421e-38, -1.17549435e-38];
const LARGEST = 3.4028234663852886e38;

/** Inputs of one rank, by element: hostile ones, and such as are summed in earnest. */
const KINDS: Record<string, (i: number, rank: number) => number> = {
  normal: () => normal(),
  "all bits": anyBits,
  "special values": (i) => i % 7 === 0 ? SPECIAL[Math.floor(uniform() * SPECIAL.length)] : normal(),
  subnormal: () => normal() * 1e-41,
  "around the least normal": () => normal() * 2e-38,
  zeros: () => 0,
  "negative zeros": () => -0,
  "zeros of both signs": () => uniform() < 0.3 ? 0 : -0,
  "few nonzero": () => uniform() < 0.02 ? normal() : uniform() < 0.5 ? 0 : -0,
  "sums beyond float32": () => (uniform() < 0.8 ? 1 : -1) * LARGEST,
  "cancellation": (i, rank) => (rank % 2 === 0 ? 1 : -1) * (1 + i * 2 ** -23),
  "cancellation but for the last bit": (i, rank) =>
    rank % 2 === 0 ? 1e8 * (1 + i % 3) : -1e8 * (1 + i % 3) + (uniform() < 0.5 ? 8 : 0),
  "exponents far apart": () => normal() * 2 ** Math.floor(uniform() * 60 - 30),
  "exponents as far apart as is exact": (i) => (1 + uniform()) * 2 ** (i % 27),
  "two magnitudes": (i, rank) => (rank + i) % 2 === 0 ? 1e8 * normal() : 1e-8 * normal(),
  "halves of the last bit": (_, rank) => rank === 0 ? 1 : 2 ** -24,
};

/** Ranks of each host; the first is the owner's. */
const DIVISIONS = [[1, 1], [1, 2], [2, 1], [2, 2], [3, 5], [4, 4], [1, 3, 1, 2], [2, 2, 2, 2], [
  17,
  2,
]];

const newBytes = (length: number) => new Uint8Array(length);
const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array) =>
  new Uint8Array(buffer, byteOffset, byteLength);

for (const [kind, value] of Object.entries(KINDS)) {
  Deno.test(`partial sums and what they add up to: ${kind}`, () => {
    for (const ranks of DIVISIONS) {
      for (const length of [1, 63, 64, 65, 1000]) {
        const all = ranks.reduce((sum, each) => sum + each);
        const inputs = Array.from(
          { length: all },
          (_, rank) => Float32Array.from({ length }, (_, i) => value(i, rank)),
        );
        let from = 0;
        const hosts = ranks.map((each) => inputs.slice(from, from += each));
        const partials = hosts.slice(1).map((host) => {
          if (host.length === 1) return { bytes: bytesOf(host[0]), ranks: 1 };
          const bytes = encodePartial(host, newBytes);
          assert.deepEqual(bytes, encodeByLoops(host), `${ranks}`);
          return { bytes, ranks: host.length };
        });
        const expected = Float32Array.from(
          { length },
          (_, i) => inputs.reduce((sum, input) => sum + input[i], -0),
        );
        const out = hosts[0].at(-1)!, before = out.slice();
        const doubtful = sumPartials(hosts[0], partials, out);
        const mayBe = doubtfulByLoops(inputs.map((input) => input === out ? before : input));
        assert.deepEqual(doubtful, mayBe, `${ranks}, ${length}`);
        for (const [i, found] of out.entries()) {
          const isKnown = !doubtful.includes(Math.floor(i / BLOCK));
          assert.ok(
            Object.is(found, isKnown ? expected[i] : before[i]),
            `${ranks}, ${i}: ${found}`,
          );
        }
      }
    }
  });
}

Deno.test("partial sums of normally distributed numbers take little more than 4 bytes an element", () => {
  for (const [ranks, most] of [[2, 4.15], [4, 4.25], [8, 4.5]]) {
    const inputs = Array.from(
      { length: ranks },
      () => Float32Array.from({ length: 1 << 14 }, () => normal()),
    );
    const each = encodePartial(inputs, newBytes).length / (1 << 14);
    assert.ok(each < most, `${ranks} ranks: ${each}`);
  }
});

Deno.test("bytes that are no partial sum are refused", () => {
  const length = 200;
  const inputs = Array.from(
    { length: 3 },
    (_, rank) => Float32Array.from({ length }, (_, i) => KINDS["special values"](i, rank)),
  );
  const out = new Float32Array(length), good = encodePartial(inputs, newBytes);
  const add = (bytes: Uint8Array) => sumPartials([out], [{ bytes, ranks: 3 }], out.slice());
  const longer = new Uint8Array([...good, 0, 0, 0, 0]);
  for (const bytes of [good.slice(0, -4), good.slice(0, 4), new Uint8Array(0), longer]) {
    assert.throws(
      () => add(bytes),
      /RangeError: cannot add \d+ bytes: .* no partial sum of 3 × 200/,
    );
  }
  for (let i = 0; i < 500; i++) {
    const bytes = Uint8Array.from(good, (byte) => uniform() < 0.01 ? uniform() * 256 : byte);
    try {
      add(bytes); // may be another sum
    } catch (error) {
      assert.ok(error instanceof RangeError && /cannot add/.test(error.message), `${error}`);
    }
  }
  assert.throws(
    () => sumPartials([out], [{ bytes: new Uint8Array(796), ranks: 1 }], out),
    RangeError,
  );
});
