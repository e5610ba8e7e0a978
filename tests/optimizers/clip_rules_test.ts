/** The rules of `--clip-by` on the devices, against plain arithmetic and PyTorch. */

import assert from "node:assert/strict";
import { CLIP_RULES, type ClipBy } from "../../optimizers/mod.ts";
import type { DeviceKind } from "../../runtime/devices/device.ts";
import { hasTorch, runPython, torchNote } from "../_helpers/peers/python.ts";
import { hasWebGpu, webGpuNote } from "../_helpers/web_gpu.ts";
import {
  noise,
  SHAPES,
  startWeights,
  type StepInput,
  takeSteps,
  type Tensors,
} from "./_step_device.ts";

const ETA = 0.1;

/** Thresholds of three steps: one that clips next to all, one that clips some, one that clips nothing. */
const THRESHOLDS: Partial<Record<ClipBy, number[]>> = {
  local: [0.01, 5, 1e3],
  layer: [0.001, 0.08, 1e3],
  agc: [0.001, 0.0245, 1e3],
  value: [1e-4, 0.01, 1e3],
  smooth: [0.01, 5, 1e3],
};

function weights(): Tensors {
  // A weight of zero, which adaptive clipping must let go.
  return { ...startWeights(), "linear.bias": [0] };
}

/** Gradients of noise, of which each parameter has its own size. */
function gradientsOf(step: number): Tensors {
  return Object.fromEntries(
    Object.entries(startWeights()).map(([name, x], i) => [
      name,
      noise(x.length, 20 * step + i + 3).map((v) => Math.fround(0.24 * v)),
    ]),
  );
}

const stepsOf = (rule: ClipBy): StepInput[] =>
  THRESHOLDS[rule]!.map((clipThreshold, i) => ({
    gradients: gradientsOf(i),
    learningRate: ETA,
    clipThreshold,
  }));

const norm = (v: readonly number[]) => Math.sqrt(v.reduce((sum, x) => sum + x * x, 0));

/** Cuts a piece of a gradient to a length if it is longer. */
function cut(piece: number[], most: number): { cut: number[]; clipped: boolean } {
  const length = norm(piece), clipped = length > most;
  return { cut: clipped ? piece.map((g) => g * most / length) : piece, clipped };
}

/** The pieces that a rule clips by themselves: of a parameter, floats that follow each other. */
function piecesOf(rule: ClipBy, name: string): number {
  const dims = SHAPES[name];
  if (rule === "value") return dims.reduce((a, b) => a * b, 1);
  return rule === "agc" && dims.length > 1 ? dims[0] : 1;
}

/** One step in float64. */
function byHand(rule: ClipBy, x: Tensors, { gradients, clipThreshold = 0 }: StepInput) {
  const most = clipThreshold / ETA, all = Object.values(gradients).flat();
  const whole = rule === "local"
    ? Math.min(1, most / norm(all))
    : rule === "smooth"
    ? most / (most + norm(all))
    : null;
  let clipped = 0, count = 0;
  const next = Object.fromEntries(
    Object.entries(x).map(([name, own]) => {
      const g = gradients[name];
      if (whole !== null) return [name, own.map((v, i) => v - ETA * whole * g[i])];
      const pieces = piecesOf(rule, name), length = g.length / pieces;
      const changed: number[] = [];
      for (let p = 0; p < pieces; p++) {
        const range = [p * length, (p + 1) * length] as const;
        const limit = rule === "agc" ? most * Math.max(norm(own.slice(...range)), 1e-3) : most;
        const piece = cut(g.slice(...range), limit);
        if (piece.clipped) clipped++;
        count++;
        changed.push(...piece.cut);
      }
      return [name, own.map((v, i) => v - ETA * changed[i])];
    }),
  );
  return { weights: next as Tensors, share: count > 0 ? clipped / count : undefined };
}

function near(found: Tensors, expected: Tensors, what: string) {
  for (const [name, values] of Object.entries(found)) {
    values.forEach((value, i) => {
      const error = Math.abs(value - expected[name][i]);
      assert.ok(error < 2e-6, `${what} ${name}[${i}]: ${value}, expected ${expected[name][i]}`);
    });
  }
}

const rules = Object.keys(THRESHOLDS) as ClipBy[];
const devices: DeviceKind[] = ["cpu", "wasm", ...hasWebGpu ? ["webgpu" as const] : []];

for (const rule of rules) {
  for (const device of devices) {
    Deno.test(`--clip-by ${rule} is plain arithmetic on ${device}${webGpuNote}`, async () => {
      const steps = stepsOf(rule), shares: (number | undefined)[] = [];
      const found = await takeSteps({ clipBy: rule }, weights(), steps, device);
      let x = weights();
      for (const [t, step] of steps.entries()) {
        const expected = byHand(rule, x, step);
        near(found[t].weights, expected.weights, `step ${t}`);
        shares.push(expected.share);
        if (expected.share === undefined) assert.equal(found[t].clippedShare, undefined);
        else {assert.ok(
            Math.abs(found[t].clippedShare! - expected.share) < 2e-5,
            `${expected.share}`,
          );}
        x = found[t].weights;
      }
      const [most, some, none] = shares;
      if (some === undefined) return;
      assert.ok(most! > 0.9 && some > 0 && some < 1 && none === 0, `${shares}`);
    });
  }
}

Deno.test({
  name: `the rules of --clip-by are PyTorch's${torchNote}`,
  ignore: !hasTorch,
  async fn() {
    const job = {
      shapes: SHAPES,
      start: weights(),
      gradients: [0, 1, 2].map(gradientsOf),
      rules: Object.fromEntries(
        rules.map((rule) => [rule, THRESHOLDS[rule]!.map((threshold) => [ETA, threshold])]),
      ),
    };
    const input = new TextEncoder().encode(JSON.stringify(job));
    const output = await runPython(new URL("./_clip_torch.py", import.meta.url), [input]);
    const peers: Record<string, Tensors> = JSON.parse(new TextDecoder().decode(output));
    for (const rule of rules) {
      const last = (await takeSteps({ clipBy: rule }, weights(), stepsOf(rule))).at(-1)!;
      near(last.weights, peers[rule], rule);
    }
  },
});

Deno.test("no step along the gradient is longer than a rule says, and some come near it", async () => {
  const size = {
    parameters: Object.keys(SHAPES).length,
    floats: Object.values(startWeights()).flat().length,
  };
  const longest: Partial<Record<ClipBy, number>> = {
    local: 1,
    smooth: 1,
    layer: Math.sqrt(size.parameters),
    value: Math.sqrt(size.floats),
  };
  for (const rule of rules) {
    const bound = CLIP_RULES[rule].longestStep(size);
    if (longest[rule] === undefined) {
      assert.equal(bound, null, rule);
      continue;
    }
    assert.equal(bound, longest[rule]);
    const [step] = stepsOf(rule), start = weights();
    const clipThreshold = 1e-3 * step.clipThreshold! + 1e-3;
    const large = Object.fromEntries(
      Object.entries(step.gradients).map(([name, g]) => [name, g.map((v) => 1e4 * v)]),
    );
    const [found] = await takeSteps({ clipBy: rule }, start, [
      { ...step, gradients: large, clipThreshold },
    ]);
    const moved = norm(
      Object.keys(start).flatMap((name) => found.weights[name].map((v, i) => v - start[name][i])),
    );
    const most = bound! * clipThreshold;
    assert.ok(moved <= most * 1.001 && moved > most * 0.95, `${rule}: ${moved} of ${most}`);
  }
  for (const rule of ["layer", "value"] as const) {
    assert.equal(CLIP_RULES[rule].longestStep(null), null, "the weights are not known");
  }
  assert.equal(CLIP_RULES.max.longestStep(null), 1);
  assert.equal(CLIP_RULES["global-average"].longestStep(null), null);
});

Deno.test("a step of no size leaves the weights where they are, whatever clips", async () => {
  const gradients = gradientsOf(1);
  for (const clipBy of rules) {
    const step = { gradients, learningRate: 0, clipThreshold: 0 };
    const [found] = await takeSteps({ clipBy }, weights(), [step]);
    for (const [name, x] of Object.entries(weights())) {
      assert.ok(x.every((value, i) => value === found.weights[name][i]), `${clipBy}: ${name}`);
    }
  }
});

Deno.test("a zero gradient leaves the weights where they are, whatever clips", async () => {
  const gradients = Object.fromEntries(
    Object.entries(weights()).map(([name, x]) => [name, x.map(() => 0)]),
  );
  for (const clipBy of rules) {
    const step = { gradients, learningRate: ETA, clipThreshold: 0.5 };
    const [found] = await takeSteps({ clipBy }, weights(), [step]);
    assert.deepEqual(found.weights, weights(), clipBy);
    assert.equal(found.clippedShare ?? 0, 0, clipBy);
  }
});
