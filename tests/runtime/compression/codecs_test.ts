/** The codecs: what they keep of numbers, in how many bytes, and the bits of the plain loops. */

import assert from "node:assert/strict";
import { codecName, codecOf } from "../../../runtime/compression/registry.ts";
import { decode, encode, sumEncoded } from "../../../runtime/compression/tile.ts";
import { Random } from "../../../runtime/base/random.ts";
import { sameBits } from "../_values.ts";
import { roundTrip } from "../../_helpers/compressed_sum.ts";

const NAMES = [
  "bf16",
  "fp16",
  "int8",
  "int4",
  "mxint8",
  "mxint4",
  "topk:0.01",
  "topk:0.3",
  "topk:0.05:int8",
  "topk:0.03:int2",
  "topk:0.6:int2",
  "topk:1",
];
const LENGTHS = [0, 1, 2, 15, 16, 17, 127, 128, 129, 256, 257, 1000, 4095, 4096, 4097, 9001];

const SPECIAL = [0, -0, 1, -1, 1e-45, -1e-45, 1.4e-43, 1e-38, 6e-8, 2.98e-8, 6.1e-5, 65504, 65519.9]
  .concat([65520, 3.4028235e38, -3.4028235e38, 1e-30, 0.5, 1.5, 2.5, 127, 7, 3.3895314e38]);

/**
 * Numbers as training has them; of all magnitudes, some equal, some at the edges of formats; of three magnitudes that
 * are next to each other; hardly any that are not zero.
 */
const KINDS = ["normal", "all", "ties", "few"] as const;

function numbers(seed: number, length: number, kind: typeof KINDS[number]): Float32Array {
  const random = new Random(seed), out = new Float32Array(length);
  const bits = new Uint32Array(out.buffer);
  for (let i = 0; i < length; i++) {
    if (kind === "normal") out[i] = 0.01 * random.normal();
    else if (kind === "ties") {
      bits[i] = (random.integer(2) << 31) | (0x3f800000 + random.integer(3));
    } else if (kind === "few") out[i] = random.integer(500) === 0 ? random.normal() : 0;
    else if (random.integer(3) === 0) out[i] = SPECIAL[random.integer(SPECIAL.length)];
    else bits[i] = random.bits();
    if (!Number.isFinite(out[i])) out[i] = 1; // a block of NaNs would test nothing else
  }
  return out;
}

function written(name: string, values: Float32Array, residual?: Float32Array) {
  const codec = codecOf(name)!, bytes = new Uint8Array(codec.bytes(values.length) + 3).fill(0xaa);
  encode(codec, values, bytes.subarray(0, -3), residual);
  assert.deepEqual([...bytes.subarray(-3)], [0xaa, 0xaa, 0xaa], "nothing is written behind");
  const read = new Float32Array(values.length);
  decode(codec, bytes.subarray(0, -3), read);
  return { read, bytes };
}

for (const name of NAMES) {
  Deno.test(`${name} reads what the plain loops read, bit for bit, for every length`, () => {
    for (const length of LENGTHS) {
      for (const kind of KINDS) {
        for (let seed = 0; seed < 3; seed++) {
          const values = numbers(seed, length, kind);
          sameBits(`${kind} ${length}`, written(name, values).read, roundTrip(name, values));
        }
      }
    }
  });

  Deno.test(`${name} keeps what it has lost in the residual, and adds it the next time`, () => {
    for (const length of [1, 300, 9001]) {
      const values = numbers(7, length, "normal"), residual = numbers(8, length, "normal");
      const sum = values.map((value, i) => value + residual[i]);
      const { read } = written(name, values, residual);
      sameBits("read", read, roundTrip(name, sum));
      sameBits("residual", residual, sum.map((value, i) => value - read[i]));
    }
  });

  Deno.test(`${name} hides no NaN and no infinity`, () => {
    for (const bad of [NaN, Infinity, -Infinity]) {
      const values = numbers(1, 5000, "normal");
      values[4500] = bad;
      const { read } = written(name, values);
      if (/^(mx)?int/.test(name)) assert.ok(Number.isNaN(read[4500]));
      else if (/:int/.test(name)) assert.ok(Number.isNaN(read[4500]));
      else assert.ok(Object.is(read[4500], bad), `${read[4500]}`);
      assert.ok(read.subarray(0, 4096).every(Number.isFinite), "other blocks are as they were");
      sameBits("other blocks", read.subarray(0, 4096), roundTrip(name, values.subarray(0, 4096)));
    }
  });

  Deno.test(`${name}: the sum is formed in the order of ranks, in float64, and rounded once`, () => {
    const codec = codecOf(name)!, length = 9001;
    const arrays = Array.from({ length: 5 }, (_, seed) => numbers(seed, length, "normal"));
    const inputs = arrays.map((array, rank) => {
      if (rank === 1) return null;
      if (rank === 3) return array;
      const bytes = new Uint8Array(codec.bytes(length));
      encode(codec, array, bytes);
      return bytes;
    });
    const total = new Float64Array(length);
    for (const [rank, array] of arrays.entries()) {
      if (rank === 1) continue;
      const read = rank === 3 ? array : roundTrip(name, array);
      for (let i = 0; i < length; i++) total[i] += read[i];
    }
    const sum = Float32Array.from(total), loss = new Float32Array(length);
    const bytes = new Uint8Array(codec.bytes(length)), read = new Float32Array(length);
    sumEncoded(codec, inputs, length, bytes, loss);
    decode(codec, bytes, read);
    sameBits("sum", read, roundTrip(name, sum));
    sameBits("loss", loss, sum.map((value, i) => value - read[i]));
  });
}

Deno.test("every float16 and every bf16 is read as itself", () => {
  const bits = Uint16Array.from({ length: 65536 }, (_, i) => i);
  const view = new DataView(new ArrayBuffer(4));
  const halves = Float32Array.from(bits, (each) => {
    view.setUint16(0, each);
    return view.getFloat16(0);
  });
  const brains = Float32Array.from(bits, (each) => {
    view.setUint32(0, each << 16);
    return view.getFloat32(0);
  });
  for (const [name, all] of [["fp16", halves], ["bf16", brains]] as const) {
    const values = all.filter((value) => !Number.isNaN(value));
    sameBits(name, written(name, values).read, values);
  }
});

Deno.test("of equal magnitudes the first are picked, whatever the block before was", () => {
  const values = new Float32Array(5 * 4096).fill(-3);
  values.fill(0, 4096, 8192); // a block of zeros
  values.fill(1e-40, 8192, 12288); // of subnormal numbers
  values.fill(-2e38, 12288, 16384);
  values[4096 + 77] = 1e-45;
  values[16384 + 4000] = 3.0000002;
  for (const name of ["topk:0.001", "topk:0.001:int8", "topk:0.5"]) {
    sameBits(name, written(name, values).read, roundTrip(name, values));
  }
  const { read } = written("topk:0.001", values), picked = (at: number) => read[at] !== 0;
  assert.deepEqual([0, 4, 5, 4096 + 77, 8192, 8197, 16384 + 3, 16384 + 4, 20384].map(picked), [
    ...[true, true, false],
    ...[true, true, false],
    ...[true, false, true],
  ]);
});

Deno.test("bytes that nobody has written are read without harm", () => {
  const random = new Random(5);
  for (const name of ["topk:0.01", "topk:0.3:int8", "topk:1"]) {
    const codec = codecOf(name)!, values = numbers(1, 4096, "normal");
    for (const length of [1, 100, 4096]) {
      const bytes = Uint8Array.from({ length: codec.bytes(length) }, () => random.integer(256));
      decode(codec, bytes, new Float32Array(length));
      decode(codec, bytes.fill(255), new Float32Array(length));
      decode(codec, bytes.fill(0), new Float32Array(length));
    }
    sameBits("afterwards", written(name, values).read, roundTrip(name, values));
  }
});

Deno.test("bytes: int8 at most 0.26 of float32's, int4 0.14, an index of topk about 8.6 bits", () => {
  const share = (name: string, length = 1e6) => codecOf(name)!.bytes(length) / (4 * length);
  assert.equal(share("bf16"), 0.5);
  assert.equal(share("fp16"), 0.5);
  assert.ok(share("int8") <= 0.254);
  assert.ok(share("int4") <= 0.133);
  assert.ok(share("mxint8") <= 0.258);
  assert.ok(share("mxint4") <= 0.133);
  const bits = (8 * codecOf("topk:0.01")!.bytes(4096) - 32 * 41) / 41;
  assert.ok(bits < 8.8, `${bits}`);
  assert.equal(codecOf("int4")!.bytes(1), 5);
  assert.equal(codecOf("int8")!.bytes(3), 7);
});

Deno.test("names: read as they are written, refused in one line otherwise", () => {
  for (const name of [...NAMES, "topk:0.000001", "topk:1:int8"]) {
    const codec = codecOf(name)!;
    assert.equal(codec.name, name);
    assert.equal(codecName(codec.code), name);
  }
  assert.equal(codecOf("none"), null);
  assert.equal(codecOf("topk:.5")!.name, "topk:0.5");
  for (
    const bad of ["", "int2", "INT8", "topk", "topk:", "topk:0", "topk:1.1", "topk:.", "topk:-1"]
      .concat(["topk:0.0000001", "topk:0.1:int4", "topk:1e-3", "topk:NaN", "int8:0.1"])
  ) {
    assert.throws(() => codecOf(bad), {
      name: "RangeError",
      message: /compression must be none, /,
    });
  }
});
