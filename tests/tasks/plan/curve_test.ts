import assert from "node:assert/strict";
import { resolveOptions } from "../../../tasks/options/resolve.ts";
import { formatSizes, planSizes } from "../../../tasks/plan/curve.ts";

Deno.test("a plan shows the learning rate from the first step to the last", () => {
  const options = resolveOptions({ schedule: "cosine", warmup: 10, lr: 0.5, lrMin: 0.1 });
  const sizes = planSizes(options, 1000, 4);
  assert.equal(sizes[0].lr, 0.05);
  assert.equal(sizes.at(-1)!.step, 1000);
  const [bars, values] = formatSizes(sizes);
  assert.match(bars, /^learning rate ▂█[▁-█]+▂$/u);
  assert.match(values, /^ {2}0.05 at step 1, 0.5 at step 22, 0.1 at step 1000$/);
});

Deno.test("a plan of stages shows each, by its epoch; one of a constant rate says so", () => {
  const staged = planSizes(resolveOptions({ lr: 1, decayAt: [2], decayClip: true }), 40, 4);
  const after = staged.filter(({ step }) => step > 20);
  assert.ok(
    after.length > 0 && after.every(({ lr, clip }) => lr === 0.1 && Math.abs(clip - 0.08) < 1e-12),
  );
  assert.ok(staged.filter(({ step }) => step <= 20).every(({ lr }) => lr === 1));
  assert.deepEqual(formatSizes(planSizes(resolveOptions({}), 40, 4)), [
    "learning rate 0.5 throughout, clipped at 0.8",
  ]);
  assert.deepEqual(formatSizes(planSizes(resolveOptions({}), 0, 0)), []);
});
