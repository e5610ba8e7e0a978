/** One line for each way in which an operator is differentiated. */

import {
  binary,
  conv,
  convTranspose,
  einsum,
  type GradientCase,
  indices,
  losses,
  on,
  pool,
  recurrent,
  reduce,
  unary,
} from "./_gradient_case.ts";
import { layerCases } from "./_layer_cases.ts";

export const cases: GradientCase[] = [
  ...["Neg", "Abs", "Exp", "Sin", "Cos", "Tanh", "Sigmoid", "Softplus", "Softsign", "Erf", "Relu"]
    .map((op) => unary(op)),
  ...["Log", "Sqrt", "Reciprocal"].map((op) => unary(op, 0.3, 2)),
  ...["LeakyRelu", "Elu", "HardSigmoid"].map((op) => unary(op)),
  unary("LeakyRelu", -1, 1, { alpha: 0.25 }),
  unary("Elu", -1, 1, { alpha: 0.5 }),
  unary("HardSigmoid", -4, 4, { alpha: 0.25, beta: 0.25 }),
  unary("HardSwish", -5, 5),
  ...["Tan", "Atan", "Sinh", "Cosh", "Mish", "Selu", "Celu", "Gelu"].map((op) => unary(op)),
  ...["Asin", "Acos"].map((op) => unary(op, -0.9, 0.9)),
  unary("ThresholdedRelu", -1, 1, { alpha: 0.25 }),
  unary("Celu", -2, 2, { alpha: 0.5 }),
  unary("Gelu", -3, 3, { approximate: "tanh" }),
  unary("Dropout"),

  binary("Add", [2, 3], [2, 3]),
  binary("Add", [2, 3, 4], [3, 1]),
  binary("Sub", [4], [2, 3, 4]),
  binary("Mul", [2, 1, 4], [3, 1]),
  binary("Mul", [], [2, 2]),
  binary("Div", [2, 3], [3], 0.5, 2),
  binary("Pow", [2, 3], [2, 1], 0.5, 2),
  on("Pow with a constant exponent", [5], (g, x) => g.pow(x, 3)),
  on("Pow at zero", [3], (g, x) => g.pow(x, g.constant("float32", [3], [0, 1, 2])), {
    values: [0, 0.5, 2],
  }),
  on("Pow of 2", [5], (g, x) => g.pow(x, 2)),
  binary("PRelu", [2, 3, 4], [3, 1]),
  binary("Min", [2, 3], [3]),
  binary("Max", [2, 3], [2, 1]),
  {
    name: "Max of three",
    inputs: { a: { dims: [4] }, b: { dims: [4] }, c: { dims: [2, 4] } },
    build: (g, a, b, c) => g.op("Max", [a, b, c]),
  },
  {
    name: "Sum and Mean of three",
    inputs: { a: { dims: [4] }, b: { dims: [2, 1] }, c: { dims: [2, 4] } },
    build: (g, a, b, c) => g.mul(g.op("Sum", [a, b, c]), g.op("Mean", [a, b, c])),
  },
  on("Mul by itself", [4], (g, x) => g.mul(x, x)),
  {
    name: "Where",
    inputs: { a: { dims: [2, 3] }, b: { dims: [3] } },
    build: (g, a, b) => g.where(g.greater(a, b), g.mul(a, 2), b),
  },
  on("Clip", [9], (g, x) => g.op("Clip", [x, g.scalar(-0.5), g.scalar(0.75)])),
  {
    name: "Clip by bounds that are computed",
    inputs: {
      x: { dims: [3, 4] },
      low: { dims: [], values: [-0.5] },
      high: { dims: [], values: [0.75] },
    },
    build: (g, ...inputs) => g.op("Clip", inputs),
  },
  {
    name: "Clip by bounds that are crossed",
    inputs: {
      x: { dims: [9] },
      low: { dims: [], values: [0.75] },
      high: { dims: [], values: [-0.5] },
    },
    build: (g, ...inputs) => g.op("Clip", inputs),
  },
  on("Clip from below", [9], (g, x) => g.op("Clip", [x, g.scalar(-0.5)])),

  on("Reshape", [2, 6], (g, x) => g.exp(g.reshape(x, [3, -1]))),
  on("Flatten", [2, 3, 2], (g, x) => g.exp(g.op("Flatten", [x], { axis: 2 }))),
  on("Squeeze and Unsqueeze", [2, 1, 3], (g, x) => g.unsqueeze(g.exp(g.squeeze(x, [1])), [0, -1])),
  on("Squeeze after Exp", [2, 1, 3], (g, x) => g.squeeze(g.exp(x), [1])),
  on("Unsqueeze after Exp", [2, 3], (g, x) => g.unsqueeze(g.exp(x), [1])),
  on("Transpose", [2, 3, 4], (g, x) => g.transpose(g.exp(x), [2, 0, 1])),
  on("Expand", [3, 1], (g, x) => g.expand(g.exp(x), [2, 3, 4])),
  on("Tile", [2, 3], (g, x) => g.op("Tile", [x, g.ints([3, 2])])),
  on("Cast to float64 and back", [4], (g, x) => g.cast(g.exp(g.cast(x, "float64")), "float32")),

  on("Trilu", [2, 3, 4], (g, x) => g.op("Trilu", [x, g.scalar(1, "int64")], { upper: 0 })),
  on("DepthToSpace", [1, 8, 2, 3], (g, x) => g.op("DepthToSpace", [x], { blocksize: 2 })),
  on("DepthToSpace by columns", [1, 8, 2, 3], (g, x) => {
    return g.op("DepthToSpace", [x], { blocksize: 2, mode: "CRD" });
  }),
  on("SpaceToDepth", [1, 2, 4, 6], (g, x) => g.op("SpaceToDepth", [x], { blocksize: 2 })),

  on("Slice", [5, 6], (g, x) => g.slice(x, [0, 1], [1, 2], [4, 6])),
  on("Slice by steps", [7, 8], (g, x) => g.slice(x, [0, 1], [1, 0], [7, 8], [3, 2])),
  on(
    "Slice by steps that stop short",
    [7, 8],
    (g, x) => g.slice(x, [0, 1], [0, 1], [5, 7], [3, 4]),
  ),
  on("Slice to nothing, backwards and by steps", [5, 2, 3], (g, x) => {
    return g.slice(g.exp(x), [0, 1, 2], [-1, 0, 3], [-100, 2, 3], [-2, 1, 1]);
  }),
  on("Slice backwards", [5, 3], (g, x) => g.slice(x, [0], [-1], [-100], [-2])),
  on("Pad", [2, 3], (g, x) => g.pad(g.exp(x), [1, 0], [0, 2])),
  {
    name: "Pad with a value that is computed",
    inputs: { x: { dims: [2, 3] }, value: { dims: [] } },
    build: (g, x, value) => g.op("Pad", [x, g.ints([1, -1, 0, 2]), value]),
  },
  on("Pad that crops", [4, 3], (g, x) => g.pad(g.exp(x), [-1, 1], [0, -1])),
  {
    name: "Concat",
    inputs: { a: { dims: [2, 3] }, b: { dims: [2, 1] } },
    build: (g, a, b) => g.concat([a, b, g.mul(a, a)], 1),
  },
  on("Split", [5, 2], (g, x) => {
    const [a, , c] = g.opMany("Split", [x, g.ints([1, 2, 2])], { axis: 0 }, 3);
    return g.mul(a, g.exp(c));
  }),
  {
    name: "Gather of rows, some twice",
    inputs: { x: { dims: [5, 3] }, i: { ...indices([2, 3], 5), values: [0, 4, 4, 1, 4, 0] } },
    build: (g, x, i) => g.op("Gather", [x, i], { axis: 0 }),
  },
  on("Gather of no rows", [5, 3], (g, x) => g.op("Gather", [x, g.ints([])])),
  {
    name: "Gather along the middle axis",
    inputs: { x: { dims: [2, 4, 3] }, i: indices([3], 4) },
    build: (g, x, i) => g.op("Gather", [g.exp(x), i], { axis: 1 }),
  },
  {
    name: "GatherElements",
    inputs: { x: { dims: [3, 4] }, i: indices([2, 4], 3) },
    build: (g, x, i) => g.op("GatherElements", [x, i], { axis: 0 }),
  },

  {
    name: "GatherND",
    inputs: {
      x: { dims: [3, 4, 2] },
      i: { ...indices([3, 2], 0), type: "int64", values: [0, 1, 2, 3, 0, 1] },
    },
    build: (g, x, i) => g.op("GatherND", [g.exp(x), i]),
  },
  ...["none", "add"].flatMap((reduction): GradientCase[] => [{
    name: `ScatterElements with reduction ${reduction}`,
    inputs: {
      x: { dims: [3, 4] },
      i: { ...indices([2, 4], 0), values: [0, 2, 1, 0, reduction === "add" ? 0 : 1, 1, 2, 1] },
      u: { dims: [2, 4] },
    },
    build: (g, x, i, u) => g.op("ScatterElements", [x, i, u], { axis: 0, reduction }),
  }, {
    name: `ScatterND with reduction ${reduction}`,
    inputs: {
      x: { dims: [3, 4] },
      i: { ...indices([2, 1], 0), type: "int64", values: [2, reduction === "add" ? 2 : 0] },
      u: { dims: [2, 4] },
    },
    build: (g, x, i, u) => g.op("ScatterND", [x, i, u], { reduction }),
  }]),
  on("TopK", [3, 5], (g, x) => g.op("TopK", [x, g.ints([2])], { axis: -1 })),
  on("TopK of the smallest along the first axis", [5, 3], (g, x) => {
    return g.op("TopK", [x, g.ints([3])], { axis: 0, largest: 0 });
  }),
  on("CumSum", [3, 4], (g, x) => g.op("CumSum", [x, g.scalar(1, "int64")])),
  on("CumSum, exclusive and backwards", [3, 4], (g, x) => {
    return g.op("CumSum", [x, g.scalar(0, "int64")], { exclusive: 1, reverse: 1 });
  }),
  {
    name: "OneHot",
    inputs: { on: { dims: [1] }, i: { ...indices([4], 0), type: "int64", values: [0, 2, -1, 1] } },
    build(g, on, i) {
      const values = g.concat([g.constant("float32", [1], 0.5), on], 0);
      return g.op("OneHot", [i, g.scalar(3, "int64"), values], { axis: 0 });
    },
  },

  ...[
    "ReduceSum",
    "ReduceMean",
    "ReduceMax",
    "ReduceMin",
    "ReduceSumSquare",
    "ReduceL1",
    "ReduceL2",
  ]
    .flatMap((
      op,
    ) => [reduce(op, [1], true), reduce(op, [0, 2], false), reduce(op, undefined, false)]),
  reduce("ReduceLogSumExp", [2], true),
  reduce("ReduceLogSum", [1, 2], false, 0.2),
  reduce("ReduceProd", [1], false, 0.2),
  on("ReduceProd of rows with no, one and two zeros", [3, 3], (g, x) => {
    return g.reduce("ReduceProd", x, [1]);
  }, { values: [2, -1.5, 0.5, 2, 0, 3, 0, 0.25, 0] }),

  binary("MatMul", [3, 4], [4, 2]),
  binary("MatMul", [2, 3, 4], [4, 5]),
  binary("MatMul", [2, 1, 3, 4], [3, 4, 2]),
  binary("MatMul", [4], [4, 3]),
  binary("MatMul", [2, 3, 4], [4]),
  binary("MatMul", [4], [2, 4, 3]),
  ...[[0, 0], [0, 1], [1, 0], [1, 1]].map(([transA, transB]): GradientCase => ({
    name: `Gemm${transA ? " with A transposed" : ""}${transB ? " with B transposed" : ""}`,
    inputs: {
      a: { dims: transA ? [4, 3] : [3, 4] },
      b: { dims: transB ? [2, 4] : [4, 2] },
      c: { dims: [transA ? 2 : 1] },
    },
    build: (g, a, b, c) => g.op("Gemm", [a, b, c], { transA, transB, alpha: 0.5, beta: 2 }),
  })),

  einsum("ij,jk->ik", [2, 3], [3, 4]),
  einsum("bhid,bhjd->bhij", [2, 2, 3, 4], [2, 2, 5, 4]),
  einsum("...ij,...jk", [2, 3, 4], [2, 4, 2]),
  einsum("i,j->ji", [3], [4]),
  einsum("ijk->kj", [2, 3, 4]),
  einsum("ij,ij->", [3, 4], [3, 4]),
  einsum("ab,bc,cd->da", [2, 3], [3, 4], [4, 2]),
  einsum("b...c,d->b...", [2, 3, 2, 4], [3]),

  conv("3×3, padded", { x: [2, 3, 5, 6], w: [4, 3, 3, 3], options: { pads: 1 }, bias: true }),
  conv("3×3 by steps of 2", { x: [2, 3, 6, 6], w: [4, 3, 3, 3], options: { strides: 2, pads: 1 } }),
  conv("3×3 by steps of 2, odd image", {
    x: [1, 2, 7, 5],
    w: [2, 2, 3, 3],
    options: { strides: 2, pads: 1 },
  }),
  conv("1×1 by steps of 2", { x: [2, 3, 5, 4], w: [4, 3, 1, 1], options: { strides: 2 } }),
  conv("without padding", { x: [2, 2, 5, 5], w: [3, 2, 2, 3] }),
  conv("padded more than its kernel", { x: [1, 2, 3, 3], w: [2, 2, 2, 2], options: { pads: 3 } }),
  conv("dilated, uneven pads", {
    x: [2, 2, 6, 7],
    w: [3, 2, 3, 2],
    options: { dilations: [2, 3], pads: [1, 0, 2, 3] },
  }),
  conv("in groups", {
    x: [2, 4, 4, 5],
    w: [6, 2, 3, 3],
    options: { group: 2, pads: 1 },
    bias: true,
  }),
  conv("in groups by steps", {
    x: [2, 4, 5, 5],
    w: [4, 2, 3, 3],
    options: { group: 2, strides: 2 },
  }),
  conv("by channel", { x: [2, 3, 4, 4], w: [3, 1, 3, 3], options: { group: 3, pads: 1 } }),
  conv("of one axis", { x: [2, 3, 8], w: [2, 3, 3], options: { strides: 2, dilations: 2 } }),
  conv("of three axes", { x: [1, 2, 3, 4, 3], w: [2, 2, 2, 2, 2], options: { pads: 1 } }),
  convTranspose("by steps", [2, 3, 4, 3], [3, 2, 3, 3], {
    strides: [2, 2],
    pads: [1, 1, 1, 1],
    output_padding: [1, 0],
  }),
  convTranspose("in groups", [1, 4, 3, 3], [4, 2, 2, 3], { group: 2, dilations: [2, 1] }),

  pool("MaxPool", "2×2", [2, 3, 4, 6], { kernel_shape: [2, 2], strides: [2, 2] }),
  pool("MaxPool", "3×3 overlapping, padded", [1, 2, 6, 5], {
    kernel_shape: [3, 3],
    strides: [2, 1],
    pads: [1, 1, 1, 1],
  }),
  pool("MaxPool", "rounding up", [1, 2, 5, 6], {
    kernel_shape: [3, 2],
    strides: [2, 2],
    ceil_mode: 1,
  }),
  pool("AveragePool", "2×2", [2, 3, 4, 6], { kernel_shape: [2, 2], strides: [2, 2] }),
  pool("AveragePool", "padded, padding left out", [1, 2, 5, 4], {
    kernel_shape: [3, 3],
    strides: [2, 2],
    pads: [1, 1, 1, 1],
  }),
  pool("AveragePool", "padded, padding counted", [1, 2, 5, 4], {
    kernel_shape: [3, 3],
    strides: [1, 2],
    pads: [1, 1, 1, 1],
    count_include_pad: 1,
  }),
  pool("GlobalAveragePool", "", [2, 3, 4, 5], {}),
  pool("GlobalMaxPool", "", [2, 3, 4, 5], {}),

  {
    name: "BatchNormalization with given statistics",
    inputs: {
      x: { dims: [2, 3, 4, 2] },
      scale: { dims: [3] },
      bias: { dims: [3] },
      mean: { dims: [3] },
      variance: { dims: [3], from: 0.5 },
    },
    build: (g, ...inputs) => g.op("BatchNormalization", inputs, { epsilon: 1e-3 }),
  },
  {
    name: "BatchNormalization in training",
    inputs: { x: { dims: [3, 2, 4, 3] }, scale: { dims: [2] }, bias: { dims: [2] } },
    build: (g, ...inputs) => g.op("celgc.BatchNormalization", inputs, { epsilon: 1e-5 }),
  },
  {
    name: "BatchNormalization in training, far from zero, after Relu",
    inputs: { x: { dims: [4, 2, 6], from: 20, to: 22 }, scale: { dims: [2] }, bias: { dims: [2] } },
    build: (g, ...inputs) => g.relu(g.op("celgc.BatchNormalization", inputs, { epsilon: 1e-5 })),
    tolerance: 2e-4,
  },
  {
    name: "LayerNormalization",
    inputs: { x: { dims: [3, 4, 5] }, scale: { dims: [5] }, bias: { dims: [5] } },
    build: (g, ...inputs) => g.op("LayerNormalization", inputs, { axis: -1, epsilon: 1e-5 }),
  },
  {
    name: "LayerNormalization with a scale that broadcasts",
    inputs: { x: { dims: [3, 4, 2] }, scale: { dims: [4, 1] }, bias: { dims: [2] } },
    build: (g, ...inputs) => g.op("LayerNormalization", inputs, { axis: 1, epsilon: 1e-5 }),
  },
  {
    name: "LayerNormalization with a scale and a bias of as many axes as the data",
    inputs: { x: { dims: [3, 4, 5] }, scale: { dims: [1, 5] }, bias: { dims: [1, 1, 5] } },
    build: (g, ...inputs) => g.op("LayerNormalization", inputs, { axis: -1, epsilon: 1e-5 }),
  },
  {
    name: "LayerNormalization over two axes",
    inputs: { x: { dims: [3, 4, 2] }, scale: { dims: [4, 2] } },
    build: (g, x, scale) => g.op("LayerNormalization", [x, scale], { axis: 1, epsilon: 1e-5 }),
  },

  {
    name: "InstanceNormalization",
    inputs: { x: { dims: [2, 3, 4, 2] }, scale: { dims: [3] }, bias: { dims: [3] } },
    build: (g, ...inputs) => g.op("InstanceNormalization", inputs, { epsilon: 1e-5 }),
  },
  ...[2, 4].map((vector): GradientCase => ({
    name: `GroupNormalization with ${vector} scales`,
    inputs: { x: { dims: [2, 4, 3] }, scale: { dims: [vector] }, bias: { dims: [vector] } },
    build: (g, ...inputs) => g.op("GroupNormalization", inputs, { num_groups: 2, epsilon: 1e-5 }),
  })),
  ...layerCases,
  on("LpNormalization", [3, 4], (g, x) => g.op("LpNormalization", [x], { axis: 0 })),

  on("Softmax", [3, 5], (g, x) => g.op("Softmax", [x], { axis: -1 })),
  on("Softmax over the first axis", [3, 2, 2], (g, x) => g.op("Softmax", [x], { axis: 0 })),
  on("LogSoftmax", [3, 5], (g, x) => g.op("LogSoftmax", [x], { axis: -1 })),
  on("LogSoftmax over a middle axis", [2, 3, 2], (g, x) => g.op("LogSoftmax", [x], { axis: 1 })),
  {
    name: "softmax cross entropy",
    inputs: { logits: { dims: [4, 5], from: -4, to: 4 }, target: indices([4], 5) },
    build: (g, logits, target) => g.softmaxCrossEntropy(logits, target),
  },
  {
    name: "softmax cross entropy of sequences, int64",
    inputs: {
      logits: { dims: [2, 3, 4] },
      target: { ...indices([2, 3], 4), type: "int64" },
    },
    build: (g, logits, target) => g.mean(g.softmaxCrossEntropy(logits, target)),
  },

  losses("SoftmaxCrossEntropyLoss", [4, 3]),
  losses("SoftmaxCrossEntropyLoss", [2, 3, 4], { reduction: "sum" }),
  losses("NegativeLogLikelihoodLoss", [4, 3], { ignore_index: 1 }),
  losses("NegativeLogLikelihoodLoss", [2, 3, 4], { reduction: "none" }),

  recurrent("LSTM", 4, [1, 0]),
  recurrent("LSTM", 4, [1, 1, 2], { direction: "reverse" }),
  recurrent("LSTM", 4, [2, 0, 1], { direction: "bidirectional" }),
  recurrent("GRU", 3, [1, 0]),
  recurrent("GRU", 3, [2, 0, 1], { direction: "bidirectional", linear_before_reset: 1 }),
  recurrent("RNN", 1, [1, 0, 1]),
  recurrent("RNN", 1, [1, 0], { activations: ["Relu"], direction: "reverse" }),
];
