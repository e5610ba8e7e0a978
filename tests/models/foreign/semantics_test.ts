/** What an operator says in a file is what it does here: as onnxruntime's own does it, or as ONNX has it. */

import assert from "node:assert/strict";
import { interpreter, load, loadModel, relativeError } from "../_evaluate.ts";
import { fed, feedsOf, fileOf, graphOf, ints, type OneNode } from "./_one_node.ts";

const five = fed([5], [1, 2, 3, 4, 5]), matrix = fed([2, 3], [1, -2, 3, -4, 5, 6]);
const image = fed([1, 1, 7], [3, 1, 4, 1, 5, 9, 2]);
const reduction = (op: string, data = matrix): OneNode => ({
  op,
  opset: 18,
  inputs: [data],
  attributes: { noop_with_empty_axes: 1 },
});

/** By what is special, a node that onnxruntime computes as it stands in the file. */
const LIKE_THE_RUNTIME: Readonly<Record<string, OneNode>> = {
  "Slice backwards from before the first element": {
    op: "Slice",
    opset: 13,
    inputs: [five, ints(-9), ints(-99), ints(0), ints(-1)],
  },
  ...Object.fromEntries(
    ["Sum", "Mean", "Max", "Min", "Prod", "SumSquare", "L1", "L2", "LogSumExp"]
      .map((name) => `Reduce${name}`)
      .map((op) => [`${op} over no axes`, reduction(op)]),
  ),
  "ReduceLogSum over no axes": reduction("ReduceLogSum", fed([2, 2], [1, 2, 3, 4])),
  "ReduceSumSquare of a scalar over no axes": reduction("ReduceSumSquare", fed([], [-3])),
  "AveragePool whose windows are said to have no holes": {
    op: "AveragePool",
    opset: 19,
    inputs: [image],
    attributes: { kernel_shape: [3], dilations: [1] },
  },
  "Pad that wraps what it has cropped": {
    op: "Pad",
    opset: 19,
    inputs: [five, ints(2, -1)],
    attributes: { mode: "wrap" },
  },
  "Pad that reflects what it has cropped": {
    op: "Pad",
    opset: 19,
    inputs: [five, ints(-1, 2)],
    attributes: { mode: "reflect" },
  },
  "ReduceMean over an axis that is named twice": {
    op: "ReduceMean",
    opset: 13,
    inputs: [matrix],
    attributes: { axes: [1, -1] },
  },
  "Trilu of bool": {
    op: "Trilu",
    opset: 14,
    inputs: [fed([2, 3], [1, 0, 1, 1, 1, 1], "bool")],
    attributes: { upper: 0 },
  },
  "Scatter of opset 9": {
    op: "Scatter",
    opset: 9,
    inputs: [matrix, { ...ints(2, 0), dims: [2, 1] }, fed([2, 1], [7, 8])],
    attributes: { axis: 1 },
  },
  "Gelu by tanh of a scalar": {
    op: "Gelu",
    opset: 20,
    inputs: [fed([], [0.7])],
    attributes: { approximate: "tanh" },
  },
};

for (const [name, node] of Object.entries(LIKE_THE_RUNTIME)) {
  Deno.test(`${name} gives what onnxruntime gives`, async () => {
    const graph = graphOf(node), feeds = feedsOf(node);
    await using own = await loadModel(fileOf(node), graph.inputs);
    const { y: expected } = await own.run(feeds);
    const { dims } = graph.outputs.get("y")!;
    assert.deepEqual(dims, expected.dims);
    assert(relativeError(interpreter(graph)(feeds).y, expected.data) < 1e-6);
    await using runner = await load(graph, { target: "cpu" });
    const { y } = await runner.run(feeds);
    assert.deepEqual(y.dims, expected.dims);
    assert(relativeError(y.data, expected.data) < 1e-6, `${y.data}\n${expected.data}`);
  });
}

Deno.test("an Attention's query that is no number gives none, under a mask, too", async () => {
  const [key, value] = [fed([1, 1, 2, 2], [0.5, -1, 2, 1]), fed([1, 1, 2, 2], [1, 2, 3, 4])];
  const node: OneNode = {
    op: "Attention",
    opset: 23,
    inputs: [fed([1, 1, 2, 2], [NaN, 2, 3, 4]), key, value, fed([2, 2], [1, 1, 1, 0], "bool")],
  };
  const graph = graphOf(node), feeds = feedsOf(node), expected = [NaN, NaN, 1, 2];
  await using own = await loadModel(fileOf(node), graph.inputs);
  assert.deepEqual(Array.from((await own.run(feeds)).y.data), expected);
  assert.deepEqual(Array.from(interpreter(graph)(feeds).y), expected);
  await using runner = await load(graph, { target: "cpu" });
  assert.deepEqual(Array.from((await runner.run(feeds)).y.data), expected);
});

/** By what is special, a node that onnxruntime refuses or reads otherwise, and what ONNX says of it. */
const LIKE_THE_STANDARD: Readonly<Record<string, readonly [OneNode, readonly number[]]>> = {
  "Conv with holes, of the image's size": [
    {
      op: "Conv",
      opset: 11,
      inputs: [fed([1, 1, 4], [1, 2, 3, 4]), fed([1, 1, 2], [1, 10])],
      attributes: { dilations: [2], auto_pad: "SAME_LOWER" },
    },
    [20, 31, 42, 3],
  ],
  "MaxPool with holes, of the image's size": [
    {
      op: "MaxPool",
      opset: 12,
      inputs: [image],
      attributes: { kernel_shape: [2], dilations: [2], auto_pad: "SAME_UPPER" },
    },
    [1, 4, 1, 5, 9, 5, 9],
  ],
  "AveragePool of windows that leave some of the image out": [
    {
      op: "AveragePool",
      opset: 11,
      inputs: [fed([1, 1, 6], [3, 1, 4, 1, 5, 9])],
      attributes: { kernel_shape: [1], strides: [3], auto_pad: "SAME_LOWER" },
    },
    [3, 1],
  ],
  "ConvTranspose to so many times the size, of a small kernel": [
    {
      op: "ConvTranspose",
      opset: 11,
      inputs: [fed([1, 1, 3], [1, 2, 3]), fed([1, 1, 1], [2]), fed([1], [0.5])],
      attributes: { strides: [3], auto_pad: "SAME_UPPER" },
    },
    [2.5, 0.5, 0.5, 4.5, 0.5, 0.5, 6.5, 0.5, 0.5],
  ],
  "ConvTranspose to a larger shape along one axis and a smaller along another": [
    {
      op: "ConvTranspose",
      opset: 11,
      inputs: [fed([1, 1, 1, 2], [1, 2]), fed([1, 1, 1, 3], [1, 1, 1])],
      attributes: { output_shape: [2, 2] },
    },
    [3, 3, 0, 0],
  ],
  // PyTorch's output_padding may reach the stride where it is less than the dilation.
  "ConvTranspose padded by as much as its stride": [
    {
      op: "ConvTranspose",
      opset: 11,
      inputs: [fed([1, 1, 2], [1, 2]), fed([1, 1, 2], [1, 1])],
      attributes: { dilations: [2], output_padding: [1] },
    },
    [1, 2, 1, 2, 0],
  ],
};

for (const [name, [node, expected]] of Object.entries(LIKE_THE_STANDARD)) {
  Deno.test(`${name} gives what ONNX says`, async () => {
    const graph = graphOf(node), feeds = feedsOf(node);
    assert.deepEqual(Array.from(interpreter(graph)(feeds).y), expected);
    await using runner = await load(graph, { target: "cpu" });
    assert.deepEqual(Array.from((await runner.run(feeds)).y.data), expected);
  });
}

/** By what is special, a node that is refused, and what is said of it. */
const REFUSED: Readonly<Record<string, readonly [OneNode, RegExp]>> = {
  "a Pad that repeats what it has cropped away": [
    { op: "Pad", opset: 19, inputs: [five, ints(-5, 2)], attributes: { mode: "edge" } },
    /nothing is left of axis 0 to pad it with/,
  ],
  "a CumSum along no axis of its data": [
    { op: "CumSum", opset: 14, inputs: [five, ints(3)] },
    /axis 3 is outside a tensor of rank 1/,
  ],
  "an LpNormalization of another norm": [
    { op: "LpNormalization", opset: 9, inputs: [five], attributes: { p: 3 } },
    /p must be 1 or 2, not 3/,
  ],
  "a LayerNormalization whose scale has more axes than what it scales": [
    { op: "LayerNormalization", opset: 17, inputs: [matrix, fed([1, 1, 3], [1, 2, 3])] },
    /the scale must broadcast/,
  ],
  "an RNN with weights of two directions that goes forward": [
    {
      op: "RNN",
      opset: 14,
      inputs: [fed([1, 1, 1], [1]), fed([2, 1, 1], [1, 2]), fed([2, 1, 1], [1, 2])],
      attributes: { hidden_size: 1 },
    },
    /the weights must be of 1, as direction "forward" says/,
  ],
  "a Trilu of a vector": [
    { op: "Trilu", opset: 14, inputs: [five] },
    /it takes a matrix/,
  ],
  "a Transpose whose order is one number": [
    { op: "Transpose", opset: 13, inputs: [matrix], attributes: { perm: 1 } },
    /cannot apply Transpose.*its attribute perm must be a list of numbers/,
  ],
  "a MaxPool whose kernel is a text": [
    { op: "MaxPool", opset: 12, inputs: [image], attributes: { kernel_shape: "2" } },
    /its attribute kernel_shape must be a list of numbers/,
  ],
  "a LeakyRelu whose slope is a text": [
    { op: "LeakyRelu", opset: 16, inputs: [five], attributes: { alpha: "0.1" } },
    /node "y": cannot apply LeakyRelu.*its attribute alpha must be a number/,
  ],
  "a Cast to several types": [
    { op: "Cast", opset: 13, inputs: [five], attributes: { to: [1, 7] } },
    /its attribute to must be a type/,
  ],
  "a Constant whose tensor is a number": [
    { op: "Constant", opset: 13, inputs: [], attributes: { value: 1 } },
    /its value must be a tensor/,
  ],
  "a Constant without a value": [{ op: "Constant", opset: 13, inputs: [] }, /it has no value/],
  "an operator that is not known, for that and not for its attributes": [
    { op: "Hardmax", opset: 13, inputs: [five], attributes: { axis: 0 } },
    /the operator Hardmax is not known/,
  ],
};

for (const [name, [node, message]] of Object.entries(REFUSED)) {
  Deno.test(`${name} is refused`, () => {
    assert.throws(() => graphOf(node), message);
  });
}
