import assert from "node:assert/strict";
import { differentiate } from "../../models/autodiff.ts";
import { Graph } from "../../models/graph.ts";
import { lower } from "../../models/lowering/mod.ts";
import { type Attributes, OperatorError } from "../../models/operator.ts";
import { operatorCoverage } from "../../models/ops/mod.ts";
import type { Value } from "../../models/graph.ts";
import { toNumbers } from "../../models/tensor.ts";

const numbers = (value: Value) => Array.from(toNumbers(value.constant!).data);

Deno.test("arithmetic on constants is done at once", () => {
  const g = new Graph();
  const x = g.input("x", "float32", [2, 3, 4]);
  const shape = g.op("Shape", [x]);
  const [batch, rest] = [g.op("Gather", [shape, g.ints([0])]), g.slice(shape, [0], [1], [3])];
  const flat = g.concat([batch, g.reduce("ReduceProd", rest, [0], true)], 0);
  assert.deepEqual(numbers(flat), [2, 12]);
  assert.deepEqual(g.op("Reshape", [x, flat]).dims, [2, 12]);
  assert.deepEqual(numbers(g.div(g.ints([-7]), g.ints([2]))), [-3]);
  assert.deepEqual(numbers(g.cast(g.mul(g.scalar(1.75), 2), "int32")), [3]);
  assert.equal(g.nodes.length, 1, "only the Reshape is left to compute");
});

Deno.test("float constants are rounded as the device would round them", () => {
  const g = new Graph();
  assert.deepEqual(numbers(g.add(g.scalar(0.1), 0.2)), [
    Math.fround(Math.fround(0.1) + Math.fround(0.2)),
  ]);
});

Deno.test("the same operator on the same inputs is one node, unless it is random", () => {
  const g = new Graph();
  const x = g.input("x", "float32", [2]), y = g.input("y", "float32", [2]);
  assert.equal(g.mul(x, y), g.mul(x, y));
  assert.notEqual(g.mul(x, y), g.mul(y, x));
  assert.equal(g.add(x, 1), g.add(x, g.scalar(1)));
  assert.notEqual(g.op("LeakyRelu", [x], { alpha: 0.1 }), g.op("LeakyRelu", [x], { alpha: 0.2 }));
  assert.notEqual(g.scalar(0), g.scalar(-0));
  assert.notEqual(g.scalar(1), g.scalar(1, "int32"));
});

Deno.test("what changes nothing makes no node", () => {
  const g = new Graph();
  const x = g.input("x", "float32", [2, 3]);
  const same = [
    g.mul(x, 1),
    g.add(0, x),
    g.div(x, 1),
    g.reshape(x, [2, -1]),
    g.transpose(g.transpose(x)),
    g.cast(x, "float32"),
    g.op("Identity", [x]),
    g.slice(x, [0], [0], [100]),
    g.pad(x, [0, 0], [0, 0]),
    g.concat([x], 0),
    g.expand(x, [2, 3]),
    g.reshape(g.reshape(x, [6]), [2, 3]),
  ];
  for (const [i, value] of same.entries()) assert.equal(value, x, `${i}`);
  // Adding a zero that broadcasts does change the shape.
  assert.deepEqual(g.add(x, g.constant("float32", [4, 1, 1], 0)).dims, [4, 2, 3]);
});

Deno.test("lowering drops what no output needs and keeps every input", () => {
  const g = new Graph();
  const x = g.input("x", "float32", [2]), unused = g.input("unused", "float32", [1]);
  g.exp(g.exp(x));
  g.output("y", g.neg(x));
  const lowered = lower(g, "portable");
  assert.deepEqual(lowered.nodes.map(({ op }) => op), ["Neg"]);
  assert.deepEqual([...lowered.inputs.keys()], [x.name, unused.name]);
});

Deno.test("a mistake is reported where it is made, with operator, shapes and names", () => {
  const g = new Graph();
  const x = g.input("x", "float32", [2, 3]), i = g.input("i", "int32", [3]);
  const image = g.input("image", "float32", [1, 3, 8, 8]);
  const weight = g.input("weight", "float32", [4, 2, 3, 3]);
  const message = (call: () => unknown, ...patterns: RegExp[]) => {
    for (const pattern of [/^cannot apply/, ...patterns]) {
      assert.throws(call, (error) => error instanceof OperatorError && pattern.test(error.message));
    }
  };
  message(
    () => g.add(x, g.constant("float32", [2], 0)),
    /Add\(x: float32\[2, 3\]/,
    /do not broadcast/,
  );
  message(() => g.add(x, i), /float32, int32/, /insert a Cast/);
  message(() => g.matmul(x, x), /MatMul/, /columns/);
  message(() => g.conv(image, weight), /image: float32\[1, 3, 8, 8\]/, /2 image channels/);
  message(() => g.reshape(x, [4, -1]), /6 elements do not fill the shape \[4, -1\]/);
  message(() => g.op("Reshape", [x, i]), /must be a constant, and i is computed/);
  message(() => g.concat([x, i], 0), /element types differ/);
  message(() => g.sum(x, [2]), /axis 2 is outside a tensor of rank 2/);
  message(() => g.neg(new Graph().input("other", "float32", [])), /belongs to another graph/);
  message(() => g.exp(i), /must hold floating-point numbers/);
  message(() => g.softmaxCrossEntropy(x, i), /class indices/);
  assert.throws(() => g.op("Frobnicate", [x]), /operator Frobnicate is not known/);
  assert.throws(() => g.input("x", "float32", []), /has a value of that name/);
  assert.throws(() => g.input("z", "float32", [-1]), /shapes are static/);
  assert.throws(() => g.constant("float32", [2], [1, 2, 3]), /needs 2 elements, got 3/);
});

Deno.test("a loss that cannot be differentiated is refused with the reason", () => {
  const g = new Graph();
  const x = g.input("x", "float32", [3]), other = g.input("other", "float32", []);
  assert.throws(() => differentiate(g, x, [x]), /one floating-point number, not float32\[3\]/);
  assert.throws(() => differentiate(g, g.sum(x), [other]), /by other: it does not depend on it/);
  const mod = g.sum(g.op("Mod", [x, g.scalar(2)], { fmod: 1 }));
  assert.throws(() => differentiate(g, mod, [x]), /cannot apply Mod.*no gradient rule/);
  // A way through integers or floors carries no gradient, and is no error where there is another way.
  const floored = g.sum(g.mul(x, g.op("Floor", [x])));
  assert.deepEqual(differentiate(g, floored, [x])[0].dims, [3]);
});

Deno.test("the coverage table says what has a gradient", () => {
  const table = new Map(operatorCoverage().map((line) => [line.op, line]));
  assert.deepEqual(table.get("Conv"), {
    op: "Conv",
    family: "layers/convolution",
    gradient: true,
    folds: true,
    webgpu: true,
  });
  assert.equal(table.get("Equal")?.gradient, false);
  assert(![...table.keys()].some((op) => op.startsWith("celgc.")));
});

Deno.test("what a file may say of shapes, places and steps is checked where it is applied", () => {
  const g = new Graph(), x = g.input("x", "float32", [3]);
  const one = g.input("one", "float32", [1]), image = g.input("image", "float32", [1, 1, 4, 4]);
  const channels = g.input("channels", "float32", [1, 3, 4]);
  const data = g.ints([1, 2, 3]), window = { kernel_shape: [2, 2] };
  const places = (...indices: number[]) => g.constant("int64", [1, indices.length], indices);
  const refused: [string, Value[], RegExp, Attributes?, number?][] = [
    ["ConstantOfShape", [g.ints([-1, -2])], /the shape \[-1, -2\]/],
    ["Expand", [one, g.ints([-1])], /the shape \[-1\]/],
    ["Tile", [x, g.ints([-1])], /the shape \[-3\]/],
    ["TopK", [x, g.ints([-1])], /the shape \[-1\]/],
    ["Range", [0, 5, 0].map((n) => g.scalar(n)), /the shape \[Infinity\]/],
    ["Gather", [data, g.ints([3])], /index 3 is outside an axis of length 3/],
    ["Gather", [x, g.ints([-4])], /index -4 is outside/],
    ["GatherElements", [data, g.ints([7])], /index 7 is outside/],
    ["GatherElements", [data, places(0)], /as many axes as the data/],
    ["ScatterElements", [data, g.ints([7]), g.ints([9])], /index 7 is outside/],
    ["GatherND", [data, places(7)], /index 7 is outside/],
    ["GatherND", [data, places(0, 0)], /the first axes of the data, 1 to 1/],
    ["ScatterND", [data, places(-4), g.ints([9])], /index -4 is outside/],
    ["Split", [x, g.ints([2, 1])], /2 parts for 1 outputs/],
    ["Split", [x, g.ints([3])], /1 parts for 2 outputs/, {}, 2],
    ["MaxPool", [image], /strides \[0,0\]/, { ...window, strides: [0, 0] }],
    ["MaxPool", [image], /strides \[1\]/, { ...window, strides: [1] }],
    ["MaxPool", [image], /dilations \[0,1\]/, { ...window, dilations: [0, 1] }],
    ["MaxPool", [image], /kernel_shape \[0,2\]/, { kernel_shape: [0, 2] }],
    ["ConvTranspose", [image, image], /strides \[0,1\]/, { strides: [0, 1] }],
    ["GlobalMaxPool", [g.input("row", "float32", [2, 2])], /…spatial/],
    ["LayerNormalization", [x, g.ints([1, 2])], /the scale must broadcast to the axes from 0 on/],
    ["LayerNormalization", [one, one, x], /the bias must broadcast to the axes from 0 on/],
    ["GroupNormalization", [channels, x, x], /3 channels do not split into 2/, { num_groups: 2 }],
    ["Div", [g.ints([3]), g.ints([0])], /divided by 0/],
    ["Mod", [g.ints([3]), g.ints([0])], /divided by 0/],
  ];
  for (const [op, inputs, message, attributes = {}, outputs = 1] of refused) {
    assert.throws(() => g.opMany(op, inputs, attributes, outputs), (error) => {
      assert(error instanceof OperatorError, String(error));
      assert.match(error.message, message);
      return true;
    });
  }
  // From the end, an axis is counted from −1.
  assert.deepEqual(numbers(g.op("Gather", [data, g.ints([-3, 2])])), [1, 3]);
});

Deno.test("constants that are no numbers of their type become the nearest", () => {
  const g = new Graph();
  const wide = g.cast(g.constant("float32", [3], [Infinity, -Infinity, NaN]), "int64");
  assert.deepEqual([...wide.constant!.data], [2n ** 63n - 1n, -(2n ** 63n), 0n]);
  const sum = (...row: number[]) =>
    numbers(g.reduce("ReduceLogSumExp", g.constant("float32", [2], row)));
  assert.deepEqual([sum(-Infinity, -Infinity), sum(Infinity, 0)], [[-Infinity], [Infinity]]);
});

Deno.test("an attribute counts in full: with infinities, and where a node is made simpler", () => {
  const g = new Graph(), x = g.input("x", "float32", [3]), one = g.input("one", "float32", [1]);
  const leaky = (alpha: number) => g.op("LeakyRelu", [x], { alpha });
  assert.notEqual(leaky(Infinity), leaky(-Infinity));
  assert.notEqual(leaky(0), leaky(-0));
  const rest = g.op("Mod", [g.expand(one, [3]), x], { fmod: 1 }).producer!;
  assert.deepEqual([rest.inputs[0], rest.attributes], [one, { fmod: 1 }]);
  const mod = (fmod: number) => numbers(g.op("Mod", [g.ints([-5]), g.ints([3])], { fmod }));
  assert.deepEqual([mod(0), mod(1)], [[1], [-2]]);
});

Deno.test("every operator refuses inputs that are missing or of odd shapes by an error of its own", () => {
  for (const { op } of operatorCoverage()) {
    for (const dims of [[], [3], [2, 0], [1, 2, 3], [2, 2, 3, 3]]) {
      for (let count = 0; count <= 4; count++) {
        for (const missing of [null, 0, 1]) {
          const g = new Graph();
          const inputs = Array.from(
            { length: count },
            (_, i) => i === missing ? null : g.input(`x${i}`, "float32", dims),
          );
          try {
            const y = g.op(op, inputs);
            if (y.type === "float32" && inputs[0]) differentiate(g, g.sum(y), [inputs[0]]);
          } catch (error) {
            const own = error instanceof OperatorError ||
              error instanceof RangeError && /^cannot differentiate/.test(error.message);
            assert(own, `${op} of ${count} [${dims}] without ${missing}: ${error}`);
          }
        }
      }
    }
  }
});
