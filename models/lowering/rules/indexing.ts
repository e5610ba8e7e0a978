/** Backward passes of Gather and Slice. */

import type { Value } from "../../graph.ts";
import { normalizeAxis } from "../../tensor.ts";
import { zeros } from "./_zeros.ts";
import type { LoweringRules } from "../rule.ts";

/** Rules for indexing. */
export const indexingRules: LoweringRules = {
  "celgc.SliceGradient"(g, { inputs: [dy], attributes }) {
    const [dims, starts, steps] = ["dims", "starts", "steps"].map((name) =>
      attributes[name] as readonly number[]
    );
    // Between two elements come step − 1 zeros: an axis of length 1 after each strided axis is padded
    // to the step and merged into it.
    const counts = dy!.dims;
    let x = g.reshape(dy!, counts.flatMap((count, i) => steps[i] > 1 ? [count, 1] : [count]));
    const after = steps.flatMap((step) => step > 1 ? [0, step - 1] : [0]);
    x = g.pad(x, after.map(() => 0), after);
    x = g.reshape(x, counts.map((count, i) => count * steps[i]));
    return [g.pad(x, starts, dims.map((dim, i) => dim - starts[i] - x.dims[i]))];
  },
  "celgc.GatherGradient"(g, { inputs, attributes }, target) {
    const [indices, dy] = inputs as Value[];
    const dims = attributes.dims as readonly number[];
    const axis = normalizeAxis(Number(attributes.axis), dims.length);
    const order = dims.map((_, i) => i);
    const toFront = [axis, ...order.toSpliced(axis, 1)];
    // dy's axes that the indices brought in, then those before them, then those after.
    const count = indices.dims.length;
    const dyOrder = dy.dims.map((_, i) => i);
    const dyFront = [...dyOrder.splice(axis, count), ...dyOrder];
    const front = toFront.map((i) => dims[i]);
    const added = g.op("ScatterND", [
      zeros(g, target, dy, front),
      g.cast(g.unsqueeze(narrow(indices), [-1]), "int64"),
      g.transpose(dy, dyFront),
    ], { reduction: "add" });
    return [g.transpose(added, order.map((i) => toFront.indexOf(i)))];
  },
};

/** Indices before they were widened: on WebGPU int64 can be made and read, but not reshaped. */
function narrow(indices: Value): Value {
  const { op, inputs } = indices.producer ?? {};
  return op === "Cast" && inputs?.[0]?.type === "int32" ? inputs[0] : indices;
}
