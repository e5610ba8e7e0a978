/**
 * Makes every collective call again and again, each on a communicator of its own, until a rank stops in the middle of
 * all of them; the others shrink each communicator, and go on with the call there.
 */

import { PeerLostError, RevokedError } from "../../../../runtime/base/errors.ts";
import { init } from "../../../../runtime/bootstrap/init.ts";
import { callsOf, COLLECTIVES } from "../../_collective_calls.ts";

const VICTIM = 1, LENGTH = 20_000; // a call is many frames
/** Calls of each that all make before one stops. */
const WHOLE = 2;
await using world = await init({ onFailure: "return" });
console.log(`pid ${Deno.pid}`);

const operations = [...COLLECTIVES, "compressed"] as const;
const comms = await Promise.all(operations.map(() => world.dup()));
const call = (place: number, comm = comms[place]) => callsOf(comm, LENGTH)[operations[place]]();
for (let i = 0; i < WHOLE; i++) await Promise.all(comms.map((_, place) => call(place)));

if (world.rank === VICTIM) {
  for (const place of comms.keys()) call(place).catch(() => {});
  await Promise.resolve();
  Deno.kill(Deno.pid, "SIGSTOP");
}
const went = await Promise.all(operations.map(async (operation, place) => {
  for (let i = 0;; i++) {
    try {
      await call(place);
      if (i > 1000) throw new Error(`nobody was lost in ${operation}`);
    } catch (error) {
      if (!(error instanceof PeerLostError || error instanceof RevokedError)) throw error;
      break;
    }
  }
  comms[place].revoke();
  const shrunk = await comms[place].shrink();
  await call(place, shrunk);
  const sum = new Float32Array(LENGTH).fill(world.rank);
  await shrunk.allreduce(sum);
  const expected = world.size * (world.size - 1) / 2 - VICTIM;
  return sum.every((value) => value === expected) ? operation : `not ${operation}: ${sum[0]}`;
}));
console.log(`went on in ${went.join(" ")}`);
