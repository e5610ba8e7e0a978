/**
 * The graphs of training and evaluation: which nodes and outputs each needs on top of a model's own.
 *
 * @module
 */

import {
  differentiate,
  Graph,
  type Mode,
  type Model,
  type ModelGraph,
  type Operand,
  parametersOf,
  resnet,
  type ResNetOptions,
  type Role,
  type Value,
  type Variable,
} from "../../models/mod.ts";
import { appendClippedStep, type Slot, type StepOptions } from "../../optimizers/mod.ts";
import { appendAverage } from "../../optimizers/non_monotone_averaging.ts";
import type { TrainableModel } from "../task.ts";

/** The model of a name, as in `--model`. Throws RangeError for an unknown one. */
export function findModel(
  name: string,
  options: ResNetOptions = {},
): Model {
  const depth = /^resnet(\d+)$/.exec(name)?.[1];
  if (depth) return resnet(Number(depth), options);
  throw new RangeError(`no model "${name}": there are resnet8, resnet20, …, resnet110`);
}

/** What a model's graph is built for. */
export interface GraphShape {
  /** Samples in a batch; of text, columns. */
  readonly batchSize: number;
  /** Steps of a sequence, for models that have them. @default {1} */
  readonly length?: number;
}

/** A graph, and what of it lives on a device from run to run. */
export interface TrainingGraph {
  readonly graph: Graph;
  /** Trained weights and running statistics, weights first: the order of the flat form. */
  readonly weights: readonly Variable[];
  /** What each rank carries from step to step, such as hidden state. */
  readonly carries: readonly Variable[];
  /** The optimizer's own tensors. */
  readonly slots: readonly Slot[];
  /** The averages of the weights over the steps, in the weights' order; empty unless asked for. */
  readonly averages: readonly Slot[];
  /** Which output becomes which variable's new value. */
  readonly updates: Readonly<Record<string, string>>;
}

/** Weights first, then statistics, each in the model's order. */
export function weightsOf(model: Pick<ModelGraph, "variables">): Variable[] {
  return [...parametersOf(model), ...ofRole(model.variables, "statistic")];
}

/**
 * Forward, backward and update in one: a run is a step. Outputs `loss` and `grad_norm`.
 *
 * @param options.average whether the graph averages the weights over the steps as well
 * @param options.skips whether a step whose loss, gradient norm, weights or statistics are not finite leaves
 * everything as it is; the output `taken` is then 1 or 0
 */
export function stepGraph(
  model: TrainableModel,
  shape: GraphShape,
  update: StepOptions,
  { average = false, skips = false }: { average?: boolean; skips?: boolean } = {},
): TrainingGraph {
  const { graph, loss, variables } = build(model, shape, "train");
  const parameters = parametersOf({ variables });
  const gradients = differentiate(graph, loss, parameters.map(({ value }) => value));
  const slots = appendClippedStep(graph, parameters, gradients, update);
  const averages = average ? appendAverage(graph, parameters) : [];
  if (skips) {
    const logged = model.logged === undefined ? loss : graph.outputs.get(model.logged)!;
    skipUnlessFinite(graph, [loss, logged, graph.outputs.get("grad_norm")!], variables);
  }
  return trainingGraph(graph, variables, { slots, averages });
}

/** The largest float32. */
const MOST = 3.4028234663852886e38;

/** Has all that a graph moves on stay as it is unless some scalars, and what variables become, are finite. */
function skipUnlessFinite(
  graph: Graph,
  scalars: readonly Value[],
  variables: readonly Variable[],
): void {
  const next = variables.flatMap(({ name }) => graph.outputs.get(`${name}.next`) ?? []);
  const sums = [...scalars, ...next.map((value) => graph.sum(graph.abs(value)))];
  const taken = sums.reduce<Operand>(
    (before, scalar) => graph.where(graph.less(graph.abs(scalar), MOST), before, 0),
    1,
  ) as Value;
  graph.output("taken", taken);
  const moves = graph.less(0, taken);
  for (const [name, next] of [...graph.outputs]) {
    const value = name.endsWith(".next") && graph.inputs.get(name.slice(0, -".next".length));
    if (value) graph.outputs.set(name, graph.where(moves, next, value));
  }
}

/**
 * Forward and backward: outputs `loss`, and `<p>.grad` for each parameter.
 *
 * @param options.accumulate K: one of as many mini-batches whose mean gradient is wanted. The graph has an input
 * `<p>.grad` as well, the sum so far, to which the output `<p>.grad.next` adds 1/K of the batch's gradient; and
 * the scalar input `accumulated`, 0 for the first batch, whose sum begins at nothing
 */
export function gradientsGraph(
  model: TrainableModel,
  shape: GraphShape,
  { accumulate = 1 }: { accumulate?: number } = {},
): TrainingGraph {
  const { graph, loss, variables } = build(model, shape, "train");
  const parameters = parametersOf({ variables });
  const gradients = differentiate(graph, loss, parameters.map(({ value }) => value));
  const goesOn = accumulate > 1 && graph.less(0, graph.input("accumulated", "float32", []));
  parameters.forEach(({ name, dims }, i) => {
    const output = gradientName(name);
    if (!goesOn) return graph.output(output, gradients[i]);
    const sum = graph.where(goesOn, graph.input(output, "float32", dims), 0);
    graph.output(`${output}.next`, graph.add(sum, graph.mul(gradients[i], 1 / accumulate)));
  });
  return trainingGraph(graph, variables);
}

/**
 * The update alone: inputs the parameters and `<p>.grad`, output `grad_norm`.
 *
 * @param options.average as with {@linkcode stepGraph}
 */
export function applyGraph(
  model: TrainableModel,
  update: StepOptions,
  { average = false }: { average?: boolean } = {},
): TrainingGraph {
  const graph = new Graph();
  const parameters = parametersOf(build(model, { batchSize: 1 }, "eval"))
    .map((variable) => ({
      ...variable,
      value: graph.input(variable.name, "float32", variable.dims),
    }));
  const gradients = parameters.map(({ name, dims }) =>
    graph.input(gradientName(name), "float32", dims)
  );
  const slots = appendClippedStep(graph, parameters, gradients, update);
  const averages = average ? appendAverage(graph, parameters) : [];
  return trainingGraph(graph, parameters, { slots, averages });
}

/**
 * Evaluation: outputs `loss`, `loss_sum`, `logits` and what else the model measures; no weight is
 * updated.
 */
export function evalGraph(model: TrainableModel, shape: GraphShape): TrainingGraph {
  const { graph, variables } = build(model, shape, "eval");
  return trainingGraph(graph, variables);
}

/** The outputs that an evaluation sums up over its batches, of which a model has some. */
export const MEASURES = ["loss_sum", "correct", "count", "squared_error"] as const;

/** Evaluation of many batches, with the outputs {@linkcode MEASURES} alone. */
export function measureGraph(model: TrainableModel, shape: GraphShape): TrainingGraph {
  const { graph, variables } = build(model, shape, "eval");
  const kept = new Set<string>([...MEASURES, ...variables.map(({ name }) => `${name}.next`)]);
  keepOutputs(graph, (name) => kept.has(name));
  return trainingGraph(graph, variables);
}

/** Prediction: input `input`, output `logits`, or `prediction` of a regression; and what the model carries, in and out. */
export function forwardGraph(model: TrainableModel, shape: GraphShape): TrainingGraph {
  const prediction = model.predict?.(shape);
  if (prediction) return trainingGraph(prediction.graph, prediction.variables);
  const { graph, variables } = build(model, shape, "eval");
  const moved = new Set(variables.map(({ name }) => `${name}.next`));
  keepOutputs(graph, (name) => PREDICTIONS.has(name) || moved.has(name));
  return trainingGraph(graph, variables);
}

const PREDICTIONS: ReadonlySet<string> = new Set(["logits", "prediction"]);

/** Prediction of the token after one, for models that have a `decoder`; what the model carries, in and out. */
export function decoderGraph(model: TrainableModel): TrainingGraph {
  const own = model.decoder?.graph?.();
  return own ? trainingGraph(own.graph, own.variables) : forwardGraph(model, { batchSize: 1 });
}

/** A training-mode forward pass that does nothing but move the running statistics. */
export function statisticsGraph(model: TrainableModel, shape: GraphShape): TrainingGraph {
  const { graph, variables } = build(model, shape, "train");
  const moved = new Set(ofRole(variables, "statistic").map(({ name }) => `${name}.next`));
  keepOutputs(graph, (name) => moved.has(name));
  return trainingGraph(graph, variables);
}

function build(
  model: TrainableModel,
  { batchSize, length = 1 }: GraphShape,
  mode: Mode,
): ModelGraph {
  return model.build({ batchSize, length, mode });
}

function trainingGraph(
  graph: Graph,
  variables: readonly Variable[],
  kept: { slots: readonly Slot[]; averages: readonly Slot[] } = { slots: [], averages: [] },
): TrainingGraph {
  const weights = weightsOf({ variables }), carries = ofRole(variables, "carry");
  const updates = nextOf(graph, [...weights, ...carries, ...kept.slots, ...kept.averages]);
  return { graph, weights, carries, ...kept, updates };
}

const ofRole = (variables: readonly Variable[], role: Role) =>
  variables.filter((variable) => variable.role === role);

/** The output that holds a parameter's gradient. */
export function gradientName(parameter: string): string {
  return `${parameter}.grad`;
}

/** Drops the other outputs, and the inputs that only they need, such as the labels. */
function keepOutputs(graph: Graph, keep: (name: string) => boolean): void {
  for (const name of [...graph.outputs.keys()]) if (!keep(name)) graph.outputs.delete(name);
  const needed = new Set<Value>(), open = [...graph.outputs.values()];
  for (let value = open.pop(); value; value = open.pop()) {
    if (needed.has(value)) continue;
    needed.add(value);
    open.push(...value.producer?.inputs.filter((input) => input !== null) ?? []);
  }
  for (const [name, value] of [...graph.inputs]) if (!needed.has(value)) graph.inputs.delete(name);
}

function nextOf(graph: Graph, variables: readonly { name: string }[]): Record<string, string> {
  const updates = variables.map(({ name }) => [`${name}.next`, name])
    .filter(([output]) => graph.outputs.has(output));
  return Object.fromEntries(updates);
}
