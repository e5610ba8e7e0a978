import assert from "node:assert/strict";
import { encodeModel } from "../../models/encode.ts";
import { Graph } from "../../models/graph.ts";
import { appendClippedStep, PLAIN_STEP } from "../../optimizers/clipped_step.ts";
import { sgd } from "../../optimizers/update_rules/sgd.ts";
import {
  appendAverage,
  averageWeight,
  nonMonotoneTrigger,
} from "../../optimizers/non_monotone_averaging.ts";
import { openDevice } from "../../runtime/devices/open.ts";

/** The step at which averaging starts, or −1. */
function firstTrigger(losses: number[], trigger: number): number {
  return losses.findIndex((loss, i) => nonMonotoneTrigger(losses.slice(0, i), loss, trigger));
}

Deno.test("averaging starts when a loss exceeds the best of all but the last few", () => {
  assert.equal(firstTrigger([9, 8, 7, 6, 5, 4, 3, 2, 1], 3), -1, "falling all the time");
  // The best loss comes at 2; at 5 it is the first time outside the last three.
  assert.equal(firstTrigger([9, 8, 4, 5, 6, 7, 8], 3), 6);
  // A later loss that is lower again keeps it from starting there.
  assert.equal(firstTrigger([9, 8, 4, 5, 6, 7, 3, 3.5, 3.5, 3.5, 3.5], 3), 10);
  assert.equal(firstTrigger([1, 2, 3, 4, 5], 5), -1, "too few evaluations");
  assert.equal(firstTrigger([1, 2, 3, 4, 5, 6, 7], 5), 6);
  assert.equal(firstTrigger([1, 1, 1, 1, 1, 1, 1, 1], 2), -1, "no better, but no worse");
  assert.throws(() => nonMonotoneTrigger([1], 2, 0), /from 1, not 0/);
});

Deno.test("the average in the graph is the mean of the weights after each step", async () => {
  const g = new Graph();
  const parameters = [["a", [2, 3]], ["b", [4]]].map(([name, dims]) => ({
    name: name as string,
    value: g.input(name as string, "float32", dims as number[]),
  }));
  const gradients = parameters.map(({ name, value }) =>
    g.input(`${name}.grad`, "float32", value.dims)
  );
  appendClippedStep(g, parameters, gradients, {
    ...PLAIN_STEP,
    rule: sgd({ weightDecay: 0.1 }),
  });
  const slots = appendAverage(g, parameters);
  assert.deepEqual(slots, [
    { name: "a.average", dims: [2, 3] },
    { name: "b.average", dims: [4] },
  ]);

  await using device = await openDevice("cpu");
  const weights = parameters.map(({ name, value: { dims } }) => ({ name, dims }));
  await using state = await device.allocate([...weights, ...slots]);
  await state.write(Float32Array.from({ length: 20 }, (_, i) => i < 10 ? Math.sin(i) : 0));
  await using session = await device.compile(encodeModel(g, { target: "cpu" }), {
    state: [state],
    updates: Object.fromEntries([...weights, ...slots].map(({ name }) => [`${name}.next`, name])),
  });
  const sum = new Float64Array(10);
  for (let step = 1; step <= 6; step++) {
    const tensor = (dims: readonly number[], f: (i: number) => number) => {
      const length = dims.reduce((a, b) => a * b, 1);
      return {
        type: "float32",
        dims,
        data: Float32Array.from({ length }, (_, i) => f(i)),
      } as const;
    };
    await session.run({
      "a.grad": tensor([2, 3], (i) => Math.cos(i * step)),
      "b.grad": tensor([4], (i) => Math.cos(7 + i * step)),
      learning_rate: tensor([], () => 0.5),
      clip_threshold: tensor([], () => 0.4),
      average_weight: tensor([], () => averageWeight(step)),
    });
    const flat = await state.read();
    for (let i = 0; i < 10; i++) {
      sum[i] += flat[i];
      const mean = sum[i] / step;
      assert(Math.abs(flat[10 + i] - mean) < 1e-6, `step ${step}, ${i}: ${flat[10 + i]}, ${mean}`);
    }
  }
});

Deno.test("a graph without a step cannot be averaged", () => {
  const g = new Graph();
  const value = g.input("a", "float32", [2]);
  assert.throws(() => appendAverage(g, [{ name: "a", value }]), /no output "a.next"/);
  assert.throws(() => averageWeight(0), /from 1, not 0/);
});
