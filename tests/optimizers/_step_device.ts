/** Takes clipped steps on the real runtime, from gradients that the test chooses. */

import { encodeModel, Graph } from "../../models/mod.ts";
import { appendClippedStep, PLAIN_STEP, type StepOptions } from "../../optimizers/mod.ts";
import type { DeviceKind, HostTensor } from "../../runtime/devices/device.ts";
import { openDevice } from "../../runtime/devices/open.ts";

/** Tensors by the name of their parameter. */
export type Tensors = Record<string, number[]>;

/** What one step is given. */
export interface StepInput {
  gradients: Tensors;
  learningRate: number;
  clipThreshold?: number;
  averageNorm?: number;
}

/** What a step came to. */
export interface StepOutput {
  weights: Tensors;
  gradNorm: number;
  /** Of rules that clip parts by themselves. */
  clippedShare?: number;
}

/** Shapes of a small network's parameters: some alike, one scalar-like, one too large to be joined. */
export const SHAPES: Record<string, number[]> = {
  "conv1.weight": [4, 3, 3, 3],
  "conv2.weight": [2, 3, 3, 3],
  "bn.weight": [4],
  "linear.bias": [1],
  "linear.weight": [3, 5],
  "encoder.weight": [300, 300],
};

/** Deterministic numbers that look random, from −1 to 1. */
export function noise(size: number, seed: number): number[] {
  return Array.from({ length: size }, (_, i) => Math.fround(Math.sin(seed * 97.3 + i * 12.9898)));
}

/** Starting weights of every parameter. */
export function startWeights(): Tensors {
  const sized = Object.entries(SHAPES);
  return Object.fromEntries(
    sized.map(([name, dims], i) => [name, noise(dims.reduce((a, b) => a * b, 1), i + 1)]),
  );
}

/** Takes steps one after another on a device. */
export async function takeSteps(
  options: Partial<StepOptions>,
  start: Tensors,
  steps: StepInput[],
  kind: DeviceKind = "cpu",
): Promise<StepOutput[]> {
  const update = { ...PLAIN_STEP, ...options };
  const graph = new Graph();
  const names = Object.keys(start);
  const parameters = names.map((name) => ({
    name,
    value: graph.input(name, "float32", SHAPES[name]),
  }));
  const gradients = names.map((name) => graph.input(`${name}.grad`, "float32", SHAPES[name]));
  const slots = appendClippedStep(graph, parameters, gradients, update);
  await using device = await openDevice(kind);
  await using state = await device.allocate(
    [...parameters.map(({ name }) => ({ name, dims: SHAPES[name] })), ...slots]
      .map(({ name, dims }) => ({ name, dims })),
  );
  const updates = Object.fromEntries(state.specs.map(({ name }) => [`${name}.next`, name]));
  await using session = await device.compile(encodeModel(graph, { target: kind }), {
    state: [state],
    updates,
  });
  await state.edit((flat) => {
    for (const name of names) flat.set(start[name], state.range(name).offset);
  });
  const outputs: StepOutput[] = [];
  for (const [i, step] of steps.entries()) {
    const feeds: Record<string, HostTensor> = {};
    for (const name of names) {
      feeds[`${name}.grad`] = tensor(SHAPES[name], step.gradients[name]);
    }
    const scalars: Record<string, number> = {
      learning_rate: step.learningRate,
      clip_threshold: step.clipThreshold ?? NaN,
      average_grad_norm: step.averageNorm ?? NaN,
      ...update.rule.feeds(i + 1),
    };
    for (const [name, value] of Object.entries(scalars)) {
      if (session.inputs.includes(name)) feeds[name] = tensor([], [value]);
    }
    const { grad_norm, clipped_share } = await session.run(feeds);
    const flat = await state.read();
    const weights = Object.fromEntries(names.map((name) => {
      const { offset, length } = state.range(name);
      return [name, [...flat.subarray(offset, offset + length)]];
    }));
    const share = clipped_share ? { clippedShare: clipped_share.data[0] as number } : {};
    outputs.push({ weights, gradNorm: grad_norm.data[0] as number, ...share });
  }
  return outputs;
}

function tensor(dims: number[], data: number[]): HostTensor {
  return { type: "float32", dims, data: Float32Array.from(data) };
}
