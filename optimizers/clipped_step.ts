/**
 * The clipped step, as nodes at the end of a training graph:
 *
 *     x ← x − min(η, γ / (ε + ‖g‖₂)) · d
 *
 * ‖·‖ runs over all parameters together and sees the gradient g alone. The direction d is g plus what
 * weight decay λ and momentum μ with dampening τ make of it, as in PyTorch's SGD:
 *
 *     d = g + λ x
 *     b ← d at the first step, then μ b + (1 − τ) d
 *     d ← b, or d + μ b with Nesterov's momentum
 *
 * Liu et al., NeurIPS 2022, Algorithm 1; decay, momentum, the choice of the norm and ε = 10⁻¹⁰ as in
 * the authors' code. Sutskever et al., On the importance of initialization and momentum, ICML 2013.
 *
 * @module
 */

import type { Graph, Value } from "../models/graph.ts";
import { sizeOf } from "../models/tensor.ts";
import { CLIP_NORMS, type ClipBy } from "./clip_by.ts";

/** What a step does with a gradient. */
export interface StepOptions {
  /** Whether the step is clipped at all. */
  readonly clips: boolean;
  /** The norm of this rank's gradient, of the ranks' averaged gradient, or the larger of the two. */
  readonly clipBy: ClipBy;
  /** μ; 0 keeps no buffer. */
  readonly momentum: number;
  /** τ: how much of the direction is kept out of the buffer after the first step. */
  readonly dampening: number;
  /** Whether the direction looks ahead by Nesterov's rule. */
  readonly nesterov: boolean;
  /** λ */
  readonly weightDecay: number;
  /**
   * Whether a correction is added to each gradient first, and the norm of the ranks' averaged gradient
   * says whether to clip at all, as in EPISODE; `clipBy` is then without effect.
   *
   * @default {false}
   */
  readonly correct?: boolean;
  /**
   * What each gradient becomes before its norm is taken.
   *
   * @default {the gradient itself}
   */
  readonly transform?: GradientTransform;
}

/** What an algorithm makes of gradients before a step is taken along them: nodes of the training graph. */
export interface GradientTransform {
  /**
   * Appends it to a graph.
   *
   * @param gradients one for each parameter, of its shape
   * @returns what takes their place, and the slots it carries from step to step: an input of the graph
   *   each, and an output `<slot>.next` if the step changes it
   */
  append(
    g: Graph,
    parameters: readonly StepParameter[],
    gradients: readonly Value[],
  ): { readonly gradients: readonly Value[]; readonly slots: readonly Slot[] };
  /** The scalar inputs that it has added, by name, for step `t`, counted from 1. Pure. */
  feeds(t: number): Readonly<Record<string, number>>;
}

/** Clipped by the local norm, with neither momentum nor weight decay: Algorithm 1 as it stands. */
export const PLAIN_STEP: StepOptions = {
  clips: true,
  clipBy: "local",
  momentum: 0,
  dampening: 0,
  nesterov: false,
  weightDecay: 0,
};

/** ε: keeps γ/‖g‖ finite. */
const NORM_EPSILON = 1e-10;

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

/**
 * Appends the step to a graph.
 *
 * Adds the scalar inputs `learning_rate`; `clip_threshold` if the step clips; `average_grad_norm` if a
 * norm other than the local one takes part in it; `dampening` (feed 0 at the very first step, τ afterwards)
 * if τ ≠ 0; and for each parameter `<p>.momentum` if μ ≠ 0 and `<p>.correction` if gradients are
 * corrected; and those of a transform. Adds the outputs `grad_norm` (a scalar), `<p>.next` and
 * `<p>.momentum.next`.
 *
 * @param g the graph that holds the gradients
 * @param gradients one for each parameter, of its shape
 * @returns the slots: the transform's, then corrections, then momenta, each for every parameter or for none
 * @throws RangeError if the options do not fit together or a gradient does not fit its parameter
 */
export function appendClippedStep(
  g: Graph,
  parameters: readonly StepParameter[],
  gradients: readonly Value[],
  options: StepOptions,
): Slot[] {
  checkStep(options);
  parameters.forEach(({ name, value }, i) => {
    if (String(gradients[i]?.dims) !== String(value.dims)) {
      throw new RangeError(
        `cannot step ${name}: its shape is [${value.dims}], its gradient's [${gradients[i]?.dims}]`,
      );
    }
  });
  const slots: Slot[] = [];
  if (options.transform) {
    const transformed = options.transform.append(g, parameters, gradients);
    gradients = transformed.gradients;
    slots.push(...transformed.slots);
  }
  if (options.correct) {
    gradients = parameters.map(({ name, value: { dims } }, i) => {
      const slot = { name: `${name}.correction`, dims };
      slots.push(slot);
      return g.add(gradients[i], g.input(slot.name, "float32", dims));
    });
  }
  const norm = g.output("grad_norm", g.sqrt(sumOfSquares(g, gradients)));
  const scale = stepLength(g, norm, options);
  const { momentum, dampening, nesterov, weightDecay } = options;
  const keep = dampening && momentum ? g.sub(1, g.input("dampening", "float32", [])) : undefined;
  parameters.forEach(({ name, value: x }, i) => {
    let d = gradients[i];
    if (weightDecay) d = g.add(d, g.mul(x, weightDecay));
    if (momentum) {
      const slot = { name: `${name}.momentum`, dims: x.dims };
      const buffer = g.add(
        g.mul(g.input(slot.name, "float32", x.dims), momentum),
        keep ? g.mul(d, keep) : d,
      );
      g.output(`${slot.name}.next`, buffer);
      slots.push(slot);
      d = nesterov ? g.add(d, g.mul(buffer, momentum)) : buffer;
    }
    g.output(`${name}.next`, g.sub(x, g.mul(d, scale)));
  });
  return slots;
}

/** Refuses options that do not fit together; the rules are PyTorch's. Throws RangeError. */
export function checkStep({ momentum, dampening, nesterov, weightDecay }: StepOptions): void {
  const need = (holds: boolean, what: string) => {
    if (!holds) throw new RangeError(what);
  };
  need(momentum >= 0 && momentum < 1, `momentum is from 0 up to, but not, 1, not ${momentum}`);
  need(dampening >= 0 && dampening <= 1, `dampening is from 0 to 1, not ${dampening}`);
  need(weightDecay >= 0, `weight decay is 0 or more, not ${weightDecay}`);
  need(
    !nesterov || (momentum > 0 && dampening === 0),
    `Nesterov's rule needs momentum above 0 and dampening 0, not momentum ${momentum} and ` +
      `dampening ${dampening}`,
  );
}

/** min(η, γ / (ε + norm)), or η: a scalar. Less and Where, because WebGPU has no Min kernel. */
function stepLength(g: Graph, local: Value, { clips, clipBy, correct }: StepOptions): Value {
  const rate = g.input("learning_rate", "float32", []);
  if (!clips) return rate;
  const threshold = g.input("clip_threshold", "float32", []);
  if (correct) {
    const common = g.input("average_grad_norm", "float32", []);
    const decisive = g.div(threshold, g.add(common, NORM_EPSILON));
    const clipped = g.div(threshold, g.add(local, NORM_EPSILON));
    return g.where(g.less(decisive, rate), clipped, rate);
  }
  const average = () => g.input("average_grad_norm", "float32", []);
  const norm = CLIP_NORMS[clipBy].append(g, local, average);
  const clipped = g.div(threshold, g.add(norm, NORM_EPSILON));
  return g.where(g.less(clipped, rate), clipped, rate);
}

/** Gradients up to this many elements are joined before they are reduced: fewer nodes, little copied. */
const JOIN_LIMIT = 1 << 16;

/**
 * Σ‖g_i‖², a scalar. A network has hundreds of small parameters of few shapes: those that agree in all
 * axes but the first are joined along it, so that the nodes grow with the shapes, not the parameters.
 */
function sumOfSquares(g: Graph, gradients: readonly Value[]): Value {
  const groups = new Map<string, Value[]>();
  gradients.forEach((gradient, i) => {
    const { dims } = gradient;
    const joins = dims.length > 0 && sizeOf(dims) <= JOIN_LIMIT;
    const key = joins ? `${dims.length}:${dims.slice(1)}` : `alone:${i}`;
    groups.set(key, [...groups.get(key) ?? [], gradient]);
  });
  const sums = [...groups.values()].map((group) =>
    g.reduce("ReduceSumSquare", group.length > 1 ? g.concat(group, 0) : group[0])
  );
  if (sums.length === 0) throw new RangeError("cannot step: there are no parameters");
  return sums.reduce((total, sum) => g.add(total, sum));
}

/**
 * Whether a step was clipped, γ/(ε + norm) < η, in the float32 arithmetic of the graph.
 *
 * @param norm the norm that decides, see {@linkcode StepOptions.clipBy}
 */
export function isClipped(norm: number, learningRate: number, clipThreshold: number): boolean {
  const { fround } = Math;
  return fround(fround(clipThreshold) / fround(fround(norm) + fround(NORM_EPSILON))) <
    fround(learningRate);
}
