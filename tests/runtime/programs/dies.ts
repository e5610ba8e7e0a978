/**
 * Runs one collective again and again, until one rank ends in the middle of it.
 * Arguments: collective, victim's rank, how it ends: kill, throw, exit or stop.
 */

import { init } from "../../../runtime/init.ts";
import { PeerLostError } from "../../../runtime/errors.ts";

const [operation, victim, way] = Deno.args;
await using comm = await init();
const { rank, size } = comm;
const length = 50_000; // large enough that a call is many frames
const one = new Float32Array(length), all = new Float32Array(length * size);
const calls: Record<string, () => Promise<void>> = {
  barrier: () => comm.barrier(),
  bcast: () => comm.bcast(one, 0),
  allreduce: () => comm.allreduce(one),
  gather: () => comm.gather(one, all, 0),
};

try {
  for (let step = 1;; step++) {
    comm.step = step;
    const call = calls[operation]();
    if (step === 5 && rank === Number(victim)) {
      if (way === "kill") Deno.kill(Deno.pid, "SIGKILL");
      if (way === "stop") Deno.kill(Deno.pid, "SIGSTOP");
      if (way === "throw") throw new Error("out of luck");
      if (way === "exit") Deno.exit(0);
    }
    await call;
  }
} catch (error) {
  if (!(error instanceof PeerLostError)) throw error;
  console.log(`lost rank ${error.rank} in ${error.operation} at step ${error.step}`);
  throw error;
}
