/** Backward passes of Gather. */

import type { Value } from "../graph.ts";
import { normalizeAxis } from "../tensor.ts";
import type { LoweringRules } from "./rule.ts";

/** Rules for indexing. */
export const indexingRules: LoweringRules = {
  "celgc.GatherGradient"(g, { inputs, attributes }) {
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
      g.expand(g.scalar(0, dy.type), front),
      g.cast(g.unsqueeze(indices, [-1]), "int64"),
      g.transpose(dy, dyFront),
    ], { reduction: "add" });
    return [g.transpose(added, order.map((i) => toFront.indexOf(i)))];
  },
};
