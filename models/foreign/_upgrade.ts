/** What older operator sets said in other ways, said as opset 18 does. */

import type { Graph, Value } from "../graph.ts";
import type { Application } from "../operator.ts";

/** Rewrites an application written before `before`. */
interface Upgrade {
  readonly before: number;
  upgrade(g: Graph, call: Application): Application | readonly Value[];
}

/** Moves list attributes to inputs, in this order after the data. */
function attributesToInputs(before: number, ...names: string[]): Upgrade {
  return {
    before,
    upgrade(g, call) {
      const { [names[0]]: _, ...first } = call.attributes;
      const attributes = { ...first };
      const moved = names.map((name) => {
        const list = call.attributes[name] as readonly number[] | undefined;
        delete attributes[name];
        return list ? g.ints(list) : null;
      });
      return { ...call, inputs: [call.inputs[0], ...moved], attributes };
    },
  };
}

/** Before opset 13, softmax ran over all axes from `axis` on, as one. */
const flattened: Upgrade = {
  before: 13,
  upgrade(g, { op, inputs: [x], attributes }) {
    const axis = Number(attributes.axis ?? 1);
    const rows = g.op("Flatten", [x], { axis });
    return [g.reshape(g.op(op, [rows], { axis: -1 }), x!.dims)];
  },
};

const reductions = [
  "ReduceMean",
  "ReduceMax",
  "ReduceMin",
  "ReduceProd",
  "ReduceSumSquare",
  "ReduceL1",
  "ReduceL2",
  "ReduceLogSum",
  "ReduceLogSumExp",
];

const upgrades: Readonly<Record<string, Upgrade>> = {
  Squeeze: attributesToInputs(13, "axes"),
  Unsqueeze: attributesToInputs(13, "axes"),
  ReduceSum: attributesToInputs(13, "axes"),
  ...Object.fromEntries(reductions.map((op) => [op, attributesToInputs(18, "axes")])),
  Split: attributesToInputs(13, "split"),
  Slice: attributesToInputs(10, "starts", "ends", "axes"),
  Softmax: flattened,
  LogSoftmax: flattened,
  TopK: {
    before: 10,
    upgrade(g, { inputs, attributes: { k, ...attributes }, ...call }) {
      return { ...call, attributes, inputs: [inputs[0], g.ints([Number(k)])] };
    },
  },
  Clip: {
    before: 11,
    upgrade(g, { inputs: [x], attributes: { min, max }, ...call }) {
      const bound = (value: unknown) =>
        value === undefined ? null : g.scalar(Number(value), x!.type);
      return { ...call, inputs: [x, bound(min), bound(max)], attributes: {} };
    },
  },
  Pad: {
    before: 11,
    upgrade(g, { inputs: [x], attributes: { pads, value, ...attributes }, ...call }) {
      const inputs = [x, g.ints(pads as number[]), g.scalar(Number(value ?? 0), x!.type)];
      return { ...call, inputs, attributes };
    },
  },
  Dropout: {
    before: 12,
    upgrade(g, { inputs: [x], attributes: { ratio }, ...call }) {
      return { ...call, inputs: [x, g.scalar(Number(ratio ?? 0.5))], attributes: {} };
    },
  },
  BatchNormalization: {
    before: 14,
    upgrade(_g, { attributes, ...call }) {
      // The statistics were returned in training, and only then.
      const training = Number(call.outputs > 1);
      return { ...call, attributes: { ...attributes, training_mode: training } };
    },
  },
};

/** What an operator of `opset` says, as opset 18 says it: an operator, or values already computed. */
export function upgrade(
  g: Graph,
  opset: number,
  call: Application,
): Application | readonly Value[] {
  const rule = upgrades[call.op];
  return rule && opset < rule.before ? rule.upgrade(g, call) : call;
}
