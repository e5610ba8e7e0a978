/**
 * What an update rule is to the step: from clipped gradients to new weights, as nodes of a graph. Plain
 * data and pure functions, one rule a file in `update_rules/`.
 *
 * @module
 */

import type { Graph, Value } from "../models/graph.ts";

/** What the step needs to know of a parameter. */
export interface StepParameter {
  /** PyTorch's name, such as `conv1.weight`. */
  readonly name: string;
  /** The graph's input that holds it, float32. */
  readonly value: Value;
}

/** A tensor that the optimizer carries from step to step, of its parameter's shape, zero at first. */
export interface Slot {
  /** Its parameter's name and what it is of it, such as `<parameter>.momentum`. */
  readonly name: string;
  /** Its shape: its parameter's. */
  readonly dims: readonly number[];
}

/** Gradients on their way into a rule. */
export interface ClippedGradients {
  /** Of the network, in its order. */
  readonly parameters: readonly StepParameter[];
  /** One for each parameter, before clipping. */
  readonly gradients: readonly Value[];
  /** η, a scalar. */
  readonly learningRate: Value;
  /**
   * min(η, γ/‖g‖) for each parameter, of a shape that multiplies it; η where nothing is clipped. One value
   * for all where one norm clips all.
   */
  readonly lengths: readonly Value[];
  /**
   * The gradient of a parameter as clipping leaves it, g · min(η, γ/‖g‖)/η: cut to the norm γ/η where it
   * is longer. Adds nodes.
   */
  clipped(index: number): Value;
}

/** One of the rules of `--optimizer`. */
export interface UpdateRule {
  /** As in `--optimizer`. */
  readonly name: string;
  /**
   * Whether the update is x ← x − min(η, γ/‖g‖)·g, so that no step is longer than γ where the rank's own
   * norm clips: what Lemma 1 of Liu et al. and its like take for granted.
   */
  readonly plain: boolean;
  /** The names of what it keeps of each parameter, such as `momentum`: `<parameter>.momentum`. */
  readonly states: readonly string[];
  /**
   * Appends it to a graph: an output `<p>.next` for each parameter, and for each slot that it carries an
   * input of its name and an output `<slot>.next`.
   *
   * @returns the slots, for every parameter in turn
   */
  append(g: Graph, step: ClippedGradients): Slot[];
  /**
   * The scalar inputs that it adds, by name. Pure.
   *
   * @param update counted from 1: the updates that this rank has taken with it
   */
  feeds(update: number): Readonly<Record<string, number>>;
}

/**
 * Adds the input of a slot to a graph, of its parameter's shape.
 *
 * @param state one of {@linkcode UpdateRule.states}
 */
export function slotOf(
  g: Graph,
  { name, value: { dims } }: StepParameter,
  state: string,
): { readonly slot: Slot; readonly value: Value } {
  const slot = { name: `${name}.${state}`, dims };
  return { slot, value: g.input(slot.name, "float32", dims) };
}

/** Which parameters weight decay leaves alone: none, or vectors, that is biases and the weights of norms. */
export type NoDecay = "none" | "vectors";

/** As in `--no-decay`; the first is the default. */
export const NO_DECAY: readonly NoDecay[] = ["none", "vectors"];

/**
 * Whether a parameter decays. Biases and what scales or shifts after a norm have one axis; matrices,
 * kernels and embeddings have more.
 */
export function decays({ value: { dims } }: StepParameter, noDecay: NoDecay): boolean {
  return noDecay === "none" || dims.length > 1;
}

/** Refuses what does not hold. Throws RangeError. */
export function need(holds: boolean, what: string): void {
  if (!holds) throw new RangeError(what);
}
