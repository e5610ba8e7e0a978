/** Trains small AWD-LSTMs in tests, on any device and with graphs of any length. */

import { differentiate } from "../../../models/autodiff.ts";
import { type AwdLstm, awdLstm } from "../../../models/architectures/awd_lstm.ts";
import type { AwdLstmOptions } from "../../../models/architectures/awd_lstm_options.ts";
import type { TensorFeeds } from "../../../models/architectures/awd_lstm_feeds.ts";
import { encodeModel } from "../../../models/encode.ts";
import { type ModelGraph, parametersOf } from "../../../models/model.ts";
import { appendClippedStep, PLAIN_STEP } from "../../../optimizers/clipped_step.ts";
import { sgd } from "../../../optimizers/update_rules/sgd.ts";
import type { Device } from "../../../runtime/devices/device.ts";
import { Random } from "../../../runtime/base/random.ts";

/** Sizes that differ from each other, so that none can be taken for another. */
export const SMALL: AwdLstmOptions = { vocabulary: 40, embedding: 8, hidden: 12 };

export const BATCH = 3;
export const WEIGHT_DECAY = 0.01;
export const STEP_SIZE = { lr: 2, clip: 0.9 };

/** One step's text. */
export interface Stretch {
  input: Int32Array;
  target: Int32Array;
  restart: boolean;
}

/** Windows of random words, of the given lengths; the state starts anew at the steps in `restarts`. */
export function stretches(lengths: readonly number[], restarts = [0]): Stretch[] {
  const random = new Random(6, "words");
  return lengths.map((length, step) => {
    const words = () =>
      Int32Array.from({ length: length * BATCH }, () => random.integer(SMALL.vocabulary));
    return { input: words(), target: words(), restart: restarts.includes(step) };
  });
}

/** The training graph with gradients and the clipped step. */
export function stepGraph(awd: AwdLstm, length: number, gradients = true): ModelGraph {
  const model = awd.build({ batchSize: BATCH, mode: "train", length });
  const parameters = parametersOf(model);
  const values = differentiate(model.graph, model.loss, parameters.map(({ value }) => value));
  if (gradients) {
    parameters.forEach(({ name }, i) => model.graph.output(`${name}.grad`, values[i]));
  }
  appendClippedStep(model.graph, parameters, values, {
    ...PLAIN_STEP,
    rule: sgd({ weightDecay: WEIGHT_DECAY }),
  });
  return model;
}

/** The masks of a step of the run. */
export function masksOf(awd: AwdLstm, step: number): TensorFeeds {
  return awd.masks(BATCH, { seed: 8, rank: 1, step });
}

/** What came of a run, step by step, and its weights and states at the end. */
export interface Trajectory {
  losses: number[];
  entropies: number[];
  norms: number[];
  /** Of the first step. */
  gradients: Map<string, Float32Array>;
  variables: Map<string, Float32Array>;
}

/** Initial weights, larger than the model's own, so that the gates leave their linear range. */
export function initialVariables({ variables }: ModelGraph): Map<string, Float32Array> {
  return new Map(variables.map(({ name, role, initial }) => {
    const scale = role === "parameter" ? (name === "encoder.weight" ? 8 : 2) : 1;
    return [name, initial(5).map((x) => scale * x)];
  }));
}

/**
 * Trains on the stretches.
 *
 * @param graphLength the length of the graph for a stretch of `length` steps; without it one graph takes
 *   them all
 * @param inParts whether the device's own kernels compute what they can
 */
export async function train(
  device: Device,
  steps: readonly Stretch[],
  options: Partial<AwdLstmOptions> = {},
  graphLength?: (length: number) => number,
  inParts = false,
): Promise<Trajectory> {
  const awd = awdLstm({ ...SMALL, ...options });
  const any = stepGraph(awd, 4), initial = initialVariables(any);
  const specs = any.variables.map(({ name, dims }) => ({ name, dims }));
  await using state = await device.allocate(specs);
  await state.edit((flat) => {
    for (const [name, data] of initial) flat.set(data, state.range(name).offset);
  });
  const updates = Object.fromEntries(specs.map(({ name }) => [`${name}.next`, name]));
  await using stack = new AsyncDisposableStack();
  const compile = async (bytes: Uint8Array) =>
    stack.use(await device.compile(bytes, { state: [state], updates }));
  const target = device.kind;
  const one = graphLength ? undefined : await compile(encodeModel(any.graph, {
    target,
    symbolicBatch: { name: "length", other: stepGraph(awd, 5).graph },
  }));
  const sessions = new Map<number, Awaited<ReturnType<typeof compile>>>();
  const result: Trajectory = {
    losses: [],
    entropies: [],
    norms: [],
    gradients: new Map(),
    variables: new Map(),
  };
  const scalar = (value: number) =>
    ({ type: "float32", dims: [], data: Float32Array.of(value) }) as const;
  for (const [step, { input, target: targets, restart }] of steps.entries()) {
    const own = input.length / BATCH, length = graphLength?.(own) ?? own;
    let session = one ?? sessions.get(length);
    if (!session) {
      const { graph } = stepGraph(awd, length);
      const kernels = inParts ? device.kernels : undefined;
      session = await compile(encodeModel(graph, { target, kernels }));
      sessions.set(length, session);
    }
    const results = await session.run({
      ...masksOf(awd, step),
      ...awd.feeds.training({ input, target: targets }, { batchSize: BATCH, length, restart }),
      learning_rate: scalar(STEP_SIZE.lr),
      clip_threshold: scalar(STEP_SIZE.clip),
    });
    result.losses.push(Number(results.loss.data[0]));
    result.entropies.push(Number(results.cross_entropy.data[0]));
    result.norms.push(Number(results.grad_norm.data[0]));
    if (step > 0) continue;
    for (const name of parametersOf(any).map(({ name }) => name)) {
      result.gradients.set(name, (results[`${name}.grad`].data as Float32Array).slice());
    }
  }
  const flat = await state.read();
  for (const { name } of specs) {
    const { offset, length } = state.range(name);
    result.variables.set(name, flat.slice(offset, offset + length));
  }
  return result;
}
