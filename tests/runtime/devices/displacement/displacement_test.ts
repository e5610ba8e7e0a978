/** Displacements that are written on a GPU, a software one too, against the codecs: the same bytes and bits. */

import assert from "node:assert/strict";
import { Random } from "../../../../runtime/base/random.ts";
import { codecOf } from "../../../../runtime/compression/registry.ts";
import { decode, encode, sumEncoded } from "../../../../runtime/compression/tile.ts";
import type { Device } from "../../../../runtime/devices/device.ts";
import { DeviceError } from "../../../../runtime/devices/faults/device_error.ts";
import { openDevice } from "../../../../runtime/devices/open.ts";
import { hasWebGpu, webGpuNote } from "../../../_helpers/web_gpu.ts";
import { sameBits } from "../../_values.ts";

const FORMATS = ["int8", "int4", "mxint8", "mxint4", "bf16", "fp16"] as const;
const SPECIAL = [0, -0, 1, -1, 1e-45, -1e-45, 1.4e-43, 1e-38, 6e-8, 2.98e-8, 6.1e-5, 65504, 65519.9]
  .concat([65520, 3.4028235e38, -3.4028235e38, 1e-30, 0.5, 1.5, 2.5, 127, 7, 3.3895314e38]);

/** Numbers as training has them, or of all magnitudes, or so small that scales are subnormal. */
type Kind = "normal" | "all" | "tiny";
const KINDS: readonly Kind[] = ["normal", "all", "tiny"];

function numbers(seed: number, length: number, kind: Kind): Float32Array {
  const random = new Random(seed), out = new Float32Array(length);
  const bits = new Uint32Array(out.buffer);
  for (let i = 0; i < length; i++) {
    if (kind === "normal") out[i] = 0.01 * random.normal();
    else if (kind === "tiny") bits[i] = (random.integer(2) << 31) | random.integer(400);
    else if (random.integer(3) === 0) out[i] = SPECIAL[random.integer(SPECIAL.length)];
    else bits[i] = random.bits();
    if (!Number.isFinite(out[i])) out[i] = 1;
  }
  return out;
}

function onGpu(name: string, body: (device: Device) => Promise<void>): void {
  Deno.test({
    name: `webgpu: ${name}${webGpuNote}`,
    ignore: !hasWebGpu,
    sanitizeOps: false,
    sanitizeResources: false,
    fn: async () => {
      await using device = await openDevice("webgpu");
      await body(device);
    },
  });
}

/** Three variables, of which the last two are followed. */
async function followed(device: Device, format: string, length: number, x: Float32Array) {
  const state = await device.allocate([
    { name: "before", dims: [3] },
    { name: "first", dims: [5] },
    { name: "second", dims: [length - 5] },
  ]);
  const displacement = state.follow(format, { offset: 3, length })!;
  /** Variables that are held. */
  const hold = async (x: Float32Array) => {
    await state.write(Float32Array.of(1, 2, 3, ...x));
    await displacement.hold();
  };
  await hold(x);
  return { state, displacement, hold, [Symbol.asyncDispose]: () => state[Symbol.asyncDispose]() };
}

const plus = (a: Float32Array, b: Float32Array, sign = 1) => a.map((x, i) => x + sign * b[i]);
/** The sign of ∞ − ∞ is that of the processor. */
const anyNaN = (values: Float32Array) => values.map((x) => Number.isNaN(x) ? NaN : x);
const sameBytes = (what: string, a: Uint8Array, b: Uint8Array) =>
  sameBits(what, Float32Array.from(a), Float32Array.from(b));

for (const format of FORMATS) {
  const codec = codecOf(format)!;
  onGpu(`${format}: bytes and what is lost are the codec's, bit for bit`, async (device) => {
    for (const length of [6, 128, 257, 1001, 70_003]) {
      await using each = await followed(device, format, length, new Float32Array(length));
      for (const [seed, kind] of KINDS.entries()) {
        const x = numbers(seed, length, kind), reference = numbers(seed + 10, length, kind);
        const residual = numbers(seed + 20, length, kind), what = `${kind} ${length}`;
        await each.hold(x);
        await each.displacement.write({ reference, residual });
        const own = codec.block * Math.floor(length / codec.block / 2);
        const span = { start: own, end: Math.min(length, own + codec.block) };
        const bytes = await each.displacement.encode({ offset: own, length: span.end - own });
        assert.equal(bytes.length, codec.bytes(length));
        const left = residual.slice();
        for (const [start, end] of [[0, span.start], [span.end, length]]) {
          const expected = new Uint8Array(codec.bytes(end - start));
          const moved = plus(x, reference, -1).subarray(start, end);
          encode(codec, moved, expected, left.subarray(start, end));
          const from = codec.bytes(start);
          sameBytes(what, bytes.subarray(from, from + expected.length), expected);
        }
        const after = await each.displacement.read();
        sameBits(`${what} residual`, anyNaN(after.residual), anyNaN(left));
        sameBits(`${what} reference`, after.reference, reference);
      }
    }
  });

  onGpu(`${format}: a sum of two is the processor's, bit for bit`, async (device) => {
    const length = 1001, own = { start: codec.block, end: length }, count = length - own.start;
    await using each = await followed(device, format, length, new Float32Array(length));
    for (const [seed, kind] of KINDS.entries()) {
      const x = numbers(seed, length, kind), residual = numbers(seed + 20, length, kind);
      const input = new Uint8Array(codec.bytes(count));
      encode(codec, numbers(seed + 30, count, kind), input);
      for (const contributes of [true, false]) {
        await each.hold(x);
        await each.displacement.write({ reference: new Float32Array(length), residual });
        const mine = plus(x, residual).subarray(own.start);
        const loss = new Float32Array(count), expected = new Uint8Array(codec.bytes(count));
        sumEncoded(codec, [input, contributes ? mine : null], count, expected, loss);
        const bytes = await each.displacement.sum({ offset: own.start, length: count }, [
          input,
          contributes ? "own" : null,
        ]);
        if (kind !== "all") sameBytes(kind, bytes, expected);
        const [read, asExpected] = [bytes, expected].map((each) => {
          const values = new Float32Array(count);
          decode(codec, each, values);
          return anyNaN(values);
        });
        sameBits(`${kind} sum`, read, asExpected);
        const owed = residual.subarray(own.start);
        const after = (await each.displacement.read()).residual;
        const left = contributes ? loss : plus(owed, loss);
        sameBits(`${kind} residual`, anyNaN(after.subarray(own.start)), anyNaN(left));
        sameBits(kind, after.subarray(0, own.start), residual.subarray(0, own.start));
      }
    }
  });

  onGpu(`${format}: ranks are summed in their order, and the sum is applied`, async (device) => {
    const length = 5003, x = numbers(1, length, "normal"), ranks = 5;
    await using each = await followed(device, format, length, x);
    const { displacement, state } = each, everything = { offset: 0, length };
    await displacement.startFrom();
    sameBits("reference", (await displacement.read()).reference, x);
    const inputs = Array.from({ length: ranks }, (_, rank) => {
      if (rank === 1) return null;
      if (rank === 2) return "own";
      const bytes = new Uint8Array(codec.bytes(length));
      encode(codec, numbers(rank, length, "normal"), bytes);
      return bytes;
    });
    const sum = new Float32Array(length), term = new Float32Array(length);
    for (const input of inputs) {
      if (!(input instanceof Uint8Array)) continue; // this rank has not moved
      decode(codec, input, term);
      sum.set(plus(sum, term));
    }
    const expected = new Uint8Array(codec.bytes(length));
    encode(codec, sum, expected);
    const bytes = await displacement.sum(everything, inputs);
    sameBytes("sum", bytes, expected);
    decode(codec, bytes, term);
    const next = plus(x, term.map((value) => value / ranks));
    const way = Math.hypot(...plus(next, x, -1));
    const near = (found: number, expected: number) =>
      assert.ok(Math.abs(found - expected) <= 1e-6 * expected, `${found} ${expected}`);
    const stays = await displacement.apply(bytes, ranks, false);
    near(stays.way, way);
    near(stays.residual, Math.hypot(...(await displacement.read()).residual));
    sameBits("r", (await displacement.read()).reference, next);
    sameBits("x stays", (await state.read()).subarray(3), x);
    await displacement.write({ reference: x, residual: x });
    const moved = await displacement.apply(bytes, ranks, true);
    assert.equal(moved.way, stays.way);
    near(moved.residual, Math.hypot(...x));
    sameBits("x", await state.read(), Float32Array.of(1, 2, 3, ...next));
  });

  onGpu(`${format}: variables that have moved on take the way of the point`, async (device) => {
    const length = 1003, [x, later, point] = [1, 2, 3].map((seed) => numbers(seed, length, "tiny"));
    await using each = await followed(device, format, length, x);
    const { displacement, state } = each;
    await displacement.startFrom();
    await state.write(Float32Array.of(4, 5, 6, ...later));
    // What is written is where they were held.
    const all = await displacement.encode({ offset: 0, length: 0 });
    sameBytes("bytes", all, new Uint8Array(all.length));
    await displacement.moveTo(point, false);
    await displacement.turn();
    const way = plus(point, x, -1), found = await displacement.read();
    sameBits("the way", found.held, way);
    sameBits("r", found.reference, point);
    sameBits("x waits", (await state.read()).subarray(3), later);
    await displacement.catchUp();
    sameBits("x", await state.read(), Float32Array.of(4, 5, 6, ...plus(later, way)));
    await displacement.write({ reference: x, residual: x, held: later });
    await displacement.catchUp();
    const twice = plus(plus(later, way), later);
    sameBits("x again", await state.read(), Float32Array.of(4, 5, 6, ...twice));
    await displacement.moveTo(point, true);
    sameBits("x where the point is", await state.read(), Float32Array.of(4, 5, 6, ...point));
  });

  onGpu(`${format}: every byte is read as the codec reads it`, async (device) => {
    const random = new Random(3), length = 70_000, bytes = new Uint8Array(codec.bytes(length));
    for (let i = 0; i < bytes.length; i++) bytes[i] = random.integer(256);
    if (format === "fp16" || format === "bf16") {
      new Uint16Array(bytes.buffer).forEach((_, i, all) => all[i] = i);
    }
    const zeros = new Float32Array(length), read = new Float32Array(length);
    await using each = await followed(device, format, length, zeros);
    decode(codec, bytes, read);
    const expected = (by: number) => anyNaN(read.map((value) => 0 + Math.fround(value / by)));
    for (const by of [1, 3, 7, 12, 1000, 32768]) {
      await each.displacement.write({ reference: zeros, residual: zeros });
      await each.displacement.apply(bytes, by, true);
      const found = (await each.state.read()).subarray(3);
      sameBits(`by ${by}`, anyNaN(found), expected(by));
    }
  });

  onGpu(`${format}: no NaN and no infinity is hidden`, async (device) => {
    const zeros = new Float32Array(1000);
    await using each = await followed(device, format, 1000, zeros);
    for (const bad of [NaN, Infinity, -Infinity]) {
      const x = numbers(1, 1000, "normal");
      x[900] = bad;
      await each.hold(x);
      await each.displacement.write({ reference: zeros, residual: zeros });
      const bytes = await each.displacement.encode({ offset: 0, length: 0 });
      const expected = new Uint8Array(bytes.length);
      encode(codec, x, expected, zeros.slice());
      sameBytes(`${bad}`, bytes, expected);
      await each.displacement.apply(bytes, 2, true);
      const after = (await each.state.read()).subarray(3);
      decode(codec, expected, x);
      assert.ok(Object.is(after[900], x[900]), `${after[900]} ${x[900]}`);
    }
  });
}

onGpu(
  "numbers are shown for a sum that is formed elsewhere, and take what it has lost",
  async (device) => {
    const length = 1001, own = { offset: 96, length: 300 }, end = own.offset + own.length;
    const [x, reference, residual, loss] = [1, 2, 3, 4].map((seed) => numbers(seed, length, "all"));
    await using each = await followed(device, "mxint8", length, x);
    const { displacement } = each;
    await displacement.write({ reference, residual });
    const shown = plus(plus(x, reference, -1), residual).subarray(own.offset, end);
    sameBits("shown", anyNaN(await displacement.reveal(own)), anyNaN(shown));
    for (const adds of [false, true]) {
      await displacement.write({ reference, residual });
      await displacement.lose(own, loss.subarray(0, own.length), adds);
      const after = residual.slice(), lost = after.subarray(own.offset, end);
      lost.set(adds ? plus(lost, loss) : loss.subarray(0, own.length));
      sameBits(`adds: ${adds}`, anyNaN((await displacement.read()).residual), anyNaN(after));
    }
  },
);

onGpu("what a device cannot write it does not follow", async (device) => {
  await using state = await device.allocate([{ name: "w", dims: [4] }]);
  for (const format of ["none", "topk:0.01", "topk:0.01:int8", "toString"]) {
    assert.equal(state.follow(format, { offset: 0, length: 4 }), null);
  }
  assert.equal(state.follow("int8", { offset: 0, length: 0 }), null);
  await using host = await openDevice("cpu");
  await using there = await host.allocate([{ name: "w", dims: [4] }]);
  assert.equal(there.follow("int8", { offset: 0, length: 4 }), null);
});

onGpu("what the GPU refuses ends in one line with the way out", async (device) => {
  const { createShaderModule } = GPUDevice.prototype;
  await using state = await device.allocate([{ name: "x", dims: [8] }]);
  GPUDevice.prototype.createShaderModule = function () {
    return createShaderModule.call(this, { code: "fn f( {" });
  };
  try {
    const displacement = state.follow("int8", { offset: 0, length: 8 })!;
    await assert.rejects(displacement.hold(), (error) => {
      assert.ok(error instanceof DeviceError && error.fault === "refused", String(error));
      assert.match(error.message, /^cannot follow variables on the GPU \(.+\): take --device cpu/);
      return true;
    });
  } finally {
    GPUDevice.prototype.createShaderModule = createShaderModule;
  }
});
