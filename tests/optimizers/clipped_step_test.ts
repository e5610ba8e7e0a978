import assert from "node:assert/strict";
import {
  appendClippedStep,
  isClipped,
  PLAIN_STEP,
  sgd,
  type SgdOptions,
  type StepOptions,
} from "../../optimizers/mod.ts";
import { Graph } from "../../models/mod.ts";
import { hasTorch, PYTHON, torchNote } from "../_helpers/peers/python.ts";
import { noise, startWeights, type StepInput, takeSteps, type Tensors } from "./_step_device.ts";

/** Gradients of every parameter, scaled to a norm over all of them together. */
function gradientsOfNorm(seed: number, wanted: number): Tensors {
  const start = startWeights();
  const raw = Object.fromEntries(
    Object.entries(start).map(([name, x], i) => [name, noise(x.length, seed + 10 * i)]),
  );
  const norm = Math.hypot(...Object.values(raw).map((x) => Math.hypot(...x)));
  const scale = (x: number) => Math.fround(x * wanted / norm);
  return Object.fromEntries(Object.entries(raw).map(([name, x]) => [name, x.map(scale)]));
}

/** A step, with the options of SGD instead of the rule. */
type Options = Partial<Omit<StepOptions, "rule">> & SgdOptions;

/** The step of the graph. */
function stepOf({ momentum, dampening, nesterov, weightDecay, ...step }: Options) {
  const given = { momentum, dampening, nesterov, weightDecay };
  const entries = Object.entries(given).filter(([, value]) => value !== undefined);
  return { ...step, rule: sgd(Object.fromEntries(entries)) };
}

/** The same steps in float64, written out one number at a time. */
function referenceSteps(options: Options, start: Tensors, steps: StepInput[]) {
  const o = { ...PLAIN_STEP, momentum: 0, dampening: 0, weightDecay: 0, ...options };
  const x = structuredClone(start), buffers: Tensors = {};
  return steps.map(({ gradients, learningRate, clipThreshold = NaN, averageNorm = NaN }, t) => {
    const local = Math.sqrt(
      Object.values(gradients).flat().reduce((sum, value) => sum + value * value, 0),
    );
    const norm = o.clipBy === "local"
      ? local
      : o.clipBy === "max"
      ? Math.max(local, averageNorm)
      : averageNorm;
    const scale = o.clips ? Math.min(learningRate, clipThreshold / norm) : learningRate;
    for (const name of Object.keys(x)) {
      x[name] = x[name].map((value, i) => {
        let d = gradients[name][i] + o.weightDecay * value;
        if (o.momentum) {
          const buffer = buffers[name] ??= [];
          buffer[i] = t === 0 ? d : o.momentum * buffer[i] + (1 - o.dampening) * d;
          d = o.nesterov ? d + o.momentum * buffer[i] : buffer[i];
        }
        return value - scale * d;
      });
    }
    return { weights: structuredClone(x), gradNorm: local };
  });
}

async function agree(options: Options, steps: StepInput[]) {
  const start = startWeights();
  const expected = referenceSteps(options, start, steps);
  const found = await takeSteps(stepOf(options), start, steps);
  for (const [t, { weights, gradNorm }] of found.entries()) {
    const want = expected[t].gradNorm;
    assert.ok(Math.abs(gradNorm / want - 1) < 1e-5, `norm ${gradNorm}, expected ${want}`);
    for (const [name, values] of Object.entries(weights)) {
      values.forEach((value, i) => {
        const reference = expected[t].weights[name][i];
        const error = Math.abs(value - reference);
        assert.ok(error <= 1e-5, `step ${t} ${name}[${i}]: ${value}, expected ${reference}`);
      });
    }
  }
  return found;
}

Deno.test("below the threshold a step is the plain η g", async () => {
  const gradients = gradientsOfNorm(1, 2);
  const [{ weights }] = await agree({}, [{ gradients, learningRate: 0.1, clipThreshold: 1 }]);
  const start = startWeights()["bn.weight"], g = gradients["bn.weight"];
  weights["bn.weight"].forEach((x, i) => assert.ok(Math.abs(x - (start[i] - 0.1 * g[i])) < 1e-6));
});

Deno.test("above the threshold a step has length γ, over all parameters together", async () => {
  const gradients = gradientsOfNorm(2, 50);
  const [{ weights }] = await agree({}, [{ gradients, learningRate: 0.1, clipThreshold: 0.5 }]);
  const start = startWeights();
  const moved = Math.hypot(
    ...Object.keys(start).map((name) =>
      Math.hypot(...weights[name].map((x, i) => x - start[name][i]))
    ),
  );
  assert.ok(Math.abs(moved - 0.5) < 1e-4, `the step is ${moved} long`);
});

Deno.test("without clipping the threshold is no input and long gradients go far", async () => {
  await agree({ clips: false }, [{ gradients: gradientsOfNorm(3, 50), learningRate: 0.1 }]);
});

Deno.test("a zero gradient leaves the weights where they are", async () => {
  const gradients = gradientsOfNorm(4, 0);
  const [{ weights }] = await takeSteps({}, startWeights(), [
    { gradients, learningRate: 0.1, clipThreshold: 1 },
  ]);
  assert.deepEqual(weights, startWeights());
});

Deno.test("the averaged gradient's norm clips in its own right, or where it is the larger", async () => {
  const step = { gradients: gradientsOfNorm(5, 10), learningRate: 0.1, clipThreshold: 0.5 };
  for (const clipBy of ["global-average", "max"] as const) {
    for (const averageNorm of [1, 30]) await agree({ clipBy }, [{ ...step, averageNorm }]);
  }
});

/** Three steps of which the first is not clipped and the others are. */
const THREE: StepInput[] = [2, 40, 60].map((norm, t) => ({
  gradients: gradientsOfNorm(20 + t, norm),
  learningRate: 0.1,
  clipThreshold: 1,
}));

const VARIANTS: Options[] = [
  { weightDecay: 0.1 },
  { momentum: 0.9 },
  { momentum: 0.9, dampening: 0.4 },
  { momentum: 0.9, nesterov: true },
  { momentum: 0.8, nesterov: true, weightDecay: 0.05 },
  { momentum: 0.8, dampening: 0.3, weightDecay: 0.05, clips: false },
];

for (const options of VARIANTS) {
  Deno.test(`three steps with ${JSON.stringify(options)} agree with plain arithmetic`, async () => {
    await agree(options, THREE);
  });
}

Deno.test("weight decay does not count for the clipping, but is applied", async () => {
  const gradients = gradientsOfNorm(6, 1);
  const step = { gradients, learningRate: 0.1, clipThreshold: 0.2 };
  const [{ gradNorm }] = await agree({ weightDecay: 100 }, [step]);
  assert.ok(Math.abs(gradNorm - 1) < 1e-5);
});

Deno.test({
  name: `momentum, dampening, Nesterov and weight decay are PyTorch's${torchNote}`,
  ignore: !hasTorch,
  async fn() {
    const options: Options[] = VARIANTS.map((each) => ({ ...each, clips: false }));
    const start = startWeights();
    const program = `
import json, sys, torch
job = json.load(sys.stdin)
results = []
for o in job["options"]:
    params = {k: torch.tensor(v, requires_grad=True) for k, v in job["start"].items()}
    sgd = torch.optim.SGD(params.values(), lr=job["lr"], momentum=o.get("momentum", 0),
        dampening=o.get("dampening", 0), nesterov=o.get("nesterov", False),
        weight_decay=o.get("weightDecay", 0))
    for gradients in job["gradients"]:
        for k, p in params.items(): p.grad = torch.tensor(gradients[k])
        sgd.step()
    results.append({k: p.tolist() for k, p in params.items()})
json.dump(results, sys.stdout)`;
    const python = new Deno.Command(PYTHON, {
      args: ["-c", program],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const writer = python.stdin.getWriter();
    const job = { options, start, lr: 0.1, gradients: THREE.map(({ gradients }) => gradients) };
    await writer.write(new TextEncoder().encode(JSON.stringify(job)));
    await writer.close();
    const { success, stdout } = await python.output();
    assert.ok(success);
    const peers: Tensors[] = JSON.parse(new TextDecoder().decode(stdout));
    for (const [i, peer] of peers.entries()) {
      const { weights } = (await takeSteps(stepOf(options[i]), start, THREE)).at(-1)!;
      for (const [name, values] of Object.entries(weights)) {
        values.forEach((value, at) => {
          const error = Math.abs(value - peer[name][at]);
          const what = `${JSON.stringify(options[i])} ${name}[${at}]`;
          assert.ok(error < 1e-5, `${what}: ${value}, PyTorch ${peer[name][at]}`);
        });
      }
    }
  },
});

Deno.test("a step reports as clipped exactly when γ/‖g‖ is below η", () => {
  assert.equal(isClipped(10.001, 0.1, 1), true);
  assert.equal(isClipped(9.999, 0.1, 1), false);
  assert.equal(isClipped(0, 0.1, 1), false);
});

Deno.test("options that contradict each other are refused", () => {
  for (
    const options of [
      { nesterov: true },
      { nesterov: true, momentum: 0.9, dampening: 0.1 },
      { momentum: 1 },
      { momentum: -0.1 },
      { dampening: 2 },
      { weightDecay: -1 },
    ]
  ) {
    assert.throws(() => sgd(options), RangeError);
  }
});

Deno.test("a gradient of another shape than its parameter is refused with both shapes", () => {
  const g = new Graph();
  const value = g.input("w", "float32", [2, 3]), gradient = g.input("d", "float32", [3, 2]);
  assert.throws(
    () => appendClippedStep(g, [{ name: "w", value }], [gradient], PLAIN_STEP),
    /w: its shape is \[2,3\], its gradient's \[3,2\]/,
  );
});

Deno.test("the nodes of the norm grow with the shapes, not with the parameters", () => {
  const nodes = (count: number) => {
    const g = new Graph();
    const parameters = Array.from({ length: count }, (_, i) => ({
      name: `p${i}`,
      value: g.input(`p${i}`, "float32", [16, 16, 3, 3]),
    }));
    const gradients = parameters.map(({ name }) =>
      g.input(`${name}.grad`, "float32", [16, 16, 3, 3])
    );
    appendClippedStep(g, parameters, gradients, PLAIN_STEP);
    return g.nodes.length;
  };
  // A multiplication and a subtraction for each parameter, and nothing else.
  assert.equal(nodes(50) - nodes(10), 2 * 40);
});
