/**
 * The clipped step, as nodes at the end of a training graph, in three stages, each with a place of its own:
 *
 *     an algorithm's transform     g ← what it makes of the gradient, see `GradientTransform`
 *     clipping                     min(η, γ / (ε + ‖g‖₂)), the longest factor of g, or another rule: `clipping/`
 *     an update rule               x ← …, see `update_rules/`
 *
 * ‖·‖ runs over all parameters together and sees the gradient g alone. γ is the longest plain step: a gradient
 * longer than γ/η is cut to that length before a rule such as Adam sees it, and SGD's step is cut as a whole.
 *
 * Liu et al., NeurIPS 2022, Algorithm 1; the choice of the norm and ε = 10⁻¹⁰ as in the authors' code.
 *
 * @module
 */

import type { Graph, Value } from "../models/graph.ts";
import { sizeOf } from "../models/tensor.ts";
import { CLIP_RULES, type ClipBy } from "./clip_by.ts";
import { cut, NORM_EPSILON, type StepLengths, type UnclippedStep } from "./clipping/clip_rule.ts";
import type { ClippedGradients, Slot, StepParameter, UpdateRule } from "./update_rule.ts";
import { sgd } from "./update_rules/sgd.ts";

/** What a step does with a gradient. */
export interface StepOptions {
  /** Whether the step is clipped at all. */
  readonly clips: boolean;
  /** What clips it. */
  readonly clipBy: ClipBy;
  /** What makes new weights of the clipped gradient. */
  readonly rule: UpdateRule;
  /** Whether a correction is added to each gradient before its norm is taken. @default {false} */
  readonly correct?: boolean;
  /**
   * Whether a norm that all ranks have says whether to clip at all, as in EPISODE: `average_grad_norm` decides,
   * and a step that is clipped has the length γ. `clipBy` is then without effect.
   *
   * @default {false}
   */
  readonly clipsRound?: boolean;
  /**
   * What each gradient becomes before its norm is taken.
   *
   * @default {the gradient itself}
   */
  readonly transform?: GradientTransform;
}

/** The part of a step that algorithms with control variates leave open. */
export type ControlledStep = Partial<
  Omit<StepOptions, "clips" | "correct" | "clipsRound" | "transform">
>;

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
  rule: sgd(),
};

/**
 * Appends the step to a graph.
 *
 * Adds the scalar inputs `learning_rate`; `clip_threshold` if the step clips; `average_grad_norm` if a
 * norm other than the local one takes part in it; `<p>.correction` for each parameter if gradients are
 * corrected; and those of the transform and of the rule. Adds the outputs `grad_norm` (a scalar),
 * `clipped_share` (a scalar) if parts of the step are clipped by themselves, `<p>.next` and what the rule carries,
 * such as `<p>.momentum.next`.
 *
 * @param g the graph that holds the gradients
 * @param gradients one for each parameter, of its shape
 * @returns the slots: the transform's, then corrections, then the rule's
 * @throws RangeError if a gradient does not fit its parameter
 */
export function appendClippedStep(
  g: Graph,
  parameters: readonly StepParameter[],
  gradients: readonly Value[],
  options: StepOptions,
): Slot[] {
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
  const learningRate = g.input("learning_rate", "float32", []);
  const { lengths, clippedShare } = stepLengths(
    g,
    { parameters, gradients, norm, learningRate },
    options,
  );
  if (clippedShare) g.output("clipped_share", clippedShare);
  slots.push(
    ...options.rule.append(g, clippedBy(g, { parameters, gradients, learningRate, lengths })),
  );
  return slots;
}

/** Adds the clipped gradients, of which a rule may make use. */
function clippedBy(g: Graph, step: Omit<ClippedGradients, "clipped">): ClippedGradients {
  const { gradients, lengths, learningRate: rate } = step, shares = new Map<Value, Value>();
  return {
    ...step,
    clipped(i) {
      if (lengths[i] === rate) return gradients[i];
      // A rate of 0 takes no step, whatever is clipped: 0/0 would spoil what the rule keeps.
      const share = shares.get(lengths[i]) ??
        g.where(g.less(0, rate), g.div(lengths[i], rate), 1);
      shares.set(lengths[i], share);
      return g.mul(gradients[i], share);
    },
  };
}

/** How long a step each parameter takes. */
function stepLengths(
  g: Graph,
  unclipped: Omit<UnclippedStep, "threshold" | "averageNorm">,
  { clips, clipBy, clipsRound }: StepOptions,
): StepLengths {
  const { parameters, norm, learningRate } = unclipped;
  if (!clips) return { lengths: parameters.map(() => learningRate) };
  const threshold = g.input("clip_threshold", "float32", []);
  const averageNorm = () => g.input("average_grad_norm", "float32", []);
  if (clipsRound) {
    const { clips: decisive } = cut(g, unclipped, threshold, averageNorm());
    const clipped = g.div(threshold, g.add(norm, NORM_EPSILON));
    const length = g.where(decisive, clipped, learningRate);
    return { lengths: parameters.map(() => length) };
  }
  return CLIP_RULES[clipBy].append(g, { ...unclipped, threshold, averageNorm });
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
