/** Operators that write to computed places, and what goes with them. */

import type { Graph, Value } from "../graph.ts";
import {
  type Application,
  type Attributes,
  composite,
  constantInput,
  intAttribute,
  OperatorError,
  type Operators,
  required,
  stringAttribute,
} from "../operator.ts";
import { type NumberTensor, sizeOf, stridesOf } from "../tensor.ts";
import { axisOf, checkIndices, permute, zerosLike } from "./_common.ts";
import { checkElements } from "./indexing.ts";

/** How a scattered element joins the one that is there. */
function combine(call: Application): (there: number, update: number) => number {
  switch (stringAttribute(call, "reduction", "none")) {
    case "add":
      return (a, b) => a + b;
    case "mul":
      return (a, b) => a * b;
    case "max":
      return Math.max;
    case "min":
      return Math.min;
    default:
      return (_, b) => b;
  }
}

/** Calls `f` with the place in the data of each element that ScatterElements or GatherElements names. */
function eachElement(
  call: Application,
  dims: readonly number[],
  indices: NumberTensor,
  f: (place: number, i: number) => void,
): void {
  const axis = axisOf(call, intAttribute(call, "axis", 0), dims.length);
  const strides = stridesOf(dims), own = stridesOf(indices.dims);
  indices.data.forEach((index, i) => {
    let place = 0;
    for (const [k, stride] of strides.entries()) {
      const at = Math.floor(i / own[k]) % indices.dims[k];
      place += (k !== axis ? at : index < 0 ? index + dims[k] : index) * stride;
    }
    f(place, i);
  });
}

/** Calls `f` with the place in the data of each slice that ScatterND or GatherND names, and its size. */
function eachSlice(
  dims: readonly number[],
  indices: NumberTensor,
  f: (place: number, i: number, size: number) => void,
): void {
  const depth = indices.dims.at(-1)!, strides = stridesOf(dims);
  const size = sizeOf(dims.slice(depth));
  for (let i = 0; i < indices.data.length / depth; i++) {
    let place = 0;
    for (let k = 0; k < depth; k++) {
      const index = indices.data[i * depth + k];
      place += (index < 0 ? index + dims[k] : index) * strides[k];
    }
    f(place, i, size);
  }
}

/** The shape of all slices together that ScatterND or GatherND names, whose indices are checked. */
function slicesOf(call: Application, x: Value, indices: Value): number[] {
  const depth = indices.dims.at(-1);
  if (depth === undefined || depth < 1 || depth > x.dims.length) {
    throw new OperatorError(
      call,
      `the indices' last axis has a place in each of the first axes of the data, 1 to ${x.dims.length}`,
    );
  }
  checkIndices(call, indices, x.dims.slice(0, depth));
  return [...indices.dims.slice(0, -1), ...x.dims.slice(depth)];
}

/** The gradients of a scatter by its data and its updates. */
function scatterGradient(
  g: Graph,
  { op, inputs, attributes }: Application,
  gather: string,
  dy: Value,
): [Value, null, Value] {
  const [, indices, updates] = inputs as Value[];
  const reduction = attributes.reduction ?? "none";
  if (reduction !== "none" && reduction !== "add") {
    throw new OperatorError(
      { op, inputs, attributes, outputs: 1 },
      `no gradient with reduction "${reduction}"; only "none" and "add" have one`,
    );
  }
  const back: Attributes = gather === "GatherElements" ? { axis: attributes.axis ?? 0 } : {};
  const taken = g.op(gather, [dy, indices], back);
  if (reduction === "add") return [dy, null, taken];
  return [g.op(op, [dy, indices, zerosLike(g, updates)], attributes), null, taken];
}

/** Scattering, and choosing. */
export const scatterOperators: Operators = {
  ScatterElements: {
    infer(call) {
      const x = required(call, 0, "data"), indices = required(call, 1, "indices");
      if (String(required(call, 2, "updates").dims) !== String(indices.dims)) {
        throw new OperatorError(call, "updates must have the indices' shape");
      }
      checkElements(call, x, indices);
      return [x];
    },
    evaluate([x, indices, updates], call) {
      const result = x.data.slice(), join = combine(call);
      eachElement(call, x.dims, indices, (place, i) => {
        result[place] = join(result[place], updates.data[i]);
      });
      return [result];
    },
    gradient: (g, node, [dy]) => scatterGradient(g, node, "GatherElements", dy!),
  },
  ScatterND: {
    infer(call) {
      const x = required(call, 0, "data"), indices = required(call, 1, "indices");
      const shape = slicesOf(call, x, indices);
      if (String(required(call, 2, "updates").dims) !== String(shape)) {
        throw new OperatorError(call, `updates must be [${shape}]`);
      }
      return [x];
    },
    evaluate([x, indices, updates], call) {
      const result = x.data.slice(), join = combine(call);
      eachSlice(x.dims, indices, (place, i, size) => {
        for (let j = 0; j < size; j++) {
          result[place + j] = join(result[place + j], updates.data[i * size + j]);
        }
      });
      return [result];
    },
    gradient: (g, node, [dy]) => scatterGradient(g, node, "GatherND", dy!),
  },
  GatherND: {
    infer(call) {
      const x = required(call, 0, "data"), indices = required(call, 1, "indices");
      if (intAttribute(call, "batch_dims", 0)) {
        throw new OperatorError(call, "batch_dims must be 0");
      }
      return [{ type: x.type, dims: slicesOf(call, x, indices) }];
    },
    evaluate([x, indices], _call, [type]) {
      const result = new Float64Array(sizeOf(type.dims));
      eachSlice(x.dims, indices, (place, i, size) => {
        result.set(x.data.subarray(place, place + size), i * size);
      });
      return [result];
    },
    gradient(g, { inputs: [x, indices] }, [dy]) {
      const at = g.cast(indices!, "int64");
      return [g.op("ScatterND", [zerosLike(g, x!), at, dy!], { reduction: "add" })];
    },
  },
  /** The k largest (or smallest) along an axis, and where they are. */
  TopK: {
    infer(call) {
      const x = required(call, 0, "data"), [k] = constantInput(call, 1, "k") ?? [1];
      const axis = axisOf(call, intAttribute(call, "axis", -1), x.dims.length);
      if (k > x.dims[axis]) throw new OperatorError(call, `axis ${axis} has no ${k} elements`);
      const dims = x.dims.with(axis, k);
      return [{ type: x.type, dims }, { type: "int64", dims }];
    },
    // ONNX wants both outputs, even where one is not needed.
    simplify: (g, { op, inputs, attributes, outputs }) =>
      outputs === 1 ? g.opMany(op, inputs, attributes, 2)[0] : undefined,
    evaluate([x, { data: [k] }], call, [type]) {
      const rank = x.dims.length, axis = axisOf(call, intAttribute(call, "axis", -1), rank);
      const order = Array.from({ length: rank }, (_, i) => i);
      const last = [...order.toSpliced(axis, 1), axis], length = x.dims[axis];
      const rows = permute(x.data, x.dims, last), sign = intAttribute(call, "largest", 1) ? -1 : 1;
      const values: number[] = [], places: number[] = [];
      for (let start = 0; start < rows.length; start += length) {
        const row = rows.subarray(start, start + length);
        const best = Array.from(row.keys()).sort((a, b) => sign * (row[a] - row[b]) || a - b);
        values.push(...best.slice(0, k).map((i) => row[i]));
        places.push(...best.slice(0, k));
      }
      const dims = last.map((i) => type.dims[i]), back = order.map((i) => last.indexOf(i));
      return [values, places].map((list) => permute(Float64Array.from(list), dims, back));
    },
    gradient(g, { op, inputs, attributes }, [dy]) {
      const [, at] = g.opMany(op, inputs, attributes, 2), x = inputs[0]!;
      const places = { axis: attributes.axis ?? -1, reduction: "add" };
      return [g.op("ScatterElements", [zerosLike(g, x), at, dy!], places)];
    },
  },
  CumSum: {
    infer(call) {
      const x = required(call, 0, "data");
      required(call, 1, "axis");
      for (const axis of constantInput(call, 1, "axis")!) axisOf(call, axis, x.dims.length);
      return [x];
    },
    evaluate([x, { data: [given] }], call) {
      const rank = x.dims.length, axis = axisOf(call, given, rank), length = x.dims[axis];
      const order = Array.from({ length: rank }, (_, i) => i);
      const last = [...order.toSpliced(axis, 1), axis];
      const rows = permute(x.data, x.dims, last);
      const reverse = intAttribute(call, "reverse", 0),
        exclusive = intAttribute(call, "exclusive", 0);
      for (let start = 0; start < rows.length; start += length) {
        const row = rows.subarray(start, start + length);
        if (reverse) row.reverse();
        let sum = 0;
        row.forEach((value, i) => {
          row[i] = exclusive ? sum : sum + value;
          sum += value;
        });
        if (reverse) row.reverse();
      }
      return [permute(rows, last.map((i) => x.dims[i]), order.map((i) => last.indexOf(i)))];
    },
    gradient(g, { op, inputs, attributes }, [dy]) {
      const reverse = attributes.reverse ? 0 : 1, exclusive = attributes.exclusive ?? 0;
      return [g.op(op, [dy!, inputs[1]], { exclusive, reverse })];
    },
  },
  /** `[indices, depth, [off, on]]`, by a comparison: WebGPU has no OneHot. */
  OneHot: composite((g, call) => {
    const indices = required(call, 0, "indices"), values = required(call, 2, "values");
    required(call, 1, "depth");
    const [depth] = constantInput(call, 1, "depth")!, rank = indices.dims.length + 1;
    const axis = axisOf(call, intAttribute(call, "axis", -1), rank);
    const labels = Array.from({ length: depth }, (_, i) => i);
    const shape = new Array<number>(rank).fill(1).with(axis, depth);
    const at = g.cast(indices, "int32");
    const positive = g.where(g.less(at, 0), g.add(at, depth), at);
    const hit = g.equal(g.unsqueeze(positive, [axis]), g.constant("int32", shape, labels));
    const [off, on] = [0, 1].map((i) => g.reshape(g.slice(values, [0], [i], [i + 1]), []));
    return [g.where(hit, on, off)];
  }),
};
