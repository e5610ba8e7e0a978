/**
 * What a model is to a trainer: a function that builds a graph, and the variables that graph carries from
 * step to step.
 *
 * @module
 */

import type { Graph, Value } from "./graph.ts";

/**
 * Why a variable lives on: a trained weight, a running statistic of batch normalisation, hidden state
 * carried from one stretch of text to the next, or an optimizer's own tensor.
 */
export type Role = "parameter" | "statistic" | "carry" | "slot";

/** A float32 tensor that outlives a step. */
export interface Variable {
  /** PyTorch's name, such as `layer1.0.conv1.weight`; also the name of the graph's input. */
  readonly name: string;
  /** Its shape. */
  readonly dims: readonly number[];
  /** What it is for. */
  readonly role: Role;
  /** The graph's input. */
  readonly value: Value;
  /** Its value after the step, if the model computes one; also the output `<name>.next`. */
  readonly next?: Value;
  /** Its first value in row-major order: a pure function of the seed. */
  readonly initial: (seed: number) => Float32Array;
}

/** What the graph is for. Evaluation normalises with running statistics and drops nothing out. */
export type Mode = "train" | "eval";

/** Options that every model takes. */
export interface BuildOptions {
  /** Samples in a batch. */
  readonly batchSize: number;
  /** What the graph is for. */
  readonly mode: Mode;
}

/** A model's graph, before gradients and the step are appended. */
export interface ModelGraph {
  /** The nodes; gradients and the step may be appended. */
  readonly graph: Graph;
  /** The mean loss over the batch, a scalar; also the output `loss`. */
  readonly loss: Value;
  /** Every declared output by name. */
  readonly outputs: Readonly<Record<string, Value>>;
  /** Parameters and statistics, in the order PyTorch's state dict has them. */
  readonly variables: readonly Variable[];
}

/** A network that can be built at any batch size. */
export interface Model<Options extends BuildOptions = BuildOptions> {
  /** As in `--model`. */
  readonly name: string;
  /** A graph of its own at each call. */
  build(options: Options): ModelGraph;
}

/** The variables that are trained. */
export function parametersOf({ variables }: Pick<ModelGraph, "variables">): Variable[] {
  return variables.filter(({ role }) => role === "parameter");
}
