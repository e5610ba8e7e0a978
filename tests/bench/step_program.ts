/**
 * A ResNet's training step, one at a time: prints a line of JSON when the first is done, then one for
 * each line it reads, and the profile when there are no more.
 *
 *     deno run -A tests/bench/step_program.ts DEVICE DEPTH BATCH [profile]
 *
 * @module
 */

import { createInterface } from "node:readline";
import process from "node:process";
import { differentiate } from "../../models/autodiff.ts";
import { encodeModel } from "../../models/encode.ts";
import { lower } from "../../models/lowering/mod.ts";
import { parametersOf } from "../../models/model.ts";
import { resnet } from "../../models/resnet.ts";
import { appendClippedStep, PLAIN_STEP } from "../../optimizers/clipped_step.ts";
import type { DeviceKind, HostTensor } from "../../runtime/devices/device.ts";
import { openDevice } from "../../runtime/devices/open.ts";
import { Random } from "../../runtime/random.ts";

const [kind, depth, batch] = [
  Deno.args[0] as DeviceKind,
  Number(Deno.args[1]),
  Number(Deno.args[2]),
];
const profile = Deno.args[3] === "profile";

const { graph, loss, variables } = resnet(depth).build({ batchSize: batch, mode: "train" });
const parameters = parametersOf({ variables });
const gradients = differentiate(graph, loss, parameters.map(({ value }) => value));
appendClippedStep(graph, parameters, gradients, PLAIN_STEP);

await using device = await openDevice(kind);
const { channelBlock } = device;
await using state = await device.allocate(variables.map(({ name, dims }) => ({ name, dims })));
await state.edit((flat) => {
  for (const { name, initial } of variables) flat.set(initial(1), state.range(name).offset);
});
await using session = await device.compile(encodeModel(graph, { target: kind, channelBlock }), {
  state: [state],
  updates: Object.fromEntries(variables.map(({ name }) => [`${name}.next`, name])),
  profile,
});

const random = new Random(1, "images");
const scalar = (x: number): HostTensor => ({ type: "float32", dims: [], data: Float32Array.of(x) });
const feeds: Record<string, HostTensor> = {
  input: {
    type: "float32",
    dims: [batch, 3, 32, 32],
    data: Float32Array.from({ length: batch * 3072 }, () => random.normal()),
  },
  target: {
    type: "int32",
    dims: [batch],
    data: Int32Array.from({ length: batch }, () => random.integer(10)),
  },
  learning_rate: scalar(0.1),
  clip_threshold: scalar(1),
};

/** Milliseconds that a step took, and the memory the process has had at most, in MB. */
async function step(): Promise<{ milliseconds: number; megabytes: number }> {
  const start = performance.now();
  await session.run(feeds);
  const milliseconds = performance.now() - start;
  return { milliseconds, megabytes: process.resourceUsage().maxRSS / 1024 };
}

await step();
const nodes = lower(graph, kind, channelBlock).nodes.length;
console.log(JSON.stringify({ description: device.description, nodes }));
let steps = 1;
for await (const _line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await step()));
  steps++;
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
