/**
 * Adam and AdamW, as PyTorch takes them, from the clipped gradient ĝ = g · min(1, γ/(η‖g‖)):
 *
 *     ĝ ← ĝ + λ x                            Adam alone
 *     x ← x − η λ x                          AdamW alone
 *     m ← β₁ m + (1 − β₁) ĝ
 *     v ← β₂ v + (1 − β₂) ĝ²
 *     x ← x − η/(1 − β₁ᵗ) · m / (√v/√(1 − β₂ᵗ) + ε)
 *
 * t counts the updates that the rank has taken. No bound on the drift is proven: how far a step goes is not
 * a matter of the gradient's length.
 *
 * Kingma and Ba, Adam: A Method for Stochastic Optimization, ICLR 2015, Algorithm 1; Loshchilov and Hutter,
 * Decoupled Weight Decay Regularization, ICLR 2019, Algorithm 2 (with the schedule inside η, as PyTorch has it).
 *
 * @module
 */

import { decays, need, type NoDecay, type Slot, slotOf, type UpdateRule } from "../update_rule.ts";

/** How Adam steps. */
export interface AdamOptions {
  /** β₁, from 0 up to 1. @default {0.9} */
  readonly beta1?: number;
  /** β₂, from 0 up to 1. @default {0.999} */
  readonly beta2?: number;
  /** ε, added to the root of v. @default {1e-8} */
  readonly eps?: number;
  /** λ. @default {0 of Adam, 0.01 of AdamW} */
  readonly weightDecay?: number;
  /** Which parameters do not decay. @default {"none" of Adam, "vectors" of AdamW} */
  readonly noDecay?: NoDecay;
}

/** Describes Adam, whose weight decay is part of the gradient. Throws RangeError for a value out of range. */
export function adam(options: AdamOptions = {}): UpdateRule {
  return rule("adam", { weightDecay: 0, noDecay: "none", ...options }, false);
}

/** Describes AdamW, whose weight decay is not. Throws RangeError for a value out of range. */
export function adamW(options: AdamOptions = {}): UpdateRule {
  return rule("adamw", { weightDecay: 0.01, noDecay: "vectors", ...options }, true);
}

function rule(
  name: string,
  { beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weightDecay, noDecay }:
    & AdamOptions
    & Required<Pick<AdamOptions, "weightDecay" | "noDecay">>,
  decoupled: boolean,
): UpdateRule {
  need(beta1 >= 0 && beta1 < 1, `β₁ is from 0 up to, but not, 1, not ${beta1}`);
  need(beta2 >= 0 && beta2 < 1, `β₂ is from 0 up to, but not, 1, not ${beta2}`);
  need(eps >= 0, `ε is 0 or more, not ${eps}`);
  need(weightDecay >= 0, `weight decay is 0 or more, not ${weightDecay}`);
  return {
    name,
    plain: false,
    states: ["exp_avg", "exp_avg_sq"],
    append(g, step) {
      const { parameters, learningRate: rate } = step, slots: Slot[] = [];
      const size = g.div(rate, g.input("bias_correction1", "float32", []));
      const root = g.input("bias_correction2_sqrt", "float32", []);
      const shrink = weightDecay && decoupled ? g.sub(1, g.mul(rate, weightDecay)) : null;
      parameters.forEach((parameter, i) => {
        const { name, value } = parameter, decaying = weightDecay > 0 && decays(parameter, noDecay);
        let gradient = step.clipped(i), x = value;
        if (decaying && !decoupled) gradient = g.add(gradient, g.mul(x, weightDecay));
        if (decaying && shrink) x = g.mul(x, shrink);
        const mean = slotOf(g, parameter, "exp_avg"), square = slotOf(g, parameter, "exp_avg_sq");
        const m = g.add(g.mul(mean.value, beta1), g.mul(gradient, 1 - beta1));
        const squared = g.mul(gradient, gradient);
        const v = g.add(g.mul(square.value, beta2), g.mul(squared, 1 - beta2));
        g.output(`${mean.slot.name}.next`, m);
        g.output(`${square.slot.name}.next`, v);
        slots.push(mean.slot, square.slot);
        const direction = g.div(m, g.add(g.div(g.sqrt(v), root), eps));
        g.output(`${name}.next`, g.sub(x, g.mul(direction, size)));
      });
      return slots;
    },
    feeds: (update) => ({
      bias_correction1: 1 - beta1 ** update,
      bias_correction2_sqrt: Math.sqrt(1 - beta2 ** update),
    }),
  };
}
