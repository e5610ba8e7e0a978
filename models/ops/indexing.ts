/** Operators that take tensors apart and put them together. */

import type { Graph, Value } from "../graph.ts";
import {
  type Application,
  constantInput,
  intAttribute,
  OperatorError,
  type Operators,
  required,
  stringAttribute,
} from "../operator.ts";
import { formatDims, sizeOf, stridesOf } from "../tensor.ts";
import { axisOf, checkIndices, commonType, strided, zerosLike } from "./_common.ts";

/** One range per axis: the first index, how many, and the step. */
interface Range {
  start: number;
  count: number;
  step: number;
}

/** Slice's inputs as one range for each axis of the data (ONNX: Slice, clamping rules). */
function rangesOf(call: Application): Range[] {
  const x = required(call, 0, "data");
  const starts = constantInput(call, 1, "starts") ?? [];
  const ends = constantInput(call, 2, "ends") ?? [];
  const axes = constantInput(call, 3, "axes") ?? starts.map((_, i) => i);
  const steps = constantInput(call, 4, "steps") ?? starts.map(() => 1);
  const ranges = x.dims.map((dim): Range => ({ start: 0, count: dim, step: 1 }));
  for (const [i, given] of axes.entries()) {
    const axis = axisOf(call, given, x.dims.length), dim = x.dims[axis], step = steps[i];
    if (step === 0) throw new OperatorError(call, "a step of 0 never ends");
    const high = step > 0 ? dim : dim - 1;
    const clamp = (index: number, low: number) =>
      Math.min(high, Math.max(low, index < 0 ? index + dim : index));
    // Backwards an end may lie before the first element; a start may not, unlike in NumPy.
    const start = clamp(starts[i], 0), end = clamp(ends[i], step > 0 ? 0 : -1);
    ranges[axis] = { start, count: Math.max(0, Math.ceil((end - start) / step)), step };
  }
  return ranges;
}

/** The gradient of a slice: zeros between and around. Its steps are positive. */
function spread(g: Graph, dy: Value, ranges: Range[], dims: readonly number[]): Value {
  const starts = ranges.map(({ start }) => start), steps = ranges.map(({ step }) => step);
  if (ranges.some(({ step, count }) => step > 1 && count > 1)) {
    return g.op("celgc.SliceGradient", [dy], { dims, starts, steps });
  }
  return g.pad(dy, starts, dims.map((dim, axis) => dim - starts[axis] - dy.dims[axis]));
}

function padsOf(call: Application): { before: number[]; after: number[] } {
  const x = required(call, 0, "data"), rank = x.dims.length;
  const pads = constantInput(call, 1, "pads") ?? [];
  const axes = constantInput(call, 3, "axes")?.map((axis) => axisOf(call, axis, rank)) ??
    x.dims.map((_, axis) => axis);
  if (pads.length !== 2 * axes.length) {
    throw new OperatorError(call, `${pads.length} pads for ${axes.length} axes; two for each`);
  }
  const before = new Array<number>(rank).fill(0), after = new Array<number>(rank).fill(0);
  for (const [i, axis] of axes.entries()) {
    before[axis] = pads[i];
    after[axis] = pads[axes.length + i];
  }
  return { before, after };
}

/** Where an axis that is padded by its own elements reads from, by index of the result less what is before it. */
function paddedIndex(mode: string, at: number, dim: number): number {
  switch (mode) {
    case "edge":
      return Math.min(dim - 1, Math.max(0, at));
    case "reflect": {
      const period = Math.max(1, 2 * (dim - 1)), turn = ((at % period) + period) % period;
      return turn < dim ? turn : period - turn;
    }
    default: // wrap
      return ((at % dim) + dim) % dim;
  }
}

/** Sizes of Split's parts along its axis. */
function partsOf(call: Application): { axis: number; parts: number[] } {
  const x = required(call, 0, "data");
  const axis = axisOf(call, intAttribute(call, "axis", 0), x.dims.length), dim = x.dims[axis];
  const given = constantInput(call, 1, "split");
  const each = Math.ceil(dim / call.outputs);
  const parts = given ?? Array.from(
    { length: call.outputs },
    (_, i) => Math.max(0, Math.min(each, dim - i * each)),
  );
  if (parts.reduce((a, b) => a + b, 0) !== dim) {
    throw new OperatorError(call, `parts ${formatDims(parts)} do not add up to ${dim}`);
  }
  if (parts.length !== call.outputs) {
    throw new OperatorError(call, `${parts.length} parts for ${call.outputs} outputs`);
  }
  return { axis, parts };
}

/** Checks indices of elements along an axis, which GatherElements and ScatterElements have. */
export function checkElements(call: Application, x: Value, indices: Value): void {
  const axis = axisOf(call, intAttribute(call, "axis", 0), x.dims.length);
  const fits = indices.dims.length === x.dims.length &&
    indices.dims.every((dim, i) => i === axis || dim <= x.dims[i]);
  if (!fits) {
    throw new OperatorError(
      call,
      `the indices must have as many axes as the data, none longer but axis ${axis}`,
    );
  }
  checkIndices(call, indices, [x.dims[axis]]);
}

const wrap = (index: number, dim: number) => index < 0 ? index + dim : index;

/** Operators on parts of tensors. */
export const indexingOperators: Operators = {
  Slice: {
    infer(call) {
      const x = required(call, 0, "data");
      return [{ type: x.type, dims: rangesOf(call).map(({ count }) => count) }];
    },
    simplify(_g, call) {
      const x = call.inputs[0]!;
      const whole = rangesOf(call).every(({ count, step }, axis) =>
        count === x.dims[axis] && (step === 1 || count <= 1)
      );
      return whole ? x : undefined;
    },
    evaluate([x], call) {
      const ranges = rangesOf(call), strides = stridesOf(x.dims);
      const offset = ranges.reduce((sum, { start }, axis) => sum + start * strides[axis], 0);
      const steps = ranges.map(({ step }, axis) => step * strides[axis]);
      return [strided(x.data, ranges.map(({ count }) => count), steps, offset)];
    },
    gradient(g, node, [dy]) {
      const ranges = rangesOf(node);
      const backward = ranges.flatMap(({ step }, axis) => step < 0 ? [axis] : []);
      const forward = ranges.map(({ start, count, step }): Range => {
        if (count === 0) return { start: 0, count, step: 1 };
        return step < 0
          ? { start: start + step * (count - 1), count, step: -step }
          : { start, count, step };
      });
      return [spread(g, g.flip(dy!, backward), forward, node.inputs[0]!.dims)];
    },
  },
  /** `[dy]`, `dims`, `starts` and positive `steps`, one for each axis: dy's elements where they were. */
  "celgc.SliceGradient": {
    infer(call) {
      const { type } = required(call, 0, "gradient");
      return [{ type, dims: call.attributes.dims as readonly number[] }];
    },
  },
  Pad: {
    infer(call) {
      const x = required(call, 0, "data"), { before, after } = padsOf(call);
      const mode = stringAttribute(call, "mode", "constant");
      if (!["constant", "edge", "reflect", "wrap"].includes(mode)) {
        throw new OperatorError(call, `mode "${mode}" is not known`);
      }
      const dims = x.dims.map((dim, axis) => before[axis] + dim + after[axis]);
      if (dims.some((dim) => dim < 0)) {
        throw new OperatorError(call, "more is cropped than is there");
      }
      return [{ type: x.type, dims }];
    },
    simplify(g, call) {
      const x = call.inputs[0]!, { before, after } = padsOf(call);
      if ([...before, ...after].every((count) => count === 0)) return x;
      const mode = stringAttribute(call, "mode", "constant");
      // Other modes only copy elements, and that can be differentiated.
      return mode === "constant" ? undefined : x.dims.reduce((y, dim, axis) => {
        if (before[axis] === 0 && after[axis] === 0) return y;
        // What is cropped is gone before the rest is repeated.
        const first = Math.max(0, -before[axis]), rest = dim - first - Math.max(0, -after[axis]);
        const length = before[axis] + dim + after[axis];
        if (rest < 1 && length > 0) {
          throw new OperatorError(call, `nothing is left of axis ${axis} to pad it with`);
        }
        const at = (i: number) => first + paddedIndex(mode, i - Math.max(0, before[axis]), rest);
        return g.op("Gather", [y, g.ints(Array.from({ length }, (_, i) => at(i)))], { axis });
      }, x);
    },
    evaluate([x, , value], call, [{ dims }]) {
      const { before } = padsOf(call), strides = stridesOf(x.dims), out = stridesOf(dims);
      const at = (_: unknown, i: number) => {
        let from = 0;
        for (const [axis, dim] of x.dims.entries()) {
          const index = Math.floor(i / out[axis]) % dims[axis] - before[axis];
          if (index < 0 || index >= dim) return value?.data[0] ?? 0;
          from += index * strides[axis];
        }
        return x.data[from];
      };
      return [Float64Array.from({ length: sizeOf(dims) }, at)];
    },
    gradient(g, node, [dy]) {
      const { before, after } = padsOf(node), minus = (count: number) => -count;
      const [x, , value] = node.inputs;
      const toValue = () => {
        const kept = g.pad(g.expand(g.scalar(1, x!.type), x!.dims), before, after);
        return g.reshape(g.sum(g.mul(dy!, g.sub(1, kept))), value!.dims);
      };
      const rest = value && !value.constant ? [null, toValue()] : [];
      // Pads of the opposite sign crop what was padded; a Slice does the same on every device.
      if ([...before, ...after].every((count) => count >= 0)) {
        const axes = dy!.dims.flatMap((_, axis) => before[axis] || after[axis] ? [axis] : []);
        const ends = axes.map((axis) => dy!.dims[axis] - after[axis]);
        const starts = axes.map((axis) => before[axis]);
        return [axes.length ? g.slice(dy!, axes, starts, ends) : dy, ...rest];
      }
      return [g.pad(dy!, before.map(minus), after.map(minus)), ...rest];
    },
  },
  Concat: {
    infer(call) {
      const first = commonType(call), rank = first.dims.length;
      const axis = axisOf(call, intAttribute(call, "axis", 0), rank);
      let length = 0;
      for (const input of call.inputs) {
        const fits = input && input.dims.length === rank &&
          input.dims.every((dim, i) => i === axis || dim === first.dims[i]);
        if (!fits) throw new OperatorError(call, `shapes must agree outside axis ${axis}`);
        length += input.dims[axis];
      }
      return [{ type: first.type, dims: first.dims.with(axis, length) }];
    },
    simplify: (_g, { inputs }) => inputs.length === 1 ? inputs[0]! : undefined,
    evaluate(inputs, call, [{ dims }]) {
      const axis = axisOf(call, intAttribute(call, "axis", 0), dims.length);
      const result = new Float64Array(sizeOf(dims)), outer = sizeOf(dims.slice(0, axis));
      const row = sizeOf(dims.slice(axis));
      let at = 0;
      for (const { data, dims: own } of inputs) {
        const part = sizeOf(own.slice(axis));
        for (let i = 0; i < outer; i++) {
          result.set(data.subarray(i * part, (i + 1) * part), i * row + at);
        }
        at += part;
      }
      return [result];
    },
    gradient(g, node, [dy]) {
      const axis = axisOf(node, intAttribute(node, "axis", 0), dy!.dims.length);
      let at = 0;
      return node.inputs.map((input) => {
        const start = at;
        return g.slice(dy!, [axis], [start], [at += input!.dims[axis]]);
      });
    },
  },
  Split: {
    infer(call) {
      const x = required(call, 0, "data"), { axis, parts } = partsOf(call);
      return parts.map((part) => ({ type: x.type, dims: x.dims.with(axis, part) }));
    },
    simplify: (_g, call) => call.outputs === 1 ? call.inputs[0]! : undefined,
    evaluate([x], call) {
      const { axis, parts } = partsOf(call), strides = stridesOf(x.dims);
      let at = 0;
      return parts.map((part) => {
        const offset = at * strides[axis];
        at += part;
        return strided(x.data, x.dims.with(axis, part), strides, offset);
      });
    },
    gradient(g, node, dy) {
      const { axis } = partsOf(node);
      return [g.concat(dy.map((each, i) => each ?? zerosLike(g, node.results[i])), axis)];
    },
  },
  Gather: {
    infer(call) {
      const x = required(call, 0, "data"), indices = required(call, 1, "indices");
      const axis = axisOf(call, intAttribute(call, "axis", 0), x.dims.length);
      checkIndices(call, indices, [x.dims[axis]]);
      return [{ type: x.type, dims: x.dims.toSpliced(axis, 1, ...indices.dims) }];
    },
    evaluate([x, indices], call) {
      const axis = axisOf(call, intAttribute(call, "axis", 0), x.dims.length), dim = x.dims[axis];
      const inner = sizeOf(x.dims.slice(axis + 1)), outer = sizeOf(x.dims.slice(0, axis));
      const result = new Float64Array(outer * indices.data.length * inner);
      let at = 0;
      for (let i = 0; i < outer; i++) {
        for (const index of indices.data) {
          const from = (i * dim + wrap(index, dim)) * inner;
          result.set(x.data.subarray(from, from + inner), at);
          at += inner;
        }
      }
      return [result];
    },
    gradient(g, node, [dy]) {
      const [x, indices] = node.inputs as Value[];
      const axis = axisOf(node, intAttribute(node, "axis", 0), x.dims.length);
      return [g.op("celgc.GatherGradient", [indices, dy!], { axis, dims: x.dims })];
    },
  },
  GatherElements: {
    infer(call) {
      const x = required(call, 0, "data"), indices = required(call, 1, "indices");
      checkElements(call, x, indices);
      return [{ type: x.type, dims: indices.dims }];
    },
    evaluate([x, indices], call) {
      const axis = axisOf(call, intAttribute(call, "axis", 0), x.dims.length);
      const strides = stridesOf(x.dims), out = stridesOf(indices.dims);
      return [
        indices.data.map((index, i) => {
          let from = 0;
          for (const [k, stride] of strides.entries()) {
            const own = Math.floor(i / out[k]) % indices.dims[k];
            from += (k === axis ? wrap(index, x.dims[k]) : own) * stride;
          }
          return x.data[from];
        }),
      ];
    },
    gradient(g, node, [dy]) {
      const [x, indices] = node.inputs as Value[];
      const attributes = { axis: intAttribute(node, "axis", 0), reduction: "add" };
      return [g.op("ScatterElements", [zerosLike(g, x), indices, dy!], attributes)];
    },
  },

  /** `[indices, dy]`, attributes `axis` and `dims`: dy's slices added up where Gather took them from. */
  "celgc.GatherGradient": {
    infer(call) {
      const { type } = required(call, 1, "gradient");
      return [{ type, dims: call.attributes.dims as readonly number[] }];
    },
  },
};
