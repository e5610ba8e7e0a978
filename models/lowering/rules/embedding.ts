/** The gradient of a tied embedding: the decoder's, to which the rows that were read add theirs. */

import type { Value } from "../../graph.ts";
import { sameDims } from "../../tensor.ts";
import { isZeros } from "./_zeros.ts";
import type { LoweringRules } from "../rule.ts";

/** Rules for embeddings. */
export const embeddingRules: LoweringRules = {
  /**
   * Slices added into zeros, and those to another tensor, are slices added into that tensor. On the CPU
   * that is slower: ScatterND copies what it adds into.
   */
  Add(g, { inputs }, target) {
    if (target !== "webgpu") return undefined;
    for (const [i, input] of inputs.entries()) {
      const other = inputs[1 - i]!, node = input!.producer;
      if (node?.op !== "ScatterND" || node.attributes.reduction !== "add") continue;
      const [data, indices, updates] = node.inputs as Value[];
      // A constant or an input of the graph would be copied, see _zeros.ts.
      if (isZeros(data) && sameDims(other.dims, data.dims) && other.producer) {
        return [g.op("ScatterND", [other, indices, updates], node.attributes)];
      }
    }
  },
};
