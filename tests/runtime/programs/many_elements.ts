/**
 * Sums tens of millions of floats in the way named by the first argument, looks at every element and
 * at how many bytes it took.
 */

import assert from "node:assert/strict";
import { init } from "../../../runtime/bootstrap/init.ts";
import type { AllreduceAlgorithm } from "../../../runtime/mod.ts";

const [algorithm, count] = [Deno.args[0] as AllreduceAlgorithm, Number(Deno.args[1])];
await using comm = await init();
const { rank, size } = comm;

const value = (rank: number, i: number) => Math.fround((Math.imul(i + rank, 0x9e3779b1) >> 7) / 3);

const buffer = new Float32Array(count);
for (let repeat = 0; repeat < 2; repeat++) {
  for (let i = 0; i < count; i++) buffer[i] = value(rank, i);
  const before = comm.traffic.received, { rss } = Deno.memoryUsage();
  await comm.allreduce(buffer, "sum", { algorithm });
  const wire = comm.traffic.received - before, extra = Deno.memoryUsage().rss - rss;
  assert.ok(extra < 1.5 * buffer.byteLength, `${extra} bytes of memory for ${buffer.byteLength}`);
  for (let i = 0; i < count; i++) {
    let sum = value(0, i);
    for (let r = 1; r < size; r++) sum += value(r, i);
    if (buffer[i] !== Math.fround(sum)) assert.equal(buffer[i], Math.fround(sum), `element ${i}`);
  }
  // Twice the chunks that others own, or nothing but tree exchanges if memory is read directly.
  const whole = 8 * count * (size - 1) / size;
  if (algorithm === "memory") assert.ok(wire < 10_000, `${wire} bytes came over the wire`);
  else assert.ok(wire > whole * 0.99 && wire < whole * 1.01, `${wire} bytes, expected ${whole}`);
}
if (rank === 0) console.log(`${algorithm}: ${count} floats are right`);
