import assert from "node:assert/strict";
import { adam, type AdamOptions, adamW, celgc } from "../../optimizers/mod.ts";
import { hasTorch, runPython, torchNote } from "../_helpers/peers/python.ts";
import {
  noise,
  SHAPES,
  startWeights,
  type StepInput,
  takeSteps,
  type Tensors,
} from "./_step_device.ts";

/** A small network's. */
const START = startWeights();
delete START["encoder.weight"];

/** 50 steps whose gradients are long and short, as is η; γ/η is 2 throughout. */
const STEPS: StepInput[] = Array.from({ length: 50 }, (_, t) => {
  const norm = [0.1, 1, 3, 40][t % 4], learningRate = Math.fround(0.01 / (1 + t / 25));
  const raw = Object.entries(START).map(([name, x], i) =>
    [name, noise(x.length, 100 * t + i)] as const
  );
  const length = Math.hypot(...raw.map(([, x]) => Math.hypot(...x)));
  const gradients: Tensors = Object.fromEntries(
    raw.map(([name, x]) => [name, x.map((value) => Math.fround(value * norm / length))]),
  );
  return { gradients, learningRate, clipThreshold: 2 * learningRate };
});

const VARIANTS: { adam?: AdamOptions; adamW?: AdamOptions; clips?: boolean }[] = [
  { adam: {}, clips: false },
  { adam: { beta1: 0.8, beta2: 0.95, eps: 1e-6, weightDecay: 0.1 } },
  { adam: { weightDecay: 0.1, noDecay: "vectors" } },
  { adamW: {}, clips: false },
  { adamW: { beta1: 0, beta2: 0.9, weightDecay: 0.5, noDecay: "none" } },
  { adamW: { weightDecay: 0.3 } },
];

const ruleOf = ({ adam: l2, adamW: decoupled }: typeof VARIANTS[number]) =>
  l2 ? adam(l2) : adamW(decoupled);

Deno.test({
  name: `50 steps of Adam and AdamW are PyTorch's, clipped or not${torchNote}`,
  ignore: !hasTorch,
  async fn() {
    const job = { start: START, shapes: SHAPES, steps: STEPS, variants: VARIANTS };
    const script = new URL("./_adam_torch.py", import.meta.url);
    const output = await runPython(script, [new TextEncoder().encode(JSON.stringify(job))]);
    const peers: Tensors[] = JSON.parse(new TextDecoder().decode(output));
    assert.equal(peers.length, VARIANTS.length);
    for (const [i, variant] of VARIANTS.entries()) {
      const options = { rule: ruleOf(variant), clips: variant.clips ?? true };
      const { weights } = (await takeSteps(options, START, STEPS)).at(-1)!;
      for (const [name, values] of Object.entries(weights)) {
        const what = `${JSON.stringify(variant)} ${name}`, peer = peers[i][name];
        const error = Math.max(...values.map((value, at) => Math.abs(value - peer[at])));
        const moved = Math.max(...values.map((value, at) => Math.abs(value - START[name][at])));
        assert.ok(moved > 0.01, `${what} has not moved`);
        assert.ok(error < 1e-5, `${what} differs from PyTorch's by ${error}`);
      }
    }
  },
});

Deno.test("a learning rate of 0 leaves Adam's weights where they are, clipped or not", async () => {
  const [{ gradients }] = STEPS;
  for (const clipThreshold of [0, 1]) {
    const [{ weights }] = await takeSteps({ rule: adamW() }, START, [
      { gradients, learningRate: 0, clipThreshold },
    ]);
    assert.deepEqual(weights, START);
  }
});

Deno.test("no bound on the drift is claimed of Adam", () => {
  assert.equal(celgc({ interval: 2, step: { rule: adam() } }).driftBound(1), null);
});

Deno.test("values that Adam cannot have are refused", () => {
  for (const options of [{ beta1: 1 }, { beta2: -0.1 }, { eps: -1 }, { weightDecay: -1 }]) {
    assert.throws(() => adam(options), RangeError);
    assert.throws(() => adamW(options), RangeError);
  }
});
