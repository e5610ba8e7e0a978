/**
 * Two ranks throw a ball to and fro, and time it: half of a round trip is the latency, and a large
 * ball shows the bandwidth. `deno task launch --ranks 2 tests/examples/ping_pong.ts`
 */

import { init } from "../../runtime/bootstrap/init.ts";

const THROWS = 100;

await using comm = await init();
const other = 1 - comm.rank;
if (comm.size !== 2) throw new RangeError(`ping-pong is for 2 ranks, not ${comm.size}`);

for (const floats of [1, 1000, 1_000_000]) {
  const ball = new Float32Array(floats);
  await comm.barrier();
  const start = performance.now();
  for (let i = 0; i < THROWS; i++) {
    if (i % 2 === comm.rank) {
      ball[0]++;
      await comm.send(ball, other);
    } else {
      await comm.recv(ball, other);
    }
  }
  const ms = (performance.now() - start) / THROWS;
  const last = THROWS % 2; // the rank that has the ball in the end
  if (comm.rank === last) {
    const rate = (ball.byteLength / ms / 1e6).toFixed(2);
    console.log(`${floats} floats, touched ${ball[0]} times: ${ms.toFixed(3)} ms, ${rate} GB/s`);
  }
}
