/** The ways in which layers of recent operator sets, resizing and pooling are differentiated. */

import type { Graph, Value } from "../../models/graph.ts";
import {
  convTranspose,
  type GradientCase,
  type GradientInput,
  indices,
  on,
  pool,
} from "./_gradient_case.ts";

const resize = (
  name: string,
  dims: number[],
  scales: number[] | null,
  sizes: number[] | null,
  attributes = {},
) =>
  on(`Resize ${name}`, dims, (g, x) => {
    const size = sizes && g.ints(sizes);
    const scale = scales && g.constant("float32", [scales.length], scales);
    return g.op("Resize", [x, null, scale, size].slice(0, sizes ? 4 : 3), attributes);
  });

const resizes: GradientCase[] = [
  resize("to the double, nearest", [2, 3, 4, 3], [1, 1, 2, 2], null, {
    mode: "nearest",
    coordinate_transformation_mode: "asymmetric",
    nearest_mode: "floor",
  }),
  resize("to odd sizes, nearest", [2, 3, 4, 3], null, [2, 3, 7, 5], { mode: "nearest" }),
  resize("to fewer, nearest", [1, 2, 6, 5], [1, 1, 0.5, 0.6], null, {
    mode: "nearest",
    nearest_mode: "round_prefer_ceil",
    coordinate_transformation_mode: "half_pixel",
  }),
  resize("linear", [2, 3, 4, 3], [1, 1, 2, 1.5], null, { mode: "linear" }),
  resize("linear with aligned corners", [2, 3, 4, 3], null, [2, 3, 6, 7], {
    mode: "linear",
    coordinate_transformation_mode: "align_corners",
  }),
  resize("linear to fewer, as PyTorch", [1, 2, 6, 5], null, [1, 2, 1, 3], {
    mode: "linear",
    coordinate_transformation_mode: "pytorch_half_pixel",
  }),
  resize("linear of a sequence", [2, 3, 5], [1, 1, 2], null, { mode: "linear" }),
  resize("cubic", [1, 2, 5, 4], [1, 1, 2, 1.5], null, { mode: "cubic" }),
  resize("cubic within the image", [1, 2, 5, 4], [1, 1, 2, 2], null, {
    mode: "cubic",
    exclude_outside: 1,
  }),
];

const attend = (
  name: string,
  [q, k, v]: number[][],
  attributes = {},
  more: Record<string, GradientInput> = {},
  mask?: (g: Graph) => Value,
): GradientCase => ({
  name: `Attention ${name}`,
  inputs: { q: { dims: q }, k: { dims: k }, v: { dims: v }, ...more },
  build: (g, q, k, v, ...rest) =>
    g.op("Attention", mask ? [q, k, v, mask(g)] : [q, k, v, ...rest], attributes),
});

const attentions: GradientCase[] = [
  attend("of 4 axes", [[2, 3, 4, 5], [2, 3, 6, 5], [2, 3, 6, 2]]),
  attend("of 3 axes, causal", [[2, 4, 6], [2, 4, 6], [2, 4, 6]], {
    is_causal: 1,
    q_num_heads: 2,
    kv_num_heads: 2,
  }),
  attend("of shared heads, softly capped", [[1, 4, 3, 2], [1, 2, 5, 2], [1, 2, 5, 2]], {
    scale: 0.7,
    softcap: 1.5,
  }),
  attend("with a mask to add", [[1, 2, 3, 4], [1, 2, 3, 4], [1, 2, 3, 4]], {}, {
    mask: { dims: [3, 3] },
  }),
  attend(
    "with a mask of bool",
    [[1, 2, 2, 4], [1, 2, 3, 4], [1, 2, 3, 4]],
    {},
    {},
    (g) => g.constant("bool", [2, 3], [1, 0, 1, 1, 1, 0]),
  ),
  attend(
    "of a query that sees nothing",
    [[1, 2, 3, 4], [1, 2, 3, 4], [1, 2, 3, 4]],
    { is_causal: 1 },
    {},
    (g) => g.constant("bool", [3, 3], [1, 1, 1, 0, 0, 1, 0, 1, 1]),
  ),
  attend(
    "of a query that sees nothing, by a mask to add",
    [[1, 2, 2, 4], [1, 2, 2, 4], [1, 2, 2, 4]],
    {},
    {},
    (g) => g.constant("float32", [2, 2], [-Infinity, -Infinity, 0.5, -Infinity]),
  ),
  {
    name: "celgc.CausalAttention",
    inputs: { qkv: { dims: [2, 5, 12] } },
    build: (g, qkv) => g.op("celgc.CausalAttention", [qkv], { heads: 2 }),
  },
  {
    name: "celgc.CausalAttention with a mask",
    inputs: { qkv: { dims: [2, 3, 18] }, mask: { dims: [2, 3, 3, 3], gradient: false } },
    build: (g, qkv, mask) => g.op("celgc.CausalAttention", [qkv, mask], { heads: 3 }),
  },
  {
    name: "celgc.CausalAttention of one position",
    inputs: { qkv: { dims: [3, 1, 6] } },
    build: (g, qkv) => g.op("celgc.CausalAttention", [qkv], { heads: 1 }),
  },
  ...[0, 1].map((interleaved): GradientCase => ({
    name: `RotaryEmbedding${interleaved ? ", interleaved" : ""}`,
    inputs: { x: { dims: [2, 3, 4, 6] }, cos: { dims: [2, 4, 3] }, sin: { dims: [2, 4, 3] } },
    build: (g, ...inputs) => g.op("RotaryEmbedding", inputs, { interleaved }),
  })),
  {
    name: "RotaryEmbedding of a part, by positions",
    inputs: {
      x: { dims: [2, 3, 12] },
      cos: { dims: [5, 2] },
      sin: { dims: [5, 2] },
      ids: { ...indices([2, 3], 5), type: "int64" },
    },
    build: (g, ...inputs) =>
      g.op("RotaryEmbedding", inputs, { num_heads: 2, rotary_embedding_dim: 4 }),
  },
];

const pools: GradientCase[] = [
  ...[1, 2, 3].map((p) =>
    pool("LpPool", `with p = ${p}`, [2, 2, 5, 4], {
      p,
      kernel_shape: [3, 2],
      strides: [2, 1],
      pads: [1, 0, 1, 1],
    })
  ),
  pool("MaxPool", "that rounds up", [2, 2, 6, 5], {
    kernel_shape: [3, 2],
    strides: [2, 2],
    ceil_mode: 1,
  }),
  pool("MaxPool", "of a large kernel", [1, 2, 20, 18], {
    kernel_shape: [17, 16],
    strides: [2, 3],
    pads: [2, 1, 0, 2],
  }),
  pool("AveragePool", "that rounds up", [2, 2, 6, 5], {
    kernel_shape: [3, 2],
    strides: [2, 2],
    ceil_mode: 1,
  }),
  pool("AveragePool", "that rounds up and counts padding", [1, 2, 6, 5], {
    kernel_shape: [3, 2],
    strides: [2, 2],
    pads: [1, 1, 1, 0],
    ceil_mode: 1,
    count_include_pad: 1,
  }),
  ...[0, 1].map((count_include_pad) =>
    pool("AveragePool", `with holes ${count_include_pad ? "that counts padding" : ""}`, [
      1,
      2,
      7,
      6,
    ], {
      kernel_shape: [3, 2],
      dilations: [2, 3],
      pads: [1, 1, 1, 0],
      count_include_pad,
    })
  ),
  convTranspose("to a larger shape than it fills", [1, 2, 3, 4], [2, 3, 2, 2], {
    strides: [2, 2],
    output_shape: [7, 9],
  }),
  convTranspose("to a much larger shape than it fills", [1, 2, 3, 4], [2, 3, 2, 3], {
    strides: [2, 2],
    output_shape: [9, 10],
  }),
  convTranspose("to a larger shape along one axis, a smaller along another", [1, 2, 3, 4], [
    2,
    3,
    2,
    3,
  ], { strides: [2, 2], output_shape: [9, 7] }),
  convTranspose("padded by its stride and more", [1, 2, 3, 4], [2, 3, 2, 3], {
    dilations: [3, 2],
    pads: [0, 1, 1, 1],
    output_padding: [2, 1],
  }),
  convTranspose("to so many times the size, of a small kernel", [1, 2, 3, 4], [2, 3, 1, 2], {
    strides: [3, 2],
    auto_pad: "SAME_LOWER",
  }),
];

const norms: GradientCase[] = [
  {
    name: "LayerNormalization with its mean and scale",
    inputs: { x: { dims: [2, 3, 4] }, scale: { dims: [4] }, bias: { dims: [4] } },
    build(g, ...inputs) {
      const [y, mean, scale] = g.opMany("LayerNormalization", inputs, { epsilon: 1e-5 }, 3);
      return g.mul(g.add(y, mean), scale);
    },
  },
  {
    name: "LayerNormalization of which the scale alone is read",
    inputs: { x: { dims: [2, 3, 4] }, scale: { dims: [3, 4], gradient: false } },
    build: (g, x, scale) =>
      g.opMany("LayerNormalization", [x, scale], { axis: 1, epsilon: 1e-5 }, 3)[2],
  },
  {
    name: "RMSNormalization",
    inputs: { x: { dims: [2, 3, 4] }, scale: { dims: [4] } },
    build: (g, ...inputs) => g.op("RMSNormalization", inputs, { epsilon: 1e-5 }),
  },
  {
    name: "RMSNormalization over two axes",
    inputs: { x: { dims: [2, 3, 4] }, scale: { dims: [3, 4] } },
    build: (g, ...inputs) => g.op("RMSNormalization", inputs, { axis: 1, epsilon: 1e-3 }),
  },
  ...[3, 5].map((size): GradientCase =>
    on(
      `LRN over ${size} channels`,
      [2, 5, 3, 2],
      (g, x) => g.op("LRN", [x], { size, alpha: 0.5, beta: 0.75, bias: 1.5 }),
    )
  ),
  on("CastLike", [3], (g, x) => g.op("CastLike", [x, g.scalar(1, "float32")])),
];

const paddings: GradientCase[] = ["reflect", "edge", "wrap"].map((mode) =>
  on(
    `Pad in mode ${mode}`,
    [2, 3, 4],
    (g, x) => g.op("Pad", [x, g.ints([0, 1, 2, 0, 2, 3])], { mode }),
  )
);

export const layerCases: GradientCase[] = [
  ...paddings,
  ...pools,
  ...norms,
  ...resizes,
  ...attentions,
];
