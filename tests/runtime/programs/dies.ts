/**
 * Runs one collective again and again, until one rank ends in the middle of it.
 * Arguments: the collective, the victim's rank, how it ends: kill, throw, exit or stop.
 */

import { PeerLostError } from "../../../runtime/base/errors.ts";
import { init } from "../../../runtime/bootstrap/init.ts";

const [operation, victim, way] = Deno.args;
await using comm = await init();
const { rank, size } = comm;
const length = 50_000; // a call is many frames
const counts = new Array(size).fill(length);
const one = new Float32Array(length), all = new Float32Array(length * size);
const other = new Float32Array(length * size);
const root = 0, atRoot = rank === root;
const calls: Record<string, () => Promise<unknown>> = {
  barrier: () => comm.barrier(),
  bcast: () => comm.bcast(one, root),
  allreduce: () => comm.allreduce(one),
  reduce: () => comm.reduce(one, "sum", root),
  gather: () => comm.gather(one, atRoot ? all : null, root),
  gatherv: () => comm.gatherv(one, atRoot ? all : null, counts, root),
  scatter: () => comm.scatter(atRoot ? all : null, one, root),
  scatterv: () => comm.scatterv(atRoot ? all : null, counts, one, root),
  allgather: () => comm.allgather(one, all),
  allgatherv: () => comm.allgatherv(one, all, counts),
  alltoall: () => comm.alltoall(all, other),
  alltoallv: () => comm.alltoallv(all, counts, other, counts),
  reduceScatter: () => comm.reduceScatter(all, one),
  scan: () => comm.scan(one),
  exscan: () => comm.exscan(one),
  iallreduce: () => comm.iallreduce(one).wait(),
  split: () => comm.split(rank % 2),
  recv: () => atRoot ? comm.recv(one) : comm.send(one, root),
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
