/** Sums, gathers and passes on buffers of several sizes; prints what came of it and how long it took. */

import { init } from "../../../runtime/bootstrap/init.ts";

await using comm = await init();
const { rank, size } = comm;
const values = (length: number, salt: number) =>
  Float32Array.from({ length }, (_, i) => Math.sin(i * 1.37 + rank * 2.11 + salt) * 10 ** (i % 7));
const [floats] = Deno.args.map(Number);
await comm.barrier();
const start = performance.now();
const large = values(floats, 1), small = values(9, 2);
await comm.allreduce(large);
await comm.allreduce(small);
const all = new Float32Array(3 * size), passed = new Float32Array(floats);
await comm.allgather(values(3, 3), all);
const next = comm.isend(large, (rank + 1) % size);
await comm.recv(passed, (rank + size - 1) % size);
await next.wait();
await comm.barrier();
const ms = performance.now() - start;
const bytes = new Uint8Array(await new Blob([large, small, all, passed]).arrayBuffer());
const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
console.log(JSON.stringify({ hash, ms, sent: comm.traffic.sent }));
