import assert from "node:assert/strict";
import { create, fromBinary, onnx, toBinary } from "../../../deps.ts";
import { encodeModel } from "../../../models/encode.ts";
import { Graph, type Value } from "../../../models/graph.ts";
import type { Attributes } from "../../../models/operator.ts";
import { findOperator } from "../../../models/ops/mod.ts";
import { load, loadModel, relativeError } from "../_evaluate.ts";
import { draw } from "../_gradient_case.ts";
import { cases } from "../_gradient_cases.ts";

/** An operator that was expanded: what it was given, and the values that stand for its outputs. */
interface Expansion {
  op: string;
  inputs: readonly (Value | null)[];
  attributes: Attributes;
  results: readonly Value[];
}

/** Notes which operators are expanded. */
class Recorder extends Graph {
  readonly expansions: Expansion[] = [];

  override opMany(
    op: string,
    inputs: readonly (Value | null)[],
    attributes: Attributes,
    outputs: number,
  ): readonly Value[] {
    const results = super.opMany(op, inputs, attributes, outputs);
    if (findOperator(op).expand) this.expansions.push({ op, inputs, attributes, results });
    return results;
  }
}

/** A model with the one operator as it is. */
function rawModel({ op, inputs, attributes, results }: Expansion): Uint8Array {
  const g = new Graph();
  const declared = inputs.map((input, i) => input && g.input(`x${i}`, input.type, input.dims));
  g.output("y0", g.op("Identity", [declared.find((input) => input)!]));
  // Any operator carries the attributes into the file.
  const carrier = new Graph();
  carrier.output("y", carrier.op("Exp", [carrier.input("x", "float32", [])], attributes));
  const [{ attribute }] = fromBinary(onnx.ModelProtoSchema, encodeModel(carrier)).graph!.node;
  const model = fromBinary(onnx.ModelProtoSchema, encodeModel(g));
  const output = results.map((_, i) => `y${i}`);
  // One scale for each group is what opset 18 said.
  const old = op === "GroupNormalization" && inputs[1]!.dims[0] === attributes.num_groups;
  const recent = ["Attention", "RMSNormalization", "RotaryEmbedding"].includes(op);
  model.opsetImport[0].version = old ? 18n : recent ? 23n : 21n;
  model.graph!.node = [create(onnx.NodeProtoSchema, {
    opType: op,
    input: declared.map((input) => input?.name ?? ""),
    output,
    attribute,
  })];
  model.graph!.output = output.map((name) => create(onnx.ValueInfoProtoSchema, { name }));
  return toBinary(onnx.ModelProtoSchema, model);
}

for (const each of cases) {
  const g = new Recorder();
  const values = Object.entries(each.inputs).map(([name, { dims, type = "float32" }]) =>
    g.input(name, type, dims)
  );
  each.build(g, ...values);
  if (g.expansions.length === 0) continue;
  Deno.test(`the expansion of ${each.name} gives what onnxruntime's own operator gives`, async () => {
    g.expansions.forEach(({ inputs, results }, i) => {
      inputs.forEach((value, k) => value && g.output(`input ${i} ${k}`, value));
      results.forEach((value, k) => g.output(`result ${i} ${k}`, value));
    });
    await using expanded = await load(g);
    const known = await expanded.run(draw(each));
    for (const [i, expansion] of g.expansions.entries()) {
      const types = expansion.inputs.flatMap((value, k) =>
        value ? [[`x${k}`, value] as const] : []
      );
      const own = rawModel({ ...expansion, results: expansion.results.slice(0, 1) });
      await using runner = await loadModel(own, new Map(types));
      const feeds = types.map(([name]) => [name, known[`input ${i} ${name.slice(1)}`].data]);
      const { y0 } = await runner.run(Object.fromEntries(feeds));
      const mine = known[`result ${i} 0`];
      assert.deepEqual(mine.dims, y0.dims);
      const error = relativeError(mine.data, y0.data);
      assert(error < 1e-5, `${expansion.op} is off by ${error}\n${mine.data}\n${y0.data}`);
    }
  });
}
