/** Steps whose update the GPU's own kernels make, beside the same graph on the CPU. */

import assert from "node:assert/strict";
import { encodeModel } from "../../../models/encode.ts";
import { Graph, type Value } from "../../../models/graph.ts";
import { lowerInParts } from "../../../models/lowering/mod.ts";
import type { ClipBy } from "../../../optimizers/clip_by.ts";
import {
  appendClippedStep,
  PLAIN_STEP,
  type StepOptions,
} from "../../../optimizers/clipped_step.ts";
import { appendAverage } from "../../../optimizers/non_monotone_averaging.ts";
import type { UpdateRule } from "../../../optimizers/update_rule.ts";
import { adamW } from "../../../optimizers/update_rules/adam.ts";
import { sgd } from "../../../optimizers/update_rules/sgd.ts";
import { Random } from "../../../runtime/base/random.ts";
import type { Device, HostTensor } from "../../../runtime/devices/device.ts";
import { DeviceError } from "../../../runtime/devices/faults/device_error.ts";
import { openDevice } from "../../../runtime/devices/open.ts";
import {
  decodeSegmented,
  isSegmented,
  KERNEL_OPERATORS,
} from "../../../runtime/devices/segments/segmented_model.ts";
import { hasWebGpu, webGpuNote } from "../../_helpers/web_gpu.ts";

const ALL = new Set(KERNEL_OPERATORS), SUFFIX = ".passed";

/** Of one element, of several, of more than a workgroup has, and of shapes that units are clipped in. */
const SHAPES: Record<string, number[]> = {
  first: [3, 4],
  bias: [1],
  vector: [5],
  "vector.more": [6],
  long: [2100, 2],
  kernel: [2, 3, 2, 2],
};

interface Case extends Partial<StepOptions> {
  readonly rule: UpdateRule;
  readonly clipBy?: ClipBy;
  readonly average?: boolean;
  /** Whether gradients are variables, so that nothing but the update is left. */
  readonly alone?: boolean;
  /** Whether a step that is not finite leaves everything as it is; the second one is none. */
  readonly skips?: boolean;
  /** Whether the new weights come back, and change nothing. */
  readonly returns?: boolean;
}

const CASES: Record<string, Case> = {
  "one norm": { rule: sgd() },
  "momentum, weight decay of matrices, an average": {
    rule: sgd({ momentum: 0.9, nesterov: true, weightDecay: 1e-2, noDecay: "vectors" }),
    average: true,
  },
  "AdamW, each element": { rule: adamW(), clipBy: "value" },
  "corrected gradients, each layer": {
    rule: sgd({ momentum: 0.5 }),
    clipBy: "layer",
    correct: true,
  },
  "the larger norm, alone": { rule: sgd(), clipBy: "max", alone: true },
  "smooth, returned": { rule: sgd(), clipBy: "smooth", returns: true },
  "units": { rule: sgd(), clipBy: "agc" },
  "a step that is not finite, skipped": { rule: sgd({ momentum: 0.9 }), skips: true },
};

/** A step along gradients that are computed of what is fed, and a running statistic. */
function step(
  { rule, clipBy = "local", average = false, alone = false, correct = false, skips = false }: Case,
) {
  const g = new Graph();
  const parameters = Object.entries(SHAPES)
    .map(([name, dims]) => ({ name, value: g.input(name, "float32", dims) }));
  const gradients = parameters.map(({ name, value: { dims } }) => {
    const given = g.input(`${name}.grad`, "float32", dims);
    // As a network's, some of them are other tensors reshaped.
    return alone ? given : g.reshape(g.mul(g.reshape(given, [-1]), 0.5), dims);
  });
  const slots = appendClippedStep(g, parameters, gradients, {
    clips: true,
    clipBy,
    rule,
    correct,
  });
  const averages = average ? appendAverage(g, parameters) : [];
  const mean = g.input("mean", "float32", [3]), seen = g.reduce("ReduceMean", gradients[0], [1]);
  if (!alone) g.output("mean.next", g.add(g.mul(mean, 0.9), g.mul(g.reshape(seen, [3]), 0.1)));
  g.output("sum", g.sum(g.mul(gradients[0], 3)));
  if (skips) {
    const nexts = [...g.outputs].filter(([name]) => name.endsWith(".next"));
    const sums = nexts.map(([, next]) => g.sum(g.abs(next)));
    const taken = sums.reduce((sum, each) => g.where(g.less(each, 1e30), sum, 0), g.scalar(1));
    g.output("taken", taken);
    for (const [name, next] of nexts) {
      const value = g.inputs.get(name.slice(0, -".next".length))!;
      g.outputs.set(name, g.where(g.less(0, taken), next, value));
    }
  }
  return {
    g,
    names: [...parameters.map(({ name }) => name), "mean"],
    kept: [...slots, ...averages],
  };
}

/** Three steps; what comes back, and what variables are in the end. */
async function take(device: Device, each: Case): Promise<Record<string, number[]>> {
  const { g, names, kept } = step(each), random = new Random(7, "update");
  const spec = (name: string) => ({ name, dims: g.inputs.get(name)!.dims });
  await using state = await device.allocate(names.map(spec));
  await using slots = await device.allocate(kept.map(({ name }) => spec(name)));
  const isGradient = (name: string) => name.endsWith(".grad");
  const grads = [...g.inputs.keys()].filter(isGradient).map(spec);
  await using given = await device.allocate(each.alone ? grads : []);
  const draw = (length: number) => Float32Array.from({ length }, () => random.normal());
  await state.write(draw(state.length));
  await slots.edit((flat) => void flat.forEach((_, i) => flat[i] = i % 3));
  const updates = each.returns ? {} : Object.fromEntries(
    [...names, ...kept.map(({ name }) => name)].filter((name) => g.outputs.has(`${name}.next`))
      .map((name) => [`${name}.next`, name]),
  );
  const model = encodeModel(g, {
    target: device.kind,
    channelBlock: 1,
    kernels: device.kernels,
  });
  if (device.kind === "webgpu") assert.ok(isSegmented(model) && decodeSegmented(model).update);
  await using session = await device.compile(model, {
    state: [state, slots, ...each.alone ? [given] : []],
    updates,
  });
  const results: Record<string, number[]> = {};
  for (let t = 1; t <= 3; t++) {
    // In between somebody else changes some of them, as a round of averaging does.
    if (t === 2) await state.write(draw(16), ["bias", "mean", "first"]);
    if (t === 3) {
      const moved = (await state.read()).map((x, i) => x + i % 2);
      const follower = state.follow("int8", { offset: 0, length: state.length });
      await follower?.startFrom();
      if (follower) assert.deepEqual((await follower.read()).reference, await state.read());
      await (follower?.moveTo(moved, true) ?? state.write(moved));
    }
    const scalars: Record<string, number> = {
      learning_rate: 0.3,
      // Between a step that is clipped and one that is not.
      clip_threshold: t === 2 ? 1e6 : 0.2,
      average_grad_norm: 20,
      average_weight: 1 / t,
      ...each.rule.feeds(t),
    };
    const tensor = (name: string): HostTensor => {
      const { dims } = g.inputs.get(name)!, length = dims.reduce((a, b) => a * b, 1);
      const data = name in scalars ? Float32Array.of(scalars[name]) : draw(length);
      if (each.skips && t === 2 && name === "long.grad") data[4000] = Infinity;
      return { type: "float32", dims, data };
    };
    if (each.alone) await given.write(draw(given.length));
    const outputs = await session.run(
      Object.fromEntries(session.inputs.toSorted().map((name) => [name, tensor(name)])),
    );
    for (const [name, { data }] of Object.entries(outputs)) {
      results[`${name} ${t}`] = [...data as Float32Array];
    }
    results[`first ${t}`] = [...await state.read(undefined, ["first", "mean", "long"])];
  }
  results.state = [...await state.read()];
  results.slots = [...await slots.read()];
  return results;
}

for (const [name, each] of Object.entries(CASES)) {
  Deno.test({
    name: `the GPU's own update is the CPU's: ${name}${webGpuNote}`,
    ignore: !hasWebGpu,
    async fn() {
      await using cpu = await openDevice("cpu");
      await using gpu = await openDevice("webgpu");
      const expected = await take(cpu, each), actual = await take(gpu, each);
      assert.deepEqual(Object.keys(actual).sort(), Object.keys(expected).sort());
      for (const [what, values] of Object.entries(expected)) {
        assert.equal(actual[what].length, values.length, what);
        if (what.startsWith("grad_norm") && !values.every(Number.isFinite)) continue;
        values.forEach((x, i) =>
          assert.ok(
            Math.abs(actual[what][i] - x) <= 3e-6 * (1 + Math.abs(x)),
            `${what} ${i}: ${x}, ${actual[what][i]}`,
          )
        );
      }
    },
  });
}

/** A step of four vectors along their gradients. */
function vectors(length = 5, options: Partial<StepOptions> = {}) {
  const g = new Graph();
  const parameters = ["a", "b", "c", "d"]
    .map((name) => ({ name, value: g.input(name, "float32", [length]) }));
  const gradients = parameters.map(({ name }) =>
    g.mul(g.input(`${name}.grad`, "float32", [length]), 0.5)
  );
  appendClippedStep(g, parameters, gradients, { ...PLAIN_STEP, ...options });
  return g;
}

Deno.test("a step's update is taken out of the graph: sums, and one form for all", () => {
  const g = vectors();
  const { parts, update } = lowerInParts(g, ALL, SUFFIX)!;
  const [part] = parts;
  assert.ok(parts.length === 1 && "graph" in part);
  const left = ["a", "b", "c", "d"].map((name) => g.inputs.get(`${name}.grad`)!.name);
  assert.equal(part.graph.outputs.size, left.length);
  assert.deepEqual(part.graph.nodes.map(({ op }) => op), ["Concat", "Mul", "Split"]);
  assert.deepEqual([...part.graph.inputs.keys()], left);
  assert.equal(update!.sums.length, 1);
  assert.equal(update!.sums[0].calls.length, 4);
  assert.equal(update!.forms.length, 3); // squares, the step, the norm
  const outputs = update!.updates.map(({ outputs }) => outputs.map(({ name }) => name).join());
  assert.deepEqual(outputs, ["a.next", "b.next", "c.next", "d.next", "grad_norm"]);
  assert.deepEqual(
    update!.inputs.map(({ name }) => name).toSorted(),
    ["a", "b", "c", "clip_threshold", "d", "learning_rate"],
  );
});

Deno.test("what is not element by element stays in the graph, with what reads what it changes", () => {
  const g = vectors();
  // Once the graph has sorted e, and f read it, the update would read what e is by then.
  const e = g.input("e", "float32", [1, 2]), f = g.input("f", "float32", [1, 2]);
  g.output("e.next", g.matmul(e, g.input("turn", "float32", [2, 2])));
  g.output("f.next", g.add(f, e));
  g.output("f.last", f);
  const { parts, update } = lowerInParts(g, ALL, SUFFIX)!;
  const part = parts.at(-1)!;
  assert.ok("graph" in part);
  for (const name of ["e.next", "f.next", "f.last"]) assert.ok(part.graph.outputs.has(name), name);
  assert.ok(!update!.updates.some(({ outputs }) => outputs.some(({ name }) => name === "f.next")));
});

Deno.test("variables that change together are computed together", () => {
  const g = vectors(), a = g.inputs.get("a")!, b = g.outputs.get("b.next")!;
  g.outputs.set("b.next", g.sub(b, a));
  const { update } = lowerInParts(g, ALL, SUFFIX)!;
  const outputs = update!.updates.map(({ outputs }) => outputs.map(({ name }) => name).join());
  assert.deepEqual(outputs, ["a.next,b.next", "c.next", "d.next", "grad_norm"]);
});

Deno.test("numbers of what changes meanwhile, or has changed, stay in the graph, as does what is no float32", () => {
  const g = vectors(), norm = g.outputs.get("grad_norm")!;
  const count = g.input("count", "float32", []), mean = g.input("mean", "float32", []);
  const e = g.input("e", "float32", [1, 2]);
  g.output("count.next", g.add(count, 1));
  g.output("norm_per_count", g.div(norm, count));
  g.output("mean.next", g.add(g.mul(mean, 0.9), g.mul(norm, 0.1)));
  g.output("e.next", g.matmul(e, g.input("turn", "float32", [2, 2])));
  g.output("e_norm", g.reduce("ReduceSumSquare", e));
  g.output("a_norm", g.reduce("ReduceSumSquare", g.inputs.get("a")!));
  g.output("large", g.greater(norm, 0.5));
  const { parts, update } = lowerInParts(g, ALL, SUFFIX)!, part = parts.at(-1)!;
  const outputs = update!.updates.flatMap(({ outputs }) => outputs.map(({ name }) => name));
  const vectorsNext = ["a.next", "b.next", "c.next", "d.next"];
  assert.deepEqual(
    outputs.toSorted(),
    [...vectorsNext, "a_norm", "count.next", "grad_norm", "mean.next"].toSorted(),
  );
  assert.ok("graph" in part);
  for (const name of ["norm_per_count", "e.next", "e_norm", "large"]) {
    assert.ok(part.graph.outputs.has(name), name);
  }
});

Deno.test("what a shader's compiler may take for a number, where it could be NaN, stays in the graph", () => {
  /** Whether the next a is computed by the update when that is added to it. */
  const isTaken = (way: (g: Graph, x: Value) => Value) => {
    const g = vectors(), x = g.abs(g.inputs.get("a.grad")!);
    g.outputs.set("a.next", g.add(g.outputs.get("a.next")!, way(g, x)));
    const { update } = lowerInParts(g, ALL, SUFFIX) ?? {};
    return !!update?.updates.some(({ outputs }) => outputs.some(({ name }) => name === "a.next"));
  };
  assert.ok(isTaken((g, x) => g.div(g.mul(2, x), g.sub(x, g.neg(x)))));
  assert.ok(isTaken((g, x) => g.sub(0, x)));
  assert.ok(!isTaken((g, x) => g.mul(0, x)));
  assert.ok(!isTaken((g, x) => g.mul(x, 0)));
  assert.ok(!isTaken((g, x) => g.div(0, x)));
  assert.ok(!isTaken((g, x) => g.sub(x, x)));
  assert.ok(!isTaken((g, x) => g.div(x, x)));
});

Deno.test("what is made of more operators than a form has stays in the graph", () => {
  const g = vectors();
  let next = g.outputs.get("a.next")!;
  for (let i = 0; i < 600; i++) next = g.abs(g.neg(next));
  g.outputs.set("a.next", next);
  const { update } = lowerInParts(g, ALL, SUFFIX) ?? {};
  assert.ok(!update?.updates.some(({ outputs }) => outputs.some(({ name }) => name === "a.next")));
});

Deno.test("no update is taken that is small, that no buffer would hold, or for which there is no kernel", () => {
  const g = vectors();
  for (const name of ["a.next", "b.next"]) g.outputs.delete(name);
  assert.equal(lowerInParts(g, ALL, SUFFIX), null);
  assert.equal(lowerInParts(vectors(1 << 24), ALL, SUFFIX), null);
  // Its variables would fit, but not its gradients with some numbers.
  assert.equal(lowerInParts(vectors((1 << 23) - 1), ALL, SUFFIX), null);
  assert.notEqual(lowerInParts(vectors(1 << 22), ALL, SUFFIX), null);
  assert.equal(lowerInParts(vectors(), new Set(["celgc.LSTM"]), SUFFIX), null);
});

Deno.test({
  name: `an update that the GPU cannot make ends in one line${webGpuNote}`,
  ignore: !hasWebGpu,
  async fn() {
    const g = vectors(), model = encodeModel(g, { target: "webgpu", kernels: ALL });
    const { createShaderModule } = GPUDevice.prototype;
    const specs = ["a", "b", "c", "d"].map((name) => ({ name, dims: [5] }));
    {
      await using device = await openDevice("webgpu");
      const wrong = await device.allocate(specs.map(({ name }) => ({ name, dims: [6] })));
      await assert.rejects(
        device.compile(model, { state: [wrong] }),
        /cannot bind "a": the model has it as \[5\], the state as \[6\]/,
      );
      const state = await device.allocate(specs);
      const updates = { "a.next": "e" };
      await assert.rejects(device.compile(model, { state: [state], updates }), /no state has such/);
      await assert.rejects(
        device.compile(model, { state: [state], updates: { "a.next": "b" } }),
        /cannot update "b" from "a\.next": "b\.next" is computed of it meanwhile/,
      );
      await using session = await device.compile(model, { state: [state] });
      const feeds = Object.fromEntries(session.inputs.map((name) => {
        const dims = g.inputs.get(name)!.dims;
        return [name, { type: "float32", dims, data: new Float32Array(dims[0] ?? 1) } as const];
      }));
      const { learning_rate: rate, ...rest } = feeds;
      await assert.rejects(session.run(rest), /input "learning_rate" was not fed/);
      const long = { type: "float32", dims: [2], data: new Float32Array(2) } as const;
      await assert.rejects(
        session.run({ ...rest, learning_rate: long }),
        /cannot feed "learning_rate": the model takes \[\], got \[2\]/,
      );
      assert.equal((await session.run({ ...rest, learning_rate: rate })).grad_norm.data[0], 0);
      // Another that shares its scratch memory comes and goes.
      const other = await device.compile(model, { state: [state] });
      const ones = { type: "float32", dims: [5], data: new Float32Array(5).fill(1) } as const;
      const all = { ...feeds, "a.grad": ones };
      const norms = [await other.run(all), await session.run(feeds), await other.run(all)]
        .map(({ grad_norm: { data } }) => Number(data[0]));
      await other[Symbol.asyncDispose]();
      norms.push(Number((await session.run(all)).grad_norm.data[0]));
      const norm = Math.fround(Math.sqrt(1.25));
      assert.deepEqual(norms.map(Math.fround), [norm, 0, norm, norm]);
    }
    await using device = await openDevice("webgpu");
    const state = await device.allocate(specs);
    GPUDevice.prototype.createShaderModule = function ({ code }) {
      return createShaderModule.call(this, { code: code.replace("let row", "let let") });
    };
    try {
      const refused = device.compile(model, { state: [state] }).then((session) => session.run({}));
      await assert.rejects(refused, (error) => {
        assert.ok(error instanceof DeviceError && error.fault === "refused", String(error));
        assert.match(error.message, /^the GPU refuses a command \(.+\): take --device cpu/);
        return true;
      });
    } finally {
      GPUDevice.prototype.createShaderModule = createShaderModule;
    }
  },
});
