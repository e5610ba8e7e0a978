import type { Algorithm, ControlVariates } from "../algorithm.ts";
import { clipOwn } from "../clip_by.ts";
import type { ControlledStep, GradientTransform, StepOptions } from "../clipped_step.ts";
import { celgc } from "./celgc.ts";

/** What differs between the algorithms. */
export interface Controlled {
  readonly name: string;
  readonly interval: number;
  readonly step: ControlledStep | undefined;
  readonly controls: ControlVariates;
  readonly clips: Pick<StepOptions, "clips" | "clipsRound">;
}

/**
 * Local steps along g − c_i + c, from a point that all ranks have:
 *
 *     d_t^i = ∇F_i(x_t^i; ξ_t^i) − c_i + c
 *
 * after I of them the average of the round's ranks goes to all. Each rank sums up its own gradients, as they
 * are before the correction, in the slots `<p>.gradient_sum`; of these its c_i is made anew.
 */
export function controlled({ name, interval, step, controls, clips }: Controlled): Algorithm {
  const own = clips.clips && !clips.clipsRound;
  const clipBy = own ? clipOwn(step?.clipBy, name) : "local";
  const plain = celgc({ interval, step: { ...step, clipBy } });
  const update = { ...plain.update, ...clips, correct: true, transform: GRADIENT_SUM };
  return {
    ...plain,
    name,
    update,
    controls,
    undrawn: "waits",
    // A step that is not cut by its own norm is as long as its gradient says, and nothing bounds that.
    driftBound: (clip, weights, steps) => own ? plain.driftBound(clip, weights, steps) : null,
  };
}

/** Leaves gradients as they are and adds them up; who reads the sums sets them to zero. */
const GRADIENT_SUM: GradientTransform = {
  append(g, parameters, gradients) {
    const slots = parameters.map(({ name, value: { dims } }, i) => {
      const slot = { name: `${name}.gradient_sum`, dims };
      g.output(`${slot.name}.next`, g.add(g.input(slot.name, "float32", dims), gradients[i]));
      return slot;
    });
    return { gradients, slots };
  },
  feeds: () => ({}),
};
