import assert from "node:assert/strict";
import { resolveOptions } from "../../../tasks/options/resolve.ts";

Deno.test("an update rule brings its own step sizes, unless a preset is for it or they are given", () => {
  const { lr, clip, decayClip, weightDecay, noDecay } = resolveOptions({ optimizer: "adamw" });
  assert.deepEqual([lr, clip, decayClip, weightDecay, noDecay], [
    1e-3,
    1e-3,
    true,
    0.01,
    "vectors",
  ]);
  const text = resolveOptions({ optimizer: "adam", task: "generated-text", lr: 0.01 });
  assert.deepEqual([text.lr, text.clip, text.weightDecay], [0.01, 1e-3, 0]);
  const preset = resolveOptions({ optimizer: "adamw", preset: "cifar10-resnet56", data: "d" });
  assert.deepEqual([preset.lr, preset.weightDecay, preset.batchSize], [1e-3, 0.01, 64]);
  const plain = resolveOptions({ preset: "cifar10-resnet56", data: "d" });
  assert.deepEqual([plain.lr, plain.weightDecay, plain.noDecay], [0.3, 5e-4, "none"]);
});

Deno.test("the options of a run on another schedule than its task's resolve to themselves", () => {
  for (const schedule of ["cosine", "constant", "step"] as const) {
    const options = resolveOptions({ task: "generated-text", schedule });
    assert.deepEqual(resolveOptions({ ...options }), options);
  }
  const options = resolveOptions({ preset: "diloco", interval: 10 });
  assert.deepEqual(resolveOptions({ ...options }), options);
});

Deno.test("options of another update rule or schedule are refused in one line", () => {
  const cases: [Record<string, unknown>, RegExp][] = [
    [{ optimizer: "adamw", momentum: 0.9 }, /^--momentum 0.9 has no effect with --optimizer adamw/],
    [{ beta1: 0.5 }, /^--beta1 0.5 has no effect with --optimizer sgd: leave it out$/],
    [{ schedule: "cosine", decayAt: [3] }, /^--decay-at 3 has no effect with --schedule cosine/],
    [{ lrMin: 0.1 }, /^--lr-min 0.1 has no effect with --schedule step: leave it out$/],
    [{ schedule: "linear", lrMin: 0.6 }, /^--lr-min must be at most --lr, 0.5, not 0.6$/],
    [{ schedule: "exponential" }, /^--schedule must be one of constant, step, linear/],
    // Also where a rule makes an algorithm of them.
    [{ nesterov: true, onNan: "skip" }, /needs momentum above 0/],
    [{ optimizer: "adamW" }, /did you mean adamw\?/],
  ];
  for (const [given, message] of cases) {
    assert.throws(() => resolveOptions(given), { name: "OptionError", message });
  }
});

Deno.test("labels are smoothed for any network with a cross entropy, and for no other loss", () => {
  const smoothed = (given: Record<string, unknown>) =>
    resolveOptions({ labelSmoothing: 0.1, ...given }).labelSmoothing;
  assert.equal(smoothed({ task: "generated-text", model: "gpt" }), 0.1);
  assert.equal(smoothed({ model: "net.onnx", loss: "cross-entropy" }), 0.1);
  assert.throws(
    () => smoothed({ model: "net.onnx", loss: "mse" }),
    /^OptionError: --label-smoothing is for a cross entropy, not for --loss mse$/,
  );
});
