/**
 * Reduces on hosts that are told apart by name alone: a letter a rank in the first argument. Prints what
 * came of it, how long it took and what was sent over the wire.
 */

import { init } from "../../../../runtime/bootstrap/init.ts";
import type { AllreduceAlgorithm } from "../../../../runtime/mod.ts";

const [hosts, algorithm, floats, repeats] = Deno.args;
Deno.env.set("CELGC_HOST", hosts[Number(Deno.env.get("CELGC_RANK"))]);
await using comm = await init();
const { rank } = comm, length = Number(floats);
const values = Float32Array.from(
  { length },
  (_, i) => Math.fround((Math.imul(i + 77 * rank, 0x9e3779b1) >> 7) / 3) * 2 ** (i % 9),
);
const buffer = new Float32Array(length), times: number[] = [];
let sent = 0;
for (let i = 0; i <= Number(repeats); i++) {
  buffer.set(values);
  await comm.barrier();
  const before = comm.traffic.sent, start = performance.now();
  await comm.allreduce(buffer, "sum", { algorithm: algorithm as AllreduceAlgorithm });
  times.push(performance.now() - start);
  await comm.barrier();
  sent = comm.traffic.sent - before;
}
const bytes = new Uint8Array(buffer.buffer);
const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
console.log(JSON.stringify({ hash, sent, ms: times.slice(1).sort((a, b) => a - b) }));
