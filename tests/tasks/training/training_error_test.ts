import assert from "node:assert/strict";
import { checkTensors, TrainingError } from "../../../tasks/training/training_error.ts";

const state = (variance: number) => ({
  t: 7,
  rank: 2,
  tensors: [
    { name: "conv1.weight", dims: [2], data: Float32Array.of(1, -2) },
    { name: "bn1.running_var", dims: [2], data: Float32Array.of(1, variance) },
  ],
});

Deno.test("weights, statistics and momenta that are not finite are refused before they are saved", () => {
  checkTensors(state(3.4e38));
  for (const value of [NaN, Infinity, -Infinity]) {
    assert.throws(() => checkTensors(state(value)), (error) => {
      assert.ok(error instanceof TrainingError);
      const words = `after step 7 rank 2 has ${value} in bn1.running_var`;
      assert.ok(error.message.includes(words), error.message);
      return true;
    });
  }
});
