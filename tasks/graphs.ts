/**
 * The graphs of a job: which nodes and outputs each needs on top of a model's own.
 *
 * @module
 */

import {
  differentiate,
  Graph,
  type Model,
  type ModelGraph,
  parametersOf,
  resnet,
  type Variable,
} from "../models/mod.ts";
import { appendClippedStep, type Slot, type StepOptions } from "../optimizers/mod.ts";

/** The network of a name, as in `--model`. Throws RangeError for an unknown one. */
export function findModel(name: string): Model {
  const depth = /^resnet(\d+)$/.exec(name)?.[1];
  if (depth) return resnet(Number(depth));
  throw new RangeError(`no model "${name}": there are resnet8, resnet20, …, resnet110`);
}

/** A graph, and what of it lives on a device from run to run. */
export interface JobGraph {
  readonly graph: Graph;
  /** Trained weights and running statistics, weights first: the order of the flat form. */
  readonly weights: readonly Variable[];
  /** The optimizer's own tensors. */
  readonly slots: readonly Slot[];
  /** Which output becomes which variable's new value. */
  readonly updates: Readonly<Record<string, string>>;
}

/** Weights first, then statistics, each in the model's order. */
export function weightsOf(model: Pick<ModelGraph, "variables">): Variable[] {
  return [...parametersOf(model), ...model.variables.filter(({ role }) => role === "statistic")];
}

/** Forward, backward and update in one: a run is a step. Outputs `loss` and `grad_norm`. */
export function stepGraph(model: Model, batchSize: number, update: StepOptions): JobGraph {
  const { graph, loss, variables } = model.build({ batchSize, mode: "train" });
  const parameters = parametersOf({ variables });
  const gradients = differentiate(graph, loss, parameters.map(({ value }) => value));
  const slots = appendClippedStep(graph, parameters, gradients, update);
  const weights = weightsOf({ variables });
  return { graph, weights, slots, updates: nextOf(graph, [...weights, ...slots]) };
}

/** Forward and backward: outputs `loss`, and `<p>.grad` for each parameter. */
export function gradientsGraph(model: Model, batchSize: number): JobGraph {
  const { graph, loss, variables } = model.build({ batchSize, mode: "train" });
  const parameters = parametersOf({ variables });
  const gradients = differentiate(graph, loss, parameters.map(({ value }) => value));
  parameters.forEach(({ name }, i) => graph.output(gradientName(name), gradients[i]));
  const weights = weightsOf({ variables });
  return { graph, weights, slots: [], updates: nextOf(graph, weights) };
}

/** The update alone: inputs the parameters and `<p>.grad`, output `grad_norm`. */
export function applyGraph(model: Model, update: StepOptions): JobGraph {
  const { variables } = model.build({ batchSize: 1, mode: "eval" });
  const graph = new Graph();
  const parameters = parametersOf({ variables })
    .map((variable) => ({
      ...variable,
      value: graph.input(variable.name, "float32", variable.dims),
    }));
  const gradients = parameters.map(({ name, dims }) =>
    graph.input(gradientName(name), "float32", dims)
  );
  const slots = appendClippedStep(graph, parameters, gradients, update);
  return { graph, weights: parameters, slots, updates: nextOf(graph, [...parameters, ...slots]) };
}

/** Evaluation: outputs `loss`, `logits`, `loss_sum` and `correct`; nothing is updated. */
export function evalGraph(model: Model, batchSize: number): JobGraph {
  const { graph, variables } = model.build({ batchSize, mode: "eval" });
  return { graph, weights: weightsOf({ variables }), slots: [], updates: {} };
}

/** Prediction: input `input`, output `logits`. */
export function forwardGraph(model: Model, batchSize: number): JobGraph {
  const job = evalGraph(model, batchSize);
  keepOutputs(job.graph, (name) => name === "logits");
  return job;
}

/** A training-mode forward pass that does nothing but move the running statistics. */
export function statisticsGraph(model: Model, batchSize: number): JobGraph {
  const { graph, variables } = model.build({ batchSize, mode: "train" });
  keepOutputs(graph, (name) => name.endsWith(".next"));
  const weights = weightsOf({ variables });
  return { graph, weights, slots: [], updates: nextOf(graph, weights) };
}

/** The output that holds a parameter's gradient. */
export function gradientName(parameter: string): string {
  return `${parameter}.grad`;
}

/** Drops the other outputs, and the labels, which only they need. */
function keepOutputs(graph: Graph, keep: (name: string) => boolean): void {
  for (const name of [...graph.outputs.keys()]) if (!keep(name)) graph.outputs.delete(name);
  graph.inputs.delete("target");
}

function nextOf(graph: Graph, variables: readonly { name: string }[]): Record<string, string> {
  const updates = variables.map(({ name }) => [`${name}.next`, name])
    .filter(([output]) => graph.outputs.has(output));
  return Object.fromEntries(updates);
}
