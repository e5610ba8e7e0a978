/**
 * One network's training step on a device, in one process of its own: prints a line of JSON for each thing it
 * has measured, the most important first, so that who stops it early has those.
 *
 *     deno run -A tests/bench/gpu/network.ts '{"device":"webgpu","model":"resnet20","batch":16,"began":0,…}'
 *
 * @module
 */

import process from "node:process";
import { loadOnnxRuntimeJspi } from "../../../deps.ts";
import { encodeModel } from "../../../models/encode.ts";
import type { CompileOptions, DeviceKind, Session } from "../../../runtime/devices/device.ts";
import { openDevice } from "../../../runtime/devices/open.ts";
import { type EngineChoice, openWebGpu } from "../../../runtime/devices/webgpu.ts";
import { jobOf, stepGraph } from "../step/networks.ts";
import { AHEAD, cardMemory, doing, say, timed } from "./measure.ts";

/** What is to be measured. */
export interface NetworkTask {
  readonly device: DeviceKind;
  readonly model: string;
  readonly batch: number;
  /** When the process was started, ms since 1970. */
  readonly began: number;
  /** How long each way is timed. */
  readonly seconds: number;
  /** Steps whose losses are printed, before anything is timed. */
  readonly losses: number;
  /** Steps between two fetches of their numbers, each timed. */
  readonly readback: readonly number[];
  /** Whether steps that are not replayed from a recording are timed too. */
  readonly plain: boolean;
  /** Whether the operators are timed one by one at the end. */
  readonly profile: boolean;
  readonly threads: number;
  /** What of the engine is chosen otherwise, on the card. */
  readonly choice?: keyof typeof CHOICES;
  /** MB in use on the card before, where that is told. */
  readonly memoryBefore?: number;
}

/** Choices beside the ones that training takes: build `asyncify`, layout NHWC, and the device's own kernels. */
const CHOICES = {
  "jspi": { load: loadOnnxRuntimeJspi },
  "NCHW": { layout: "NCHW" },
  "operators alone": {},
} as const satisfies Record<string, EngineChoice>;

const task = JSON.parse(Deno.args[0]) as NetworkTask;
const { model: name, batch, seconds } = task;
const common = { engine: "celgc", model: name, batch, device: task.device };
doing("the device and the graph");
const job = jobOf(name, batch);
const { graph, variables } = stepGraph(job);
await using device = task.choice
  ? await openWebGpu(CHOICES[task.choice])
  : await openDevice(task.device, { threads: task.threads });
const how = task.choice ? `, ${task.choice}` : "";
const model = encodeModel(graph, {
  target: task.device,
  channelBlock: job.recurrent ? 1 : device.channelBlock,
  kernels: task.choice === "operators alone" ? new Set() : device.kernels,
});
await using state = await device.allocate(variables.map(({ name, dims }) => ({ name, dims })));
await state.edit((flat) => {
  for (const { name, initial } of variables) flat.set(initial(1), state.range(name).offset);
});
const compile = (options: CompileOptions) =>
  device.compile(model, {
    state: [state],
    updates: Object.fromEntries(variables.map(({ name }) => [`${name}.next`, name])),
    optimize: false,
    ...options,
  });

let taken = 0;
/** Takes so many steps and fetches the numbers of all at the end. */
async function steps(session: Session, count: number): Promise<number[]> {
  const submitted = [];
  for (let i = 0; i < count; i++) submitted.push(await session.submit(job.feeds(taken++)));
  const losses: number[] = [];
  for (const each of submitted) losses.push((await each.outputs()).loss.data[0] as number);
  return losses;
}

{
  doing("the first step");
  await using session = await compile({});
  const losses = await steps(session, 1);
  const firstStepS = (Date.now() - task.began) / 1000;
  for (let i = 1; i < task.losses; i++) losses.push(...await steps(session, 1));
  say({
    what: "losses",
    ...common,
    variant: task.choice,
    description: device.description,
    captured: session.captured,
    firstStepS,
    losses,
  });
  const variant = (session.captured ? "captured" : "plain") + how;
  for (const every of task.readback) {
    doing(`numbers fetched every ${every} step${every > 1 ? "s" : ""}`);
    const spread = await timed(() => steps(session, every), seconds, every);
    const memoryMB = await cardMemory(), hostMB = process.resourceUsage().maxRSS / 1024;
    say({
      what: "step",
      ...common,
      variant,
      choice: task.choice,
      every,
      ...spread,
      memoryMB: memoryMB === undefined ? undefined : memoryMB - (task.memoryBefore ?? 0),
      hostMB,
      firstStepS,
      samples: job.samples,
    });
  }
}

if (task.plain) {
  doing("steps that are not recorded");
  await using session = await compile({ capture: false });
  const dispatches = await dispatchesOf(() => steps(session, 1));
  say({ what: "dispatches", ...common, dispatches });
  const spread = await timed(() => steps(session, AHEAD), seconds, AHEAD);
  say({ what: "step", ...common, variant: "plain", every: AHEAD, ...spread, samples: job.samples });
}

if (task.profile) {
  doing("the profile");
  await using session = await compile({ profile: true });
  await steps(session, 3);
  const operators: Record<string, { milliseconds: number; runs: number }> = {};
  for (const { operator, milliseconds } of await session.endProfile()) {
    const sum = operators[operator] ??= { milliseconds: 0, runs: 0 };
    sum.milliseconds += milliseconds / 3;
    sum.runs += 1 / 3;
  }
  const heaviest = Object.entries(operators).sort(([, a], [, b]) =>
    b.milliseconds - a.milliseconds
  );
  say({ what: "operators", ...common, operators: Object.fromEntries(heaviest.slice(0, 10)) });
}

/** How many dispatches a piece of work makes. */
async function dispatchesOf(work: () => Promise<unknown>): Promise<number> {
  const pass = GPUComputePassEncoder.prototype;
  const { dispatchWorkgroups, dispatchWorkgroupsIndirect } = pass;
  let dispatches = 0;
  pass.dispatchWorkgroups = function (...args) {
    dispatches++;
    return dispatchWorkgroups.apply(this, args);
  };
  pass.dispatchWorkgroupsIndirect = function (...args) {
    dispatches++;
    return dispatchWorkgroupsIndirect.apply(this, args);
  };
  try {
    await work();
  } finally {
    Object.assign(pass, { dispatchWorkgroups, dispatchWorkgroupsIndirect });
  }
  return dispatches;
}
