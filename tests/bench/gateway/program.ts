/** Times messages between ranks 1 and 2 of three, each on a host of its own; rank 1 prints them as JSON. */

import { init } from "../../../runtime/bootstrap/init.ts";

const SMALL = 400, LARGE = 9, FLOATS = 6_050_000;

const median = (times: number[]) => times.sort((a, b) => a - b)[times.length >> 1];

await using comm = await init();
const one = new Float32Array(1), many = new Float32Array(FLOATS);

/** Sends a buffer there and back; milliseconds. */
async function thereAndBack(buffer: Float32Array): Promise<number> {
  const begun = performance.now();
  if (comm.rank === 1) {
    await comm.send(buffer, 2);
    await comm.recv(buffer, 2);
  } else {
    await comm.recv(buffer, 1);
    await comm.send(buffer, 1);
  }
  return performance.now() - begun;
}

if (comm.rank !== 0) {
  await thereAndBack(many);
  const small: number[] = [], large: number[] = [];
  for (let i = 0; i < SMALL; i++) small.push(await thereAndBack(one));
  for (let i = 0; i < LARGE; i++) large.push(await thereAndBack(many));
  if (comm.rank === 1) {
    console.log(JSON.stringify({
      carrier: comm.network.carriers[2],
      relayed: comm.network.relayed[2] !== null,
      smallMicroseconds: 1000 * median(small) / 2,
      largeMilliseconds: median(large) / 2,
    }));
  }
}
