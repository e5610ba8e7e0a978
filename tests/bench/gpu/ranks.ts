/**
 * A rank of those that share the card: local steps and rounds of averaging, each part of which is timed. Rank 0
 * prints the mean over the ranks. Of what an exchange takes, that of the rank that comes last is the exchange, and
 * the rest is waiting for it.
 *
 *     deno task launch --ranks 8 tests/bench/gpu/ranks.ts DEVICE MODEL BATCH INTERVAL SECONDS
 *
 * @module
 */

import { encodeModel } from "../../../models/encode.ts";
import { init } from "../../../runtime/mod.ts";
import type { DeviceKind, Submission } from "../../../runtime/devices/device.ts";
import { openDevice } from "../../../runtime/devices/open.ts";
import { jobOf, stepGraph } from "../step/networks.ts";
import { AHEAD, doing, say } from "./measure.ts";

const [kind, name] = Deno.args as [DeviceKind, string];
const [batch, interval, seconds] = Deno.args.slice(2).map(Number);
const PARTS = ["steps", "readback", "exchange", "upload"] as const;
const EXCHANGE = PARTS.indexOf("exchange");

doing("the ranks meet");
const comm = await init();
doing("the device and the graph");
const job = jobOf(name, batch);
const { graph, variables } = stepGraph(job);
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

doing("the first rounds");
await round();
const begin = performance.now();
await round();
// As many as rank 0 has time for; nobody is asked in between, which would be waited for.
const count = Int32Array.of(Math.max(1, 1000 * seconds / (performance.now() - begin)));
await comm.bcast(count);
await comm.barrier();
doing(`${count[0]} rounds`);
const rounds: number[][] = [];
while (rounds.length < count[0]) rounds.push(await round());
const total = mean(rounds.map((parts) => parts.reduce((sum, part) => sum + part, 0)));
const mine = Float64Array.from([
  total,
  ...PARTS.map((_, i) => mean(rounds.map((each) => each[i]))),
]);
await comm.allreduce(mine);
const exchanges = Float64Array.from(rounds, (each) => each[EXCHANGE]);
await comm.allreduce(exchanges, { op: "min" });
if (comm.rank === 0) {
  const [roundMs, ...parts] = [...mine].map((sum) => sum / comm.size);
  const exchangeMs = mean([...exchanges]);
  say({
    what: "ranks",
    engine: "celgc",
    device: kind,
    model: name,
    batch,
    interval,
    ranks: comm.size,
    rounds: rounds.length,
    stepsPerSecond: comm.size * interval / roundMs * 1000,
    roundMs,
    ...Object.fromEntries(PARTS.map((part, i) => [`${part}Ms`, parts[i]])),
    exchangeMs,
    waitingMs: parts[EXCHANGE] - exchangeMs,
    communicationShare: 1 - parts[0] / roundMs,
  });
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
