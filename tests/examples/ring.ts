/**
 * A token goes round a ring of ranks; each adds its rank. `deno task launch --ranks 5
 * tests/examples/ring.ts`
 */

import { init } from "../../runtime/bootstrap/init.ts";

await using comm = await init();
const { rank, size } = comm, next = (rank + 1) % size, previous = (rank - 1 + size) % size;

const token = new Int32Array(1);
for (let round = 1; round <= 3; round++) {
  if (rank === 0) {
    await comm.send(token, next);
    await comm.recv(token, previous);
    console.log(`round ${round}: the token is ${token[0]}`);
  } else {
    await comm.recv(token, previous);
    token[0] += rank;
    await comm.send(token, next);
  }
}

// The same by neighbours at once: after `size` shifts everyone has its own value back.
const mine = Int32Array.of(rank), incoming = new Int32Array(1);
for (let shift = 0; shift < size; shift++) {
  await comm.sendrecv(mine, next, incoming, previous);
  mine.set(incoming);
}
if (mine[0] !== rank) throw new Error(`rank ${rank} got ${mine[0]} back`);
