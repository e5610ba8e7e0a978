/**
 * An optimizer of one's own, Lion, on CELGC's rounds: it learns the generated images.
 * `deno task launch --ranks 4 --allow ffi tests/examples/own_optimizer.ts`
 *
 *     c = β₁ m + (1 − β₁) ĝ,     x ← x − η (sign c + λ x),     m ← β₂ m + (1 − β₂) ĝ
 *
 * Chen et al., Symbolic Discovery of Optimization Algorithms, NeurIPS 2023, Algorithm 2; ĝ is clipped.
 */

import { init, resolveOptions, slotOf, train, type UpdateRule } from "../../mod.ts";

function lion({ beta1 = 0.9, beta2 = 0.99, weightDecay = 0.01 } = {}): UpdateRule {
  return {
    name: "lion",
    plain: false,
    states: ["exp_avg"],
    append: (g, step) =>
      step.parameters.map((parameter, i) => {
        const { name, value: x } = parameter, gradient = step.clipped(i);
        const { slot, value: m } = slotOf(g, parameter, "exp_avg");
        const mix = (beta: number) => g.add(g.mul(m, beta), g.mul(gradient, 1 - beta));
        const c = mix(beta1), sign = g.where(g.less(c, 0), -1, g.where(g.less(0, c), 1, 0));
        const direction = g.add(sign, g.mul(x, weightDecay));
        g.output(`${name}.next`, g.sub(x, g.mul(direction, step.learningRate)));
        g.output(`${slot.name}.next`, mix(beta2));
        return slot;
      }),
    feeds: () => ({}),
  };
}

await using comm = await init();
const options = resolveOptions({
  ranks: comm.size,
  device: "cpu",
  epochs: 2,
  lr: 3e-3,
  clip: 3e-3,
  schedule: "cosine",
  warmup: 10,
});
const { summary } = await train(comm, options, { optimizer: lion() });
if (comm.rank === 0) console.log(`accuracy ${summary.testAccuracy}, ${summary.rounds} rounds`);
