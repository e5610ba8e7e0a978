/**
 * Ranks that are lost have others in their stead: all let them in, and sum together until enough steps are done.
 * Arguments: victims as `rank@step,…`, by rank in the job, where the step may be `grow`, in the middle of letting others
 * in, or `join`, before it is let in itself; how many steps; how many ranks a step takes.
 */

import { PeerLostError, RevokedError } from "../../../../runtime/base/errors.ts";
import type { Communicator } from "../../../../runtime/communicator.ts";
import { init } from "../../../../runtime/bootstrap/init.ts";

const [victims, steps, wanted] = Deno.args;
const number = Number(Deno.env.get("CELGC_RANK"));
const end = victims.split(",").map((victim) => victim.split("@"))
  .find(([rank]) => Number(rank) === number)?.[1];
console.log(`pid ${Deno.pid}`);
const kill = () => Deno.kill(Deno.pid, "SIGKILL");
if (end === "join") setTimeout(kill, 10 * Math.random());

await using world = await init({ onFailure: "return" });
let comm: Communicator = world, step = 0, least = world.isNewcomer ? -1 : world.size;
if (world.isNewcomer) console.log(`let in as ${comm.rank} of ${comm.size}`);

/** Agrees on the step that all go on from: a newcomer has none of its own. */
async function meet(): Promise<void> {
  const state = Int32Array.of(step, least);
  await comm.allreduce(state, "max");
  [step, least] = state;
}

let met = !world.isNewcomer;
const values = new Float64Array(30_000);
while (step < Number(steps)) {
  try {
    if (!met) await meet();
    met = true;
    const waiting = Int32Array.of(comm.newcomers);
    await comm.allreduce(waiting, "max");
    if (waiting[0] > 0) {
      const { size } = comm, growing = comm.grow();
      if (end === "grow") setTimeout(kill, 5 * Math.random());
      comm = await growing;
      console.log(`grew from ${size} to ${comm.size} at ${step}`);
      met = false;
      continue;
    }
    values.fill(comm.rank + step);
    await comm.allreduce(values);
    const { size } = comm, sum = size * (size - 1) / 2 + size * step;
    if (!values.every((value) => value === sum)) throw new Error(`${values[0]} is not ${sum}`);
    // Nobody goes on without those that are to come.
    if (comm.size === Number(wanted)) step++;
    else await new Promise((resolve) => setTimeout(resolve, 5));
    if (step >= Number(end)) kill();
  } catch (error) {
    if (!(error instanceof PeerLostError || error instanceof RevokedError)) throw error;
    comm.revoke();
    comm = await comm.shrink();
    console.log(`shrank to ${comm.size} at ${step}`);
    met = false;
  }
}
const all = new Int32Array(comm.size);
await comm.allgather(Int32Array.of(number), all);
console.log(`done as ${comm.rank} of ${comm.size}: ${all.join(" ")}`);
