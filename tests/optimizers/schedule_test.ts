import assert from "node:assert/strict";
import { stageWise } from "../../optimizers/schedule.ts";

const initial = { learningRate: 0.3, clipThreshold: 1 };

Deno.test("the learning rate falls at each stage, from the step that begins there", () => {
  const decay = { at: [80, 120], factor: 0.1, decaysClip: false };
  const rate = (epoch: number) => stageWise(initial, decay, epoch).learningRate;
  assert.equal(rate(0), 0.3);
  assert.equal(rate(80 - 1 / 97), 0.3);
  assert.ok(Math.abs(rate(80) - 0.03) < 1e-15);
  assert.ok(Math.abs(rate(119.99) - 0.03) < 1e-15);
  assert.ok(Math.abs(rate(200) - 0.003) < 1e-15);
});

Deno.test("the clipping threshold falls along only where the schedule says so", () => {
  const at = [80, 120], factor = 0.1;
  assert.equal(stageWise(initial, { at, factor, decaysClip: false }, 150).clipThreshold, 1);
  const { clipThreshold } = stageWise(initial, { at, factor, decaysClip: true }, 150);
  assert.ok(Math.abs(clipThreshold - 0.01) < 1e-15);
});

Deno.test("without stages nothing changes", () => {
  assert.deepEqual(stageWise(initial, { at: [], factor: 0.1, decaysClip: true }, 1000), initial);
});
