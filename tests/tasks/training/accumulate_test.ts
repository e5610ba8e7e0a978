import assert from "node:assert/strict";
import type { StepRecord } from "../../../tasks/run/metrics.ts";
import { resolveOptions } from "../../../tasks/options/resolve.ts";
import { hasWebGpu, webGpuNote } from "../../_helpers/web_gpu.ts";
import { initialWeights } from "../_serial.ts";
import { trainMlp } from "../_train_mlp.ts";

const difference = (a: readonly number[], b: readonly number[]) =>
  Math.max(...a.map((x, i) => Math.abs(x - b[i])));

const COMMON = { algorithm: "single", maxSteps: 12, lr: 0.8, clip: 0.3, seed: 5 } as const;

const CASES = [
  { momentum: 0.9 },
  { optimizer: "adamw", lr: 0.05, clip: 0.01 },
] as const;

for (const options of CASES) {
  for (const device of ["cpu", "webgpu"] as const) {
    const ignore = device === "webgpu" && !hasWebGpu;
    const note = ignore ? webGpuNote : "";
    Deno.test({
      name: `3 mini-batches of 4 are one of 12 on ${device}: ${JSON.stringify(options)}${note}`,
      ignore,
      async fn() {
        const whole = await trainMlp({ ...COMMON, ...options, batchSize: 12 });
        const parts = { ...COMMON, ...options, batchSize: 4, accumulate: 3, device };
        const { weights, records, summary } = await trainMlp(parts);
        assert.ok(
          difference(weights, whole.weights) < 1e-5,
          `${difference(weights, whole.weights)}`,
        );
        assert.ok(difference(weights, initialWeights(5)) > 0.05, "nothing was learnt");
        const steps = (all: typeof records) =>
          all.filter((record): record is StepRecord => record.type === "step");
        const [found, expected] = [steps(records), steps(whole.records)];
        assert.equal(found.length, 12);
        for (const [i, step] of found.entries()) {
          const { loss, gradNorm, clipped, samples, epoch } = expected[i];
          assert.ok(Math.abs(step.loss - loss) < 1e-5 && Math.abs(step.gradNorm - gradNorm) < 1e-5);
          assert.deepEqual([step.clipped, step.samples], [clipped, samples]);
          assert.ok(Math.abs(step.epoch - epoch) < 1e-12);
        }
        assert.ok(found.some(({ clipped }) => clipped) && found.some(({ clipped }) => !clipped));
        assert.equal(summary.steps, 12);
      },
    });
  }
}

Deno.test("the baseline on 2 ranks with 3 mini-batches each is one rank with the sixfold batch", async () => {
  const whole = await trainMlp({ ...COMMON, batchSize: 24 });
  const baseline = { ...COMMON, algorithm: "naive-parallel", ranks: 2 } as const;
  const { weights } = await trainMlp({ ...baseline, batchSize: 4, accumulate: 3 });
  assert.ok(difference(weights, whole.weights) < 1e-5);
});

Deno.test("algorithms that use gradients otherwise do not take several mini-batches a step", () => {
  for (const algorithm of ["episode", "scaffold", "minibatch-clip"]) {
    assert.throws(() => resolveOptions({ algorithm, accumulate: 2 }), {
      name: "OptionError",
      message: new RegExp(`^--accumulate does not go with --algorithm ${algorithm}`),
    });
  }
});
