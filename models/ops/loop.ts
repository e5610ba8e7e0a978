/** Scan: a graph repeated along an axis. Lowering makes loops; models do not, so there is no gradient. */

import { Body } from "../body.ts";
import type { Value } from "../graph.ts";
import {
  type Application,
  intAttribute,
  intsAttribute,
  OperatorError,
  type Operators,
} from "../operator.ts";
import { type NumberTensor, sameDims, sizeOf } from "../tensor.ts";

/** A Scan's inputs by what they are to its body. */
function partsOf(call: Application) {
  const body = call.attributes.body;
  if (!(body instanceof Body)) throw new OperatorError(call, "attribute body must be a Body");
  const scanned = intAttribute(call, "num_scan_inputs", 0);
  const states = call.inputs.length - scanned - body.captured;
  const inner = [...body.graph.inputs.values()], results = [...body.graph.outputs.values()];
  if (states < 0 || inner.length !== call.inputs.length || results.length < states) {
    throw new OperatorError(
      call,
      `its body has ${inner.length} inputs and ${results.length} outputs, which do not fit ` +
        `${states} states, ${scanned} scanned and ${body.captured} captured values`,
    );
  }
  return { body, scanned, states, inner, results };
}

/** Operators that repeat a graph. */
export const loopOperators: Operators = {
  Scan: {
    pure: false,
    webgpu: false,
    infer(call) {
      const { scanned, states, inner, results } = partsOf(call);
      const length = call.inputs[states]?.dims[0] ?? 0;
      for (const [i, input] of call.inputs.entries()) {
        const dims = i >= states && i < states + scanned ? input!.dims.slice(1) : input!.dims;
        const long = i >= states && i < states + scanned ? input!.dims[0] : length;
        if (!sameDims(dims, inner[i].dims) || long !== length || input!.type !== inner[i].type) {
          throw new OperatorError(call, `input ${i} does not fit its body's ${inner[i].name}`);
        }
      }
      return results.map(({ type, dims }, i) =>
        i < states ? { type, dims } : { type, dims: [length, ...dims] }
      );
    },
    evaluate(inputs, call, types, evaluateGraph) {
      const { body, scanned, states, inner, results } = partsOf(call);
      const none = new Array<number>(call.inputs.length + call.outputs).fill(0);
      const backward = intsAttribute(call, "scan_input_directions", none);
      const reversed = intsAttribute(call, "scan_output_directions", none);
      const length = inputs[states].dims[0];
      const collected = types.map(({ dims }) => new Float64Array(sizeOf(dims)));
      let state = inputs.slice(0, states);
      for (let t = 0; t < length; t++) {
        const known = new Map<Value, NumberTensor>();
        for (const [i, value] of inner.entries()) {
          if (i >= states && i < states + scanned) {
            const size = sizeOf(value.dims), at = backward[i - states] ? length - 1 - t : t;
            known.set(value, {
              ...value,
              data: inputs[i].data.subarray(at * size, (at + 1) * size),
            });
          } else known.set(value, i < states ? state[i] : inputs[i]);
        }
        const found = evaluateGraph(body.graph, known, results);
        state = found.slice(0, states);
        found.slice(states).forEach(({ data }, i) => {
          const at = reversed[i] ? length - 1 - t : t;
          collected[states + i].set(data, at * data.length);
        });
      }
      state.forEach(({ data }, i) => collected[i].set(data));
      return collected;
    },
  },
};
