/**
 * A network's training step (forward, backward, clipped update), one at a time: prints a line of JSON when
 * the first is done, then one for each line it reads, and the profile when there are no more.
 *
 *     deno run -A tests/bench/step/program.ts DEVICE MODEL BATCH [profile]
 *
 * MODEL is one of those in `networks.ts`.
 *
 * @module
 */

import process from "node:process";
import { createInterface } from "node:readline";
import { encodeModel } from "../../../models/encode.ts";
import { lower } from "../../../models/lowering/mod.ts";
import type { DeviceKind } from "../../../runtime/devices/device.ts";
import { openDevice } from "../../../runtime/devices/open.ts";
import { jobOf, stepGraph } from "./networks.ts";

const [kind, name, batch] = [Deno.args[0] as DeviceKind, Deno.args[1], Number(Deno.args[2])];
const profile = Deno.args[3] === "profile";
const job = jobOf(name, batch);

const { graph, variables } = stepGraph(job);
await using device = await openDevice(kind);
const { channelBlock } = device;
const model = encodeModel(graph, {
  target: kind,
  kernels: device.kernels,
  // As training does: shapes are fixed on a GPU alone.
  ...job.recurrent && kind !== "webgpu"
    ? { symbolicBatch: { name: "length", other: stepGraph(job, job.length + 1).graph } }
    : { channelBlock },
});
await using state = await device.allocate(variables.map(({ name, dims }) => ({ name, dims })));
await state.edit((flat) => {
  for (const { name, initial } of variables) flat.set(initial(1), state.range(name).offset);
});
await using session = await device.compile(model, {
  state: [state],
  updates: Object.fromEntries(variables.map(({ name }) => [`${name}.next`, name])),
  profile,
  optimize: false,
});

/** What a step took, and the memory the process has had at most, in MB. */
async function step(number: number) {
  const feeds = job.feeds(number);
  const start = performance.now(), cpu = process.cpuUsage();
  await session.run(feeds);
  const milliseconds = performance.now() - start, { user, system } = process.cpuUsage(cpu);
  return {
    milliseconds,
    cpuMilliseconds: (user + system) / 1000,
    megabytes: process.resourceUsage().maxRSS / 1024,
  };
}

await step(0);
const nodes = lower(graph, kind, job.recurrent ? 1 : channelBlock).nodes.length;
console.log(JSON.stringify({ description: device.description, nodes }));
let steps = 1;
for await (const _line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await step(steps++)));
}
if (profile) {
  const operators: Record<string, { milliseconds: number; nodes: number }> = {};
  for (const { operator, milliseconds } of await session.endProfile()) {
    const sum = operators[operator] ??= { milliseconds: 0, nodes: 0 };
    sum.milliseconds += milliseconds / steps;
    sum.nodes += 1 / steps;
  }
  console.log(JSON.stringify(operators));
}
