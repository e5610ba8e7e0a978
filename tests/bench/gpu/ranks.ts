/**
 * A rank of those that share the card: local steps and rounds of averaging, each part of which is timed. Rank 0
 * prints the mean over the ranks.
 *
 *     deno task launch --ranks 8 tests/bench/gpu/ranks.ts DEVICE MODEL BATCH INTERVAL SECONDS
 *
 * @module
 */

import { encodeModel } from "../../../models/encode.ts";
import { init } from "../../../runtime/mod.ts";
import type { DeviceKind, Submission } from "../../../runtime/devices/device.ts";
import { openDevice } from "../../../runtime/devices/open.ts";
import { jobOf, LENGTH, stepGraph } from "../step/networks.ts";
import { AHEAD, say } from "./measure.ts";

const [kind, name] = Deno.args as [DeviceKind, string];
const [batch, interval, seconds] = Deno.args.slice(2).map(Number);
const PARTS = ["steps", "readback", "exchange", "upload"] as const;

const comm = await init();
const job = jobOf(name, batch);
const { graph, variables } = stepGraph(job, LENGTH);
await using device = await openDevice(kind);
await using state = await device.allocate(variables.map(({ name, dims }) => ({ name, dims })));
await state.edit((flat) => {
  for (const { name, initial } of variables) flat.set(initial(1), state.range(name).offset);
});
await using session = await device.compile(
  encodeModel(graph, {
    target: kind,
    channelBlock: job.recurrent ? 1 : device.channelBlock,
    kernels: device.kernels,
  }),
  {
    state: [state],
    updates: Object.fromEntries(variables.map(({ name }) => [`${name}.next`, name])),
    optimize: false,
  },
);
const flat = new Float32Array(state.length), scale = 1 / comm.size;

let taken = 0;
/** I steps, whose numbers are fetched as training fetches them, then a round; ms of each part. */
async function round(): Promise<number[]> {
  const marks = [performance.now()];
  const mark = () => void marks.push(performance.now());
  const pending: Submission[] = [];
  for (let i = 0; i < interval; i++) {
    pending.push(await session.submit(job.feeds(taken++)));
    if (pending.length === AHEAD) { for (const each of pending.splice(0)) await each.outputs(); }
  }
  // As training does, which waits for the last steps' numbers and the weights at once.
  state.prefetch();
  for (const each of pending) await each.outputs();
  mark();
  await state.read(flat);
  mark();
  await comm.allreduce(flat);
  for (let i = 0; i < flat.length; i++) flat[i] *= scale;
  mark();
  await state.write(flat);
  mark();
  return PARTS.map((_, i) => marks[i + 1] - marks[i]);
}

await round();
await comm.barrier();
const sums = new Float64Array(PARTS.length + 2), begin = performance.now();
const go = Int32Array.of(1);
while (go[0]) {
  for (const [i, ms] of (await round()).entries()) sums[i] += ms;
  sums[PARTS.length]++;
  // All take as many rounds as rank 0 has time for.
  go[0] = Number(performance.now() - begin < 1000 * seconds);
  await comm.bcast(go);
}
const rounds = sums[PARTS.length];
sums[PARTS.length + 1] = performance.now() - begin;
await comm.allreduce(sums);
if (comm.rank === 0) {
  const mean = (i: number) => sums[i] / comm.size / rounds;
  const parts = Object.fromEntries(PARTS.map((part, i) => [`${part}Ms`, mean(i)]));
  const total = mean(PARTS.length + 1);
  say({
    what: "ranks",
    engine: "celgc",
    device: kind,
    model: name,
    batch,
    interval,
    ranks: comm.size,
    rounds,
    stepsPerSecond: comm.size * interval / total * 1000,
    ...parts,
    communicationShare: 1 - mean(0) / total,
  });
}
