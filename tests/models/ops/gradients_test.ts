import assert from "node:assert/strict";
import { differentiate } from "../../../models/autodiff.ts";
import { Graph, type Value } from "../../../models/graph.ts";
import { lower } from "../../../models/lowering/mod.ts";
import type { Attributes } from "../../../models/operator.ts";
import { operatorCoverage } from "../../../models/ops/mod.ts";
import { sizeOf } from "../../../models/tensor.ts";
import { Random } from "../../../runtime/base/random.ts";
import { type Feeds, interpreter, load, relativeError } from "../_evaluate.ts";
import { draw, type GradientCase } from "../_gradient_case.ts";
import { cases } from "../_gradient_cases.ts";
import { recurrentCases } from "./_recurrent_cases.ts";

/** The loss Σ r · y with fixed random r, so that every element of y counts differently. */
function lossOf(g: Graph, y: Value): Value {
  const random = new Random(2, "loss");
  const weights = Array.from({ length: sizeOf(y.dims) }, () => Math.fround(random.normal()));
  return g.sum(g.mul(y, g.constant(y.type, y.dims, weights)));
}

function graphOf({ inputs, build }: GradientCase, derivative: boolean): Graph {
  const g = new Graph();
  const values = Object.entries(inputs).map(([name, { dims, type = "float32" }]) =>
    g.input(name, type, dims)
  );
  const loss = g.output("loss", lossOf(g, build(g, ...values)));
  if (derivative) {
    const wrt = values.filter((value) => inputs[value.name].gradient !== false);
    differentiate(g, loss, wrt).forEach((gradient, i) => {
      assert.deepEqual(gradient.dims, wrt[i].dims);
      g.output(`${wrt[i].name}.grad`, gradient);
    });
  }
  return g;
}

/** ∂loss/∂feeds[name] by central differences in float64. */
function differences(loss: (feeds: Feeds) => number, feeds: Feeds, name: string): Float64Array {
  const h = 1e-5;
  return Float64Array.from(feeds[name], (_, i) => {
    const shifted = (by: number) =>
      loss({ ...feeds, [name]: Array.from(feeds[name]).with(i, feeds[name][i] + by) });
    return (shifted(h) - shifted(-h)) / (2 * h);
  });
}

for (const each of [...cases, ...recurrentCases]) {
  Deno.test(`the gradient of ${each.name} agrees with central differences`, async () => {
    const feeds = draw(each);
    const forward = interpreter(graphOf(each, false));
    const loss = (at: Feeds) => forward(at).loss[0];
    const expected = loss(feeds);
    const graph = graphOf(each, true);
    for (const target of ["cpu", "webgpu"] as const) {
      await using runner = await load(graph, { target });
      const results = await runner.run(feeds);
      const scale = Math.max(1, Math.abs(expected));
      const actual = Number(results.loss.data[0]);
      assert(Math.abs(actual - expected) < 2e-5 * scale, `${target}: loss ${actual}, ${expected}`);
      for (const name of Object.keys(results).filter((key) => key.endsWith(".grad"))) {
        const numeric = differences(loss, feeds, name.slice(0, -".grad".length));
        const error = relativeError(results[name].data, numeric);
        assert(
          error < (each.tolerance ?? 2e-5),
          `${target}: ${name} is off by ${error}\n${results[name].data}\n${numeric}`,
        );
      }
    }
  });
}

Deno.test("a class that cannot be does not spoil the loss of another", async () => {
  const kinds: Attributes[] = [{}, { ignore_index: 2 }, { reduction: "sum" }];
  for (const attributes of kinds) {
    for (const weights of [undefined, [0.5, 0.5, 0.5]]) {
      const g = new Graph(), logits = g.input("logits", "float32", [2, 3]);
      const inputs = [logits, g.constant("int64", [2], [0, 2])];
      if (weights) inputs.push(g.constant("float32", [3], weights));
      const loss = g.op("SoftmaxCrossEntropyLoss", inputs, attributes);
      g.output("loss", loss);
      g.output("dx", differentiate(g, loss, [logits])[0]);
      await using runner = await load(g);
      // The second sample has a class that can be, or is ignored.
      const possible = "ignore_index" in attributes ? -Infinity : 0;
      const results = await runner.run({ logits: [0, 1, -Infinity, 0, 1, possible] });
      for (const [name, { data }] of Object.entries(results)) {
        assert(data.every(Number.isFinite), `${name}: ${data}`);
      }
    }
  }
});

Deno.test("rounding is exact where a half cannot be added", () => {
  const g = new Graph();
  g.output("y", g.op("Round", [g.input("x", "float64", [6])]));
  const gpu = interpreter(lower(g, "webgpu"));
  const large = 2 ** 52 + 1, below = 0.49999999999999994;
  const rounded = gpu({ x: [below, -below, large, -large, 2.5, 3.5] }).y;
  assert.deepEqual(Array.from(rounded, (x) => x + 0), [0, 0, large, -large, 2, 4]);
});

Deno.test("rounding and logic say the same on every device", async () => {
  const g = new Graph();
  const x = g.input("x", "float32", [8]), y = g.input("y", "float32", [8]);
  const [a, b] = [g.greater(x, 0), g.greater(y, 0)];
  for (const op of ["Floor", "Ceil", "Round", "Sign"]) g.output(op, g.op(op, [x]));
  for (const op of ["And", "Or", "Xor"]) g.output(op, g.cast(g.op(op, [a, b]), "float32"));
  const feeds = {
    x: [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 2.75, -0.25],
    y: [1, -1, 1, -1, 1, -1, 1, -1],
  };
  const expected = interpreter(g)(feeds);
  for (const target of ["cpu", "webgpu"] as const) {
    await using runner = await load(g, { target });
    for (const [name, { data }] of Object.entries(await runner.run(feeds))) {
      // −0 is 0 here.
      const plain = (values: Float64Array) => Array.from(values, (value) => value + 0);
      assert.deepEqual(plain(data), plain(expected[name]), `${name} on ${target}`);
    }
  }
});

Deno.test("every operator that has a gradient rule has a case", () => {
  const covered = new Set<string>();
  class Recorder extends Graph {
    override opMany(...call: Parameters<Graph["opMany"]>) {
      covered.add(call[0]);
      return super.opMany(...call);
    }
  }
  for (const { inputs, build } of cases) {
    const g = new Recorder();
    build(
      g,
      ...Object.entries(inputs).map(([name, { dims, type = "float32" }]) =>
        g.input(name, type, dims)
      ),
    );
  }
  const rest = operatorCoverage().filter(({ op, gradient }) => gradient && !covered.has(op));
  const constant = ["ArgMax", "ArgMin", "Constant", "ConstantOfShape", "EyeLike", "Range"];
  const piecewise = ["Floor", "Ceil", "Round", "Sign", "Identity", "Shape", "Size"];
  assert.deepEqual(rest.map(({ op }) => op).sort(), [...constant, ...piecewise].sort());
});
