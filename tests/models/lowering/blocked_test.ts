import assert from "node:assert/strict";
import { differentiate } from "../../../models/autodiff.ts";
import { Graph, type Value } from "../../../models/graph.ts";
import { lower } from "../../../models/lowering/mod.ts";
import { openDevice } from "../../../runtime/devices/open.ts";
import { Random } from "../../../runtime/base/random.ts";
import { emulateBlocks } from "./_emulate_blocks.ts";
import { type Feeds, load, relativeError, type Runner } from "../_evaluate.ts";

/** Where the processor has no blocked kernels there is nothing to compare. */
const channelBlock = await (async () => {
  await using device = await openDevice("cpu");
  return device.channelBlock;
})();

interface Case {
  name: string;
  x: number[];
  /** Appends a chain that ends in an image; parameters are declared by `parameter`. */
  build: (g: Graph, x: Value, parameter: (name: string, dims: number[]) => Value) => Value;
  /** Parameters to which no gradient flows. */
  fixed?: string[];
  /** Operators that must not be left in the lowered graph. */
  gone?: string[];
}

interface ConvCase {
  x: number[];
  w: number[];
  options?: Parameters<Graph["conv"]>[2];
}

const conv = ({ x, w, options }: ConvCase): Case => ({
  name: `a convolution of [${x}] by [${w}] ${Deno.inspect(options ?? {}, { compact: true })}`,
  x,
  build: (g, value, parameter) => g.conv(value, parameter("w", w), options),
});

/** Networks for blocks of `B` channels. */
const casesFor = (B: number): Case[] => [
  conv({ x: [2 * B, B, 8, 8], w: [2 * B, B, 3, 3], options: { pads: 1 } }),
  conv({ x: [B, 2 * B, 8, 6], w: [B, 2 * B, 3, 3], options: { pads: 1 } }),
  conv({ x: [B, B, 8, 8], w: [B, B, 1, 1] }),
  conv({ x: [B, B, 9, 7], w: [B, B, 5, 3], options: { pads: [2, 1, 2, 1] } }),
  conv({ x: [B, B, 8, 8], w: [B, B, 3, 3] }),
  conv({ x: [B, B, 9, 9], w: [B, B, 3, 3], options: { pads: 2, dilations: 2 } }),
  conv({ x: [B, B, 8, 8], w: [2 * B, B, 3, 3], options: { pads: 1, strides: 2 } }),
  conv({ x: [B, B, 8, 8], w: [B, B, 1, 1], options: { strides: 2 } }),
  conv({ x: [B, B, 9, 9], w: [B, B, 3, 3], options: { pads: 1, strides: 2 } }),
  conv({ x: [B, B, 12, 8], w: [B, B, 5, 5], options: { pads: 2, strides: [3, 2] } }),
  conv({ x: [B, B, 7, 7], w: [B, B, 3, 3], options: { pads: [0, 1, 2, 1], strides: [2, 1] } }),
  conv({ x: [B, 3, 8, 8], w: [B, 3, 3, 3], options: { pads: 1 } }),
  conv({ x: [3, B, 8, 8], w: [B, B, 3, 3], options: { pads: 1 } }),
  conv({ x: [B, B, 8, 8], w: [4 * B, B, 3, 3], options: { pads: 1 } }),
  conv({ x: [B + 4, B, 8, 8], w: [3 * B, B, 3, 3], options: { pads: 1, strides: 2 } }),
  conv({ x: [B + 3, 3, 8, 8], w: [B, 3, 3, 3], options: { pads: 1 } }),
  conv({ x: [1, B, 8, 8], w: [B, B, 3, 3], options: { pads: 1 } }),
  conv({ x: [B + 3, B, 8, 8], w: [B, B, 3, 3], options: { pads: 1 } }),
  conv({ x: [B, B, 8, 8], w: [B + 1, B, 3, 3], options: { pads: 1 } }),
  conv({ x: [B, B + 1, 8, 8], w: [B, B + 1, 3, 3], options: { pads: 1 } }),
  conv({ x: [B, 2 * B, 8, 8], w: [2 * B, 1, 3, 3], options: { pads: 1, group: 2 * B } }),
  {
    name: "a residual block",
    x: [B, B, 8, 8],
    build: (g, x, parameter) => {
      const norm = (name: string, y: Value) =>
        g.op("celgc.BatchNormalization", [
          y,
          parameter(`${name}.scale`, [B]),
          parameter(`${name}.bias`, [B]),
        ]);
      x = g.relu(norm("bn0", g.conv(x, parameter("w0", [B, B, 3, 3]), { pads: 1 })));
      let y = g.relu(norm("bn1", g.conv(x, parameter("w1", [B, B, 3, 3]), { pads: 1 })));
      y = norm("bn2", g.conv(y, parameter("w2", [B, B, 3, 3]), { pads: 1 }));
      return g.relu(g.add(y, x));
    },
    gone: ["Conv", "Relu"],
  },
  {
    name: "batch normalisation about a large mean",
    x: [B, B, 8, 8],
    build: (g, x, parameter) => {
      const y = g.add(g.conv(x, parameter("w", [B, B, 1, 1])), 1000);
      const inputs = [y, parameter("scale", [B]), parameter("bias", [B])];
      return g.op("celgc.BatchNormalization", inputs);
    },
  },
  {
    name: "evaluation with running statistics, then the mean over the image",
    x: [B, B, 8, 8],
    build: (g, x, parameter) => {
      const y = g.conv(x, parameter("w", [B, B, 3, 3]), { pads: 1 });
      const variance = g.exp(parameter("variance", [B]));
      const inputs = ["scale", "bias", "mean"].map((name) => parameter(name, [B]));
      const normal = g.op("BatchNormalization", [y, ...inputs, variance]);
      return g.op("GlobalAveragePool", [g.relu(normal)]);
    },
    fixed: ["mean", "variance"],
  },
  {
    name: "a shortcut to fewer pixels and more channels",
    x: [B, B, 8, 6],
    build: (g, x, parameter) => {
      const y = g.relu(g.conv(x, parameter("w0", [B, B, 3, 3]), { pads: 1 }));
      const less = g.pad(
        g.slice(y, [2, 3], [0, 0], [8, 6], [2, 2]),
        [0, B, 0, 0],
        [0, 2 * B, 0, 0],
      );
      const more = g.conv(y, parameter("w1", [4 * B, B, 3, 3]), { pads: 1, strides: 2 });
      return g.relu(g.add(more, less));
    },
    gone: ["celgc.SliceGradient"],
  },
  {
    name: "parts of an image that part blocks, or do not",
    x: [B, 2 * B, 6, 6],
    build: (g, x, parameter) => {
      const y = g.conv(x, parameter("w", [2 * B, 2 * B, 1, 1]));
      const parts = [
        g.slice(y, [1], [3], [2 * B], [1]),
        g.slice(y, [2, 3], [1, 1], [6, 4], [3, 1]),
        g.slice(y, [3, 2], [-1, 0], [-7, 6], [-1, 2]),
        g.slice(y, [0], [1], [3], [1]),
        g.slice(y, [1, 2], [-B, 1], [1000, 3]),
        g.pad(y, [0, 4, 1, 0], [0, 4, 0, 2]),
        g.pad(y, [0, 0, -1, 0], [0, 0, 0, -2]),
        g.pad(y, [1, B, 0, 0], [0, 0, 0, 0]),
      ];
      return parts.map((part) => g.sum(g.mul(part, part))).reduce((a, b) => g.add(a, b));
    },
  },
  {
    name: "one convolution read twice",
    x: [B, B, 8, 8],
    build: (g, x, parameter) => {
      const y = g.conv(x, parameter("w", [B, B, 3, 3]), { pads: 1 });
      return g.add(g.mul(g.relu(y), y), g.sub(x, y));
    },
  },
];

/** A case's graph with its gradients, and what it is fed. */
function graphOf({ name, x: dims, build, fixed = [] }: Case): { g: Graph; feeds: Feeds } {
  const g = new Graph(), random = new Random(5, "blocked", name), feeds: Feeds = {};
  const input = (label: string, shape: number[]) => {
    const value = g.input(label, "float32", shape);
    const size = shape.reduce((a, b) => a * b, 1);
    feeds[label] = Float32Array.from({ length: size }, () => random.normal());
    return value;
  };
  const parameters = new Map<string, Value>([["x", input("x", dims)]]);
  const y = build(g, parameters.get("x")!, (label, shape) => {
    const value = input(label, shape);
    parameters.set(label, value);
    return value;
  });
  // A loss in which every element of y counts differently.
  const loss = g.sum(g.mul(y, input("weights", [...y.dims])));
  g.output("y", y);
  for (const label of fixed) parameters.delete(label);
  const gradients = differentiate(g, loss, [...parameters.values()]);
  [...parameters.keys()].forEach((label, i) => g.output(`${label}.grad`, gradients[i]));
  return { g, feeds };
}

async function agree(plain: Runner, blocked: Runner, feeds: Feeds): Promise<void> {
  const expected = await plain.run(feeds), actual = await blocked.run(feeds);
  for (const [label, { dims, data }] of Object.entries(expected)) {
    assert.deepEqual(actual[label].dims, dims);
    const error = relativeError(actual[label].data, data);
    assert(error < 2e-5, `${label} differs by ${error}`);
  }
}

for (const each of casesFor(Math.max(channelBlock, 8))) {
  Deno.test({
    name: `blocked: ${each.name} gives the values and gradients of the plain form`,
    ignore: channelBlock === 1,
    sanitizeOps: false,
    sanitizeResources: false,
    fn: async () => {
      const { g, feeds } = graphOf(each);
      const lowered = lower(g, "cpu", channelBlock);
      for (const op of each.gone ?? []) assert(!lowered.nodes.some((node) => node.op === op), op);
      await using plain = await load(g, { target: "cpu" });
      await using blocked = await load(g, { target: "cpu", channelBlock });
      await agree(plain, blocked, feeds);
      // What the emulation below says of other processors holds if it is right about this one.
      await using emulated = await load(emulateBlocks(lowered, channelBlock));
      await agree(blocked, emulated, feeds);
    },
  });
}

for (const size of [8, 16].filter((size) => size !== channelBlock)) {
  Deno.test({
    name: `blocks of ${size} channels, emulated, give the values and gradients of the plain form`,
    sanitizeOps: false,
    sanitizeResources: false,
    fn: async (test) => {
      for (const each of casesFor(size)) {
        await test.step(each.name, async () => {
          const { g, feeds } = graphOf(each);
          await using plain = await load(g, { target: "cpu" });
          await using emulated = await load(emulateBlocks(lower(g, "cpu", size), size));
          await agree(plain, emulated, feeds);
        });
      }
    },
  });
}

Deno.test("without blocks the graph has standard operators alone", () => {
  const g = new Graph();
  const x = g.input("x", "float32", [8, 16, 8, 8]), w = g.input("w", "float32", [16, 16, 3, 3]);
  const y = g.output("y", g.relu(g.conv(x, w, { pads: 1 })));
  g.output("dw", differentiate(g, g.sum(y), [w])[0]);
  for (const target of ["cpu", "wasm", "webgpu", "portable"] as const) {
    const domains = lower(g, target).nodes.map(({ op }) => op.includes("."));
    assert(!domains.includes(true), target);
  }
});
