import assert from "node:assert/strict";
import { differentiate } from "../../../models/autodiff.ts";
import { Graph, type Value } from "../../../models/graph.ts";
import { Random } from "../../../runtime/base/random.ts";
import { load, relativeError } from "../_evaluate.ts";

type Build = (g: Graph, qkv: Value, heads: number) => Value;

const ours: Build = (g, qkv, heads) => g.op("celgc.CausalAttention", [qkv], { heads });

const composed: Build = (g, qkv, heads) => {
  const width = qkv.dims[2] / 3;
  const parts = [0, 1, 2].map((i) => g.slice(qkv, [2], [i * width], [(i + 1) * width]));
  return g.op("Attention", parts, { is_causal: 1, q_num_heads: heads, kv_num_heads: heads });
};

// Queries in one block, in several, in blocks of unequal size; the heads of a sample together and apart.
for (
  const [batch, length, heads, size] of [[2, 9, 3, 4], [2, 131, 2, 4], [1, 300, 2, 8], [
    2,
    750,
    2,
    4,
  ]]
) {
  Deno.test(`causal attention over ${length} positions is what plain operators make of it`, async () => {
    const random = new Random(2, "attention", length), dims = [batch, length, 3 * heads * size];
    const numbers = (count: number) => Float32Array.from({ length: count }, () => random.normal());
    const count = batch * length * heads * size;
    const feeds = { qkv: numbers(3 * count), weights: numbers(count) };
    const run = async (build: Build, target: "cpu" | "webgpu" | "portable") => {
      const g = new Graph(), qkv = g.input("qkv", "float32", dims), y = build(g, qkv, heads);
      const weights = g.input("weights", "float32", y.dims);
      g.output("y", y);
      g.output("gradient", differentiate(g, g.sum(g.mul(y, weights)), [qkv])[0]);
      await using runner = await load(g, { target });
      return await runner.run(feeds);
    };
    const expected = await run(composed, "portable");
    for (const target of ["cpu", "webgpu", "portable"] as const) {
      const found = await run(ours, target);
      for (const name of ["y", "gradient"]) {
        const error = relativeError(found[name].data, expected[name].data);
        assert(error < 1e-5, `${target}: ${name} is off by ${error}`);
      }
    }
  });
}
