/**
 * Sums a buffer again and again, says how many bytes this rank has sent to other hosts, and ends: after as many times
 * as the first argument says, of as many floats as the second says, on two levels if that is the third.
 */

import { init } from "../../../runtime/bootstrap/init.ts";

await using comm = await init();
const [times, length] = Deno.args.map(Number);
const how = Deno.args[2] === "two-level" ? { algorithm: "two-level" } as const : {};
const buffer = new Float32Array(length);
await comm.barrier();
const before = comm.network.betweenHosts.sent;
for (let i = 0; i < times; i++) {
  buffer.fill(comm.rank + i);
  await comm.allreduce(buffer, "sum", how);
  const expected = comm.size * (comm.size - 1) / 2 + i * comm.size;
  if (buffer.some((value) => value !== expected)) throw new Error(`sum ${i} is wrong`);
  if (i === 0) console.log(`pid ${Deno.pid}`);
}
console.log(`rank ${comm.rank} sent ${comm.network.betweenHosts.sent - before}`);
