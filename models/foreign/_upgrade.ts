/** What older and later operator sets say in other ways, said as opset 18 does. */

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

/** Before opset 11, an image was resized by scales alone, from its first pixel on. */
const resized = ({ inputs: [x, scales], ...call }: Application): Application => ({
  ...call,
  inputs: [x, null, scales],
  attributes: {
    ...call.attributes,
    coordinate_transformation_mode: "asymmetric",
    nearest_mode: "floor",
  },
});

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
  /** Up to opset 9 under this name. */
  Upsample: {
    before: 10,
    upgrade: (_g, call) => resized({ ...call, op: "Resize" }),
  },
  Resize: {
    before: 11,
    upgrade: (_g, call) => resized(call),
  },
  /** Up to opset 10 under this name. */
  Scatter: {
    before: 11,
    upgrade: (_g, call) => ({ ...call, op: "ScatterElements" }),
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

/** What later operator sets say by an attribute or input of their own. */
const later: Readonly<Record<string, Upgrade["upgrade"]>> = {
  /** The number of parts, all of one size but the last. */
  Split(g, call) {
    const { num_outputs: given, ...attributes } = call.attributes;
    const [x, sizes] = call.inputs;
    // Outputs without a name at the end are outputs still.
    if (sizes?.constant) return { ...call, outputs: sizes.constant.data.length };
    if (given === undefined || sizes) return call;
    const axis = Number(attributes.axis ?? 0), length = x!.dims.at(axis) ?? 0;
    const parts = Number(given), part = Math.ceil(length / parts);
    const each = Array.from(
      { length: parts },
      (_, i) => Math.max(0, Math.min(part, length - i * part)),
    );
    return { ...call, inputs: [x, g.ints(each)], attributes, outputs: parts };
  },
  /** The axes that the pads are of. */
  Pad(g, call) {
    const [x, pads, value, axes] = call.inputs;
    if (!axes?.constant || !pads?.constant) return call;
    const rank = x!.dims.length, all = new Array<number>(2 * rank).fill(0);
    const counts = Array.from(pads.constant.data as ArrayLike<number | bigint>, Number);
    Array.from(axes.constant.data as ArrayLike<number | bigint>, Number).forEach((given, i) => {
      const axis = given < 0 ? given + rank : given;
      all[axis] = counts[i];
      all[rank + axis] = counts[counts.length / 2 + i];
    });
    return { ...call, inputs: [x, g.ints(all), value] };
  },
};

/** What an operator of `opset` says, as opset 18 says it: an operator, or values already computed. */
export function upgrade(
  g: Graph,
  opset: number,
  call: Application,
): Application | readonly Value[] {
  const rule = upgrades[call.op];
  const older = rule && opset < rule.before ? rule.upgrade(g, call) : call;
  return "op" in older ? later[older.op]?.(g, older) ?? older : older;
}
