/**
 * A rank of the soak: takes a step, averages with whoever is there, and goes on when ranks are lost or come.
 * Argument: when to stop, in ms since 1970.
 */

import { type Communicator, init, PeerLostError, RevokedError } from "../../mod.ts";
import { hashOf, LENGTH, step, type Stretch } from "./_course.ts";

const until = Number(Deno.args[0]), mine = Number(Deno.env.get("CELGC_RANK"));
console.log(`pid ${Deno.pid}`);
await using world = await init({ onFailure: "return" });
let comm: Communicator = world;

const weights = new Float32Array(LENGTH), local = new Float32Array(LENGTH);
/** Rounds that stand; −1 on a rank that has come and knows nothing yet. */
let rounds = world.isNewcomer ? -1 : 0;
let course: Stretch[] = [], members: readonly number[] = [];

const isLoss = (error: unknown) => error instanceof PeerLostError || error instanceof RevokedError;

/** Does something together; whether it stands is the same on all that live. */
async function together(work: () => Promise<void>): Promise<boolean> {
  let done = 1;
  try {
    await work();
  } catch (error) {
    if (!isLoss(error)) throw error;
    comm.revoke();
    done = 0;
  }
  comm.ackFailed();
  const all = await comm.agree(done).catch((error) => {
    if (error instanceof PeerLostError) return 0;
    throw error;
  });
  return all === 1;
}

/** Gives those that have come what the others have, and all the numbers of all. */
async function meet(): Promise<void> {
  const stands = new Int32Array(2 * comm.size);
  await comm.allgather(Int32Array.of(mine, rounds), stands);
  members = Array.from({ length: comm.size }, (_, place) => stands[2 * place]);
  const root = members.findIndex((_, place) => stands[2 * place + 1] >= 0);
  const text = new TextEncoder().encode(JSON.stringify({ rounds, course }));
  const length = Int32Array.of(text.length);
  await comm.bcast(length, root);
  const told = comm.rank === root ? text : new Uint8Array(length[0]);
  await comm.bcast(told, root);
  await comm.bcast(weights, root);
  if (rounds < 0) ({ rounds, course } = JSON.parse(new TextDecoder().decode(told)));
}

let met = false, isOver = false, grows = false, told = 0;
while (!isOver) {
  if (!met) {
    met = await together(meet);
    if (!met) {
      comm = await comm.shrink();
      continue;
    }
  }
  const flags = new Int32Array(2);
  const stands = await together(async () => {
    local.set(weights);
    step(local, mine, rounds + 1);
    flags.set([comm.newcomers, Number(Date.now() >= until)]);
    await comm.allreduce(local, "sum");
    await comm.allreduce(flags, "max");
  });
  if (stands) {
    for (let i = 0; i < LENGTH; i++) weights[i] = local[i] / comm.size;
    rounds++;
    if (`${course.at(-1)?.members}` !== `${members}`) course.push({ from: rounds, members });
    [grows, isOver] = [flags[0] > 0, flags[1] === 1];
  }
  if (Date.now() - told >= 500) {
    told = Date.now();
    const descriptors = [...Deno.readDirSync("/proc/self/fd")].length;
    const megabytes = Deno.memoryUsage().rss / 1e6;
    const stand = { at: told, rounds, size: comm.size, descriptors, megabytes };
    console.log(`stands ${JSON.stringify(stand)}`);
  }
  if (stands && (isOver || !grows)) continue;
  try {
    comm = stands ? await comm.grow() : await comm.shrink();
  } catch (error) {
    if (!isLoss(error)) throw error;
    comm.revoke();
    comm = await comm.shrink();
  }
  met = false;
}
for (const stretch of course) console.log(`stretch ${JSON.stringify(stretch)}`);
console.log(`over ${JSON.stringify({ rounds, hash: await hashOf(weights) })}`);
