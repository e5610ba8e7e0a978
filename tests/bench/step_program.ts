/**
 * A network's training step (forward, backward, clipped update), one at a time: prints a line of JSON when
 * the first is done, then one for each line it reads, and the profile when there are no more.
 *
 *     deno run -A tests/bench/step_program.ts DEVICE MODEL BATCH [profile]
 *
 * MODEL is `resnet20`, `resnet56`, … on images of CIFAR-10's size, `awd-lstm` at Penn Treebank's size with
 * windows of {@linkcode LENGTH} steps of time, or `gpt-nano` on windows of {@linkcode NANO}'s context.
 *
 * @module
 */

import process from "node:process";
import { createInterface } from "node:readline";
import { differentiate } from "../../models/autodiff.ts";
import { awdLstm } from "../../models/architectures/awd_lstm.ts";
import { gpt } from "../../models/architectures/gpt.ts";
import { encodeModel } from "../../models/encode.ts";
import { lower } from "../../models/lowering/mod.ts";
import { type ModelGraph, parametersOf } from "../../models/model.ts";
import { resnet } from "../../models/architectures/resnet.ts";
import { appendClippedStep, PLAIN_STEP } from "../../optimizers/clipped_step.ts";
import { sgd } from "../../optimizers/update_rules/sgd.ts";
import type { DeviceKind, HostTensor } from "../../runtime/devices/device.ts";
import { openDevice } from "../../runtime/devices/open.ts";
import { Random } from "../../runtime/base/random.ts";

type Feeds = Record<string, HostTensor>;

/** A model's training, for the bench: its graph at a length of time, and what a step is fed. */
interface Job {
  build(length: number): ModelGraph;
  readonly weightDecay: number;
  /** Whether the length of time may be left open. */
  readonly recurrent: boolean;
  feeds(step: number): Feeds;
}

/** Steps of time in a window. */
const LENGTH = 70;
const VOCABULARY = 10_000;
/** The network of --preset gpt-nano, on as many characters as Shakespeare's works have. */
const NANO = { layers: 6, heads: 6, width: 384, context: 256, vocabulary: 65 };

const [kind, name, batch] = [Deno.args[0] as DeviceKind, Deno.args[1], Number(Deno.args[2])];
const profile = Deno.args[3] === "profile";
const scalar = (x: number): HostTensor => ({ type: "float32", dims: [], data: Float32Array.of(x) });

function imageJob(depth: number): Job {
  const random = new Random(1, "images");
  const feeds: Feeds = {
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
  return {
    build: () => resnet(depth).build({ batchSize: batch, mode: "train" }),
    weightDecay: 0,
    recurrent: false,
    feeds: () => feeds,
  };
}

function textJob(): Job {
  const model = awdLstm({ vocabulary: VOCABULARY }), random = new Random(1, "words");
  const words = () => Int32Array.from({ length: batch * LENGTH }, () => random.integer(VOCABULARY));
  return {
    build: (length) => model.build({ batchSize: batch, length, mode: "train" }),
    weightDecay: 1.2e-6,
    recurrent: true,
    feeds: (step) => ({
      ...model.masks(batch, { seed: 1, rank: 0, step }),
      ...model.feeds.training({ input: words(), target: words() }, {
        batchSize: batch,
        length: LENGTH,
        restart: step === 0,
      }),
      learning_rate: scalar(30),
      clip_threshold: scalar(7.5),
    }),
  };
}

function gptJob(): Job {
  const { context: length, vocabulary } = NANO, random = new Random(1, "tokens");
  const tokens = (): HostTensor => ({
    type: "int32",
    dims: [batch, length],
    data: Int32Array.from({ length: batch * length }, () => random.integer(vocabulary)),
  });
  return {
    build: () => gpt(NANO).build({ batchSize: batch, length, mode: "train" }),
    weightDecay: 0,
    recurrent: false,
    feeds: () => ({
      input: tokens(),
      target: tokens(),
      learning_rate: scalar(0.5),
      clip_threshold: scalar(0.5),
    }),
  };
}

function jobOf(name: string): Job {
  if (name === "awd-lstm") return textJob();
  return name === "gpt-nano" ? gptJob() : imageJob(Number(name.replace("resnet", "")));
}

const job = jobOf(name);

function stepGraph(length: number): ModelGraph {
  const model = job.build(length), parameters = parametersOf(model);
  const gradients = differentiate(model.graph, model.loss, parameters.map(({ value }) => value));
  const { weightDecay } = job;
  appendClippedStep(model.graph, parameters, gradients, {
    ...PLAIN_STEP,
    rule: sgd({ weightDecay }),
  });
  return model;
}

const { graph, variables } = stepGraph(LENGTH);
await using device = await openDevice(kind);
const { channelBlock } = device;
const model = encodeModel(graph, {
  target: kind,
  // As training does: shapes are fixed on a GPU alone.
  ...job.recurrent && kind !== "webgpu"
    ? { symbolicBatch: { name: "length", other: stepGraph(LENGTH + 1).graph } }
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
