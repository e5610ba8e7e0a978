/** Trains small GPTs in tests, on any device. */

import { differentiate } from "../../../models/autodiff.ts";
import type { Gpt } from "../../../models/architectures/gpt.ts";
import type { GptOptions } from "../../../models/architectures/gpt_options.ts";
import { encodeModel } from "../../../models/encode.ts";
import { type ModelGraph, parametersOf } from "../../../models/model.ts";
import { appendClippedStep, PLAIN_STEP } from "../../../optimizers/clipped_step.ts";
import type { Slot, UpdateRule } from "../../../optimizers/update_rule.ts";
import type { Device, HostTensor } from "../../../runtime/devices/device.ts";
import { Random } from "../../../runtime/base/random.ts";

/** Sizes that differ from each other, so that none can be taken for another. */
export const SMALL: GptOptions = {
  vocabulary: 23,
  layers: 2,
  heads: 3,
  width: 12,
  context: 7,
  dropout: 0.2,
};

export const BATCH = 4, LENGTH = 5, STEP_SIZE = { lr: 0.03, clip: 0.12 };

/** Random tokens of a step. */
export function tokensOf(step: number, what: "input" | "target"): HostTensor & { type: "int32" } {
  const random = new Random(6, what, step);
  const data = Int32Array.from({ length: BATCH * LENGTH }, () => random.integer(SMALL.vocabulary));
  return { type: "int32", dims: [BATCH, LENGTH], data };
}

/** The dropout masks of a step. */
export const masksOf = (model: Gpt, step: number) =>
  model.masks(BATCH, { seed: 8, rank: 1, step }, LENGTH);

/** The training graph with gradients and the clipped step. */
export function stepGraph(
  model: Gpt,
  rule: UpdateRule = PLAIN_STEP.rule,
): ModelGraph & { readonly slots: readonly Slot[] } {
  const built = model.build({ batchSize: BATCH, length: LENGTH, mode: "train" });
  const parameters = parametersOf(built);
  const gradients = differentiate(built.graph, built.loss, parameters.map(({ value }) => value));
  parameters.forEach(({ name }, i) => built.graph.output(`${name}.grad`, gradients[i]));
  const slots = appendClippedStep(built.graph, parameters, gradients, { ...PLAIN_STEP, rule });
  return { ...built, slots };
}

/** First weights that matter: biases and norms away from their start, the rest larger than GPT-2's. */
export function firstWeights(model: Gpt): Map<string, Float32Array> {
  const { variables } = model.build({ batchSize: 1, length: 1, mode: "eval" });
  return new Map(variables.map(({ name, initial }) => {
    const random = new Random(14, name), start = initial(5);
    return [name, start.map((x) => 2 * x + 0.2 * random.normal())];
  }));
}

/** What came of a run, step by step, and its weights at the end. */
export interface Trajectory {
  losses: number[];
  norms: number[];
  /** Of the first step. */
  gradients: Map<string, Float32Array>;
  weights: Map<string, Float32Array>;
}

/** Trains from {@linkcode firstWeights} on. */
export async function train(
  device: Device,
  model: Gpt,
  steps: number,
  rule: UpdateRule = PLAIN_STEP.rule,
): Promise<Trajectory> {
  const { graph, variables, slots } = stepGraph(model, rule), first = firstWeights(model);
  const kept = [...variables, ...slots].map(({ name, dims }) => ({ name, dims }));
  await using state = await device.allocate(kept);
  await state.edit((flat) => {
    for (const { name } of variables) flat.set(first.get(name)!, state.range(name).offset);
  });
  await using session = await device.compile(encodeModel(graph, { target: device.kind }), {
    state: [state],
    updates: Object.fromEntries(kept.map(({ name }) => [`${name}.next`, name])),
  });
  const scalar = (x: number): HostTensor => ({
    type: "float32",
    dims: [],
    data: Float32Array.of(x),
  });
  const losses: number[] = [], norms: number[] = [], gradients = new Map<string, Float32Array>();
  for (let step = 0; step < steps; step++) {
    const ruled = Object.entries(rule.feeds(step + 1))
      .filter(([name]) => session.inputs.includes(name))
      .map(([name, value]) => [name, scalar(value)]);
    const results = await session.run({
      ...Object.fromEntries(ruled),
      ...masksOf(model, step),
      input: tokensOf(step, "input"),
      target: tokensOf(step, "target"),
      learning_rate: scalar(STEP_SIZE.lr),
      clip_threshold: scalar(STEP_SIZE.clip),
    });
    losses.push(Number(results.loss.data[0]));
    norms.push(Number(results.grad_norm.data[0]));
    if (step > 0) continue;
    for (const { name } of variables) {
      gradients.set(name, Float32Array.from(results[`${name}.grad`].data as Float32Array));
    }
  }
  const flat = await state.read();
  const weights = new Map(variables.map(({ name }) => {
    const { offset, length } = state.range(name);
    return [name, flat.slice(offset, offset + length)];
  }));
  return { losses, norms, gradients, weights };
}
