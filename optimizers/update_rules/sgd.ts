/**
 * Stochastic gradient descent with what CELGC makes of it: the whole step is as long as clipping lets it be.
 *
 *     x ← x − min(η, γ/(ε + ‖g‖)) · d
 *     d = g + λ x
 *     b ← d at the first step, then μ b + (1 − τ) d
 *     d ← b, or d + μ b with Nesterov's momentum
 *
 * ‖·‖ sees the gradient g alone; the direction d is g plus what weight decay λ and momentum μ with
 * dampening τ make of it, as in PyTorch's SGD.
 *
 * Liu et al., NeurIPS 2022, Algorithm 1; decay and momentum as in the authors' code. Sutskever et al., On
 * the importance of initialization and momentum, ICML 2013.
 *
 * @module
 */

import { decays, need, type NoDecay, type Slot, slotOf, type UpdateRule } from "../update_rule.ts";

/** How SGD steps. */
export interface SgdOptions {
  /** μ; 0 keeps no buffer. @default {0} */
  readonly momentum?: number;
  /** τ: how much of the direction is kept out of the buffer after the first step. @default {0} */
  readonly dampening?: number;
  /** Whether the direction looks ahead by Nesterov's rule. @default {false} */
  readonly nesterov?: boolean;
  /** λ. @default {0} */
  readonly weightDecay?: number;
  /** Which parameters do not decay. @default {"none"} */
  readonly noDecay?: NoDecay;
}

/** Describes SGD. Throws RangeError for options that do not fit together; the rules are PyTorch's. */
export function sgd(options: SgdOptions = {}): UpdateRule {
  const { momentum = 0, dampening = 0, nesterov = false } = options;
  const { weightDecay = 0, noDecay = "none" } = options;
  need(momentum >= 0 && momentum < 1, `momentum is from 0 up to, but not, 1, not ${momentum}`);
  need(dampening >= 0 && dampening <= 1, `dampening is from 0 to 1, not ${dampening}`);
  need(weightDecay >= 0, `weight decay is 0 or more, not ${weightDecay}`);
  need(
    !nesterov || (momentum > 0 && dampening === 0),
    `Nesterov's rule needs momentum above 0 and dampening 0, not momentum ${momentum} and ` +
      `dampening ${dampening}`,
  );
  const dampens = dampening > 0 && momentum > 0;
  return {
    name: "sgd",
    plain: momentum === 0 && weightDecay === 0,
    states: momentum > 0 ? ["momentum"] : [],
    append(g, { parameters, gradients, lengths }) {
      const slots: Slot[] = [];
      const keep = dampens ? g.sub(1, g.input("dampening", "float32", [])) : undefined;
      parameters.forEach((parameter, i) => {
        const { name, value: x } = parameter;
        let d = gradients[i];
        if (weightDecay && decays(parameter, noDecay)) d = g.add(d, g.mul(x, weightDecay));
        if (momentum) {
          const { slot, value } = slotOf(g, parameter, "momentum");
          const buffer = g.add(g.mul(value, momentum), keep ? g.mul(d, keep) : d);
          g.output(`${slot.name}.next`, buffer);
          slots.push(slot);
          d = nesterov ? g.add(d, g.mul(buffer, momentum)) : buffer;
        }
        g.output(`${name}.next`, g.sub(x, g.mul(d, lengths[i])));
      });
      return slots;
    },
    feeds: (update): Record<string, number> =>
      dampens ? { dampening: update === 1 ? 0 : dampening } : {},
  };
}
