/**
 * Runs one collective again and again, until ranks end in the middle of it; the others shrink and go on.
 * Arguments: the collective, the victims' ranks, how they end: kill, throw, exit or stop; then `shrink`, `agree` or
 * `two` for when the second victim ends, or `first` if all end in the first call.
 */

import { PeerLostError, RevokedError } from "../../../../runtime/base/errors.ts";
import type { Communicator } from "../../../../runtime/communicator.ts";
import { init } from "../../../../runtime/bootstrap/init.ts";
import { callsOf } from "../../_collective_calls.ts";

const [operation, victims, way, when = "two"] = Deno.args;
const [first, second] = victims.split(",").map(Number);
await using world = await init({ onFailure: "return" });
const length = 20_000; // a call is many frames
const last = when === "first" ? 1 : 5;
const mine = world.rank;
console.log(`pid ${Deno.pid}`);

/** What is asked for, on whatever communicator. */
function call(comm: Communicator): Promise<unknown> {
  const { rank, size } = comm, message = new Float32Array(length);
  const recv = () => rank === 0 ? comm.recv(message, size - 1) : comm.send(message, 0);
  const calls: Record<string, () => Promise<unknown>> = { ...callsOf(comm, length), recv };
  return calls[operation]();
}

/** Ends this process in the way that was asked for. */
async function end(): Promise<void> {
  await Promise.resolve();
  console.log("ends now");
  if (way === "kill") Deno.kill(Deno.pid, "SIGKILL");
  if (way === "stop") Deno.kill(Deno.pid, "SIGSTOP");
  if (way === "exit") Deno.exit(0);
  throw new Error("out of luck");
}

/** What all that live must have in the end: the sum of their first ranks, in a buffer of many frames. */
async function check(comm: Communicator, lost: readonly number[]): Promise<void> {
  const sum = Array.from({ length: world.size }, (_, rank) => rank)
    .filter((rank) => !lost.includes(rank)).reduce((sum, rank) => sum + rank, 0);
  const mean = new Float32Array(length).fill(mine);
  await comm.allreduce(mean);
  if (!mean.every((value) => value === sum)) throw new Error(`${mean[0]} is not ${sum}`);
  const all = new Int32Array(comm.size);
  await comm.allgather(Int32Array.of(mine), all);
  console.log(`went on as ${comm.rank} of ${comm.size}: ${all.join(" ")}`);
}

let comm: Communicator = world;
for (let step = 1;; step++) {
  world.step = step;
  try {
    const called = call(comm);
    if (step === last && mine === first) await end();
    if (step === last && mine === second && ["two", "first"].includes(when)) await end();
    await called;
    if (step > 1000) throw new Error("nobody was lost");
  } catch (error) {
    if (!(error instanceof PeerLostError || error instanceof RevokedError)) throw error;
    console.log(`${error.name} ${error.message}`);
    comm.revoke();
    if (mine === second && when === "agree") {
      comm.agree(1).catch(() => {});
      await end();
    }
    if (mine === second && when === "shrink") {
      comm.shrink().catch(() => {});
      await end();
    }
    break;
  }
}
const lost = second === undefined ? [first] : [first, second];
// Who is lost while the others shrink may still be among them: then they shrink once more.
for (let flag = 0; flag === 0;) {
  if (when === "agree") {
    try {
      console.log(`agreed on ${await comm.agree(0b110 | mine)}`);
    } catch (error) {
      if (!(error instanceof PeerLostError)) throw error;
      console.log(`agreed on ${error.agreed} without ${comm.failed().toSorted().join(" ")}`);
      comm.ackFailed();
    }
  }
  const shrunk = await comm.shrink();
  let went = 1;
  try {
    await shrunk.barrier();
    if (shrunk.size > world.size - lost.length) went = 0;
  } catch (error) {
    if (!(error instanceof PeerLostError || error instanceof RevokedError)) throw error;
    shrunk.revoke();
    went = 0;
  }
  shrunk.ackFailed();
  try {
    flag = await shrunk.agree(went);
  } catch (error) {
    if (!(error instanceof PeerLostError)) throw error;
    flag = 0;
  }
  comm = shrunk;
}
await check(comm, lost);
