/**
 * Runs one collective again and again, until one rank ends in the middle of it.
 * Arguments: the collective, the victim's rank, how it ends: kill, throw, exit or stop.
 */

import { PeerLostError } from "../../../runtime/base/errors.ts";
import { init } from "../../../runtime/bootstrap/init.ts";
import { callsOf } from "../_collective_calls.ts";

const [operation, victim, way] = Deno.args;
await using comm = await init();
const { rank } = comm;
const length = 50_000; // a call is many frames
const message = new Float32Array(length);
const calls: Record<string, () => Promise<unknown>> = {
  ...callsOf(comm, length),
  recv: () => rank === 0 ? comm.recv(message) : comm.send(message, 0),
};

console.log(`pid ${Deno.pid}`);
try {
  for (let step = 1;; step++) {
    comm.step = step;
    const call = calls[operation]();
    if (step === 5 && rank === Number(victim)) {
      await Promise.resolve();
      console.log("ends now");
      if (way === "kill") Deno.kill(Deno.pid, "SIGKILL");
      if (way === "stop") Deno.kill(Deno.pid, "SIGSTOP");
      if (way === "throw") throw new Error("out of luck");
      if (way === "exit") Deno.exit(0);
    }
    await call;
  }
} catch (error) {
  if (!(error instanceof PeerLostError)) throw error;
  const { rank, host, operation, step, reason } = error;
  console.log(`lost ${JSON.stringify({ rank, host, operation, step, reason })}`);
  throw error;
}
