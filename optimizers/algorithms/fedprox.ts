/**
 * FedProx: local steps that are held back towards the point at which their round began.
 *
 *     g_t^i = ∇F_i(x_t^i; ξ_t^i) + μ (x_t^i − x_r)
 *     x_{t+1}^i = x_t^i − min(η, γ/‖g_t^i‖) · g_t^i,     every I steps   x^i ← (1/N) Σ_j x^j
 *
 * x_r is where the rank stood before the first step of the round: the ranks' average, or, for a rank that
 * took no part in it, the rank's own weights. It is the gradient of F_i(x) + (μ/2)‖x − x_r‖².
 *
 * Li, Sahu, Zaheer, Sanjabi, Talwalkar and Smith, Federated Optimization in Heterogeneous Networks, MLSys
 * 2020, equation 2 and Algorithm 2, whose solver is left open: plain SGD is γ = ∞ (`clips: false`, or a
 * threshold that no gradient reaches). With clipping, the norm is that of the whole g, so no step is longer
 * than γ and CELGC's bound on the drift holds.
 *
 * @module
 */

import type { Algorithm } from "../algorithm.ts";
import type { GradientTransform, StepOptions } from "../clipped_step.ts";
import { clipOwn } from "../clip_by.ts";
import { celgc, type CelgcOptions } from "./celgc.ts";

/** μ where nothing else is said, as in the script of Crawshaw, Bao and Liu (NeurIPS 2023). */
export const FEDPROX_MU = 0.01;

/** How FedProx runs. */
export interface FedProxOptions extends Pick<CelgcOptions, "interval" | "average"> {
  /** μ, 0 or more. @default {0.01} */
  readonly mu?: number;
  /** Whether steps are clipped at all. @default {true} */
  readonly clips?: boolean;
  /** The rest of the step: the update rule. */
  readonly step?: Partial<Omit<StepOptions, "clips" | "correct" | "transform">>;
}

/** Describes FedProx. Throws RangeError for a negative μ. */
export function fedProx(options: FedProxOptions): Algorithm {
  const { interval, average = "after", mu = FEDPROX_MU, clips = true, step } = options;
  if (!(mu >= 0 && mu < Infinity)) throw new RangeError(`μ of FedProx is 0 or more, not ${mu}`);
  const clipping = celgc({
    interval,
    average,
    step: { ...step, clipBy: clipOwn(step?.clipBy, "fedprox") },
  });
  return {
    ...clipping,
    name: "fedprox",
    update: { ...clipping.update, clips, transform: proximal(mu, interval) },
    driftBound: (clip, weights, steps) => clips ? clipping.driftBound(clip, weights, steps) : null,
  };
}

/**
 * g ← g + μ (x − x_r). The graph keeps x_r itself, in the slots `<p>.round_start`: the scalar input
 * `round_begins` is 1 at the first step of a round, where x_r becomes x, and 0 at the others.
 */
function proximal(mu: number, interval: number): GradientTransform {
  return {
    append(g, parameters, gradients) {
      const begins = g.input("round_begins", "float32", []), goesOn = g.sub(1, begins);
      const slots = parameters.map(({ name, value: { dims } }) => ({
        name: `${name}.round_start`,
        dims,
      }));
      const held = parameters.map(({ value: x }, i) => {
        const { name, dims } = slots[i];
        // Each factor is 0 or 1, so that one of the two is taken as it is.
        const kept = g.mul(g.input(name, "float32", dims), goesOn);
        const start = g.output(`${name}.next`, g.add(g.mul(x, begins), kept));
        return g.add(gradients[i], g.mul(g.sub(x, start), mu));
      });
      return { gradients: held, slots };
    },
    feeds: (t) => ({ round_begins: (t - 1) % interval === 0 ? 1 : 0 }),
  };
}
