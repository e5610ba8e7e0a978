/** Rank 1 comes late to an allreduce; rank 0 counts the turns of its event loop meanwhile. */

import { init } from "../../../runtime/bootstrap/init.ts";

await using comm = await init();
await comm.barrier();
const buffer = new Float32Array(100_000).fill(1);
if (comm.rank === 1) {
  await comm.recv(new Uint8Array(1), 0);
  await new Promise((resolve) => setTimeout(resolve, 500));
}
const request = comm.iallreduce(buffer);
let turns = 0;
const timer = setInterval(() => turns++, 1);
if (comm.rank === 0) await comm.send(new Uint8Array(1), 1); // from now on, rank 1 is late
await request.wait();
clearInterval(timer);
if (buffer.some((value) => value !== 2)) throw new Error("the sum is wrong");
if (comm.rank === 0) console.log(`${turns} turns while rank 1 was late`);
