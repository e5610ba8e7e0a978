/** What the operator families share: shape rules and strided copies. */

import type { Graph, Value } from "../graph.ts";
import { type Application, OperatorError, required } from "../operator.ts";
import {
  broadcastDims,
  formatDims,
  normalizeAxis,
  sizeOf,
  stridesOf,
  type TensorType,
} from "../tensor.ts";

/** The elements of a strided view, in row-major order of `dims`. */
export function strided(
  data: Float64Array,
  dims: readonly number[],
  strides: readonly number[],
  offset = 0,
): Float64Array {
  const result = new Float64Array(sizeOf(dims));
  const index = new Array<number>(dims.length).fill(0);
  let at = offset;
  for (let i = 0; i < result.length; i++) {
    result[i] = data[at];
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      at += strides[axis];
      if (++index[axis] < dims[axis]) break;
      at -= strides[axis] * dims[axis];
      index[axis] = 0;
    }
  }
  return result;
}

/** The elements of a tensor of shape `from`, broadcast to shape `to`. */
export function broadcastTo(
  data: Float64Array,
  from: readonly number[],
  to: readonly number[],
): Float64Array {
  const extra = to.length - from.length;
  const own = stridesOf(from);
  const strides = to.map((_, axis) =>
    axis < extra || from[axis - extra] === 1 ? 0 : own[axis - extra]
  );
  return strided(data, to, strides);
}

/** Axes in another order. */
export function permute(
  data: Float64Array,
  dims: readonly number[],
  perm: readonly number[],
): Float64Array {
  const strides = stridesOf(dims);
  return strided(data, perm.map((axis) => dims[axis]), perm.map((axis) => strides[axis]));
}

/** The broadcast shape of all inputs; throws an OperatorError if they do not broadcast. */
export function inferBroadcast(call: Application, inputs = call.inputs): number[] {
  const dims = broadcastDims(...inputs.map((_, i) => required(call, i, "operand").dims));
  if (!dims) {
    throw new OperatorError(
      call,
      "the shapes do not broadcast: counted from the last axis, dimensions must be equal or 1",
    );
  }
  return dims;
}

/** The type all inputs have; throws an OperatorError when they differ. */
export function commonType(
  call: Application,
  inputs: readonly (Value | null)[] = call.inputs,
): TensorType {
  const first = required(call, call.inputs.indexOf(inputs[0]), "operand");
  for (const input of inputs) {
    if (input && input.type !== first.type) {
      throw new OperatorError(
        call,
        `the element types differ (${first.type}, ${input.type}); insert a Cast`,
      );
    }
  }
  return first;
}

/** An axis attribute or input counted from the front; throws an OperatorError when it is outside. */
export function axisOf(call: Application, axis: number, rank: number): number {
  try {
    return normalizeAxis(axis, rank);
  } catch (cause) {
    throw new OperatorError(call, (cause as Error).message, { cause });
  }
}

/**
 * Throws an OperatorError if indices that are known lead out of what they choose from.
 *
 * @param lengths of the axes that they are of, in turn; from the end an axis is counted from −1
 */
export function checkIndices(
  call: Application,
  indices: Value,
  lengths: readonly number[],
): void {
  const given = indices.constant?.data ?? [];
  for (let i = 0; i < given.length; i++) {
    const index = Number(given[i]), length = lengths[i % lengths.length];
    if (index >= -length && index < length) continue;
    throw new OperatorError(call, `the index ${index} is outside an axis of length ${length}`);
  }
}

/** Throws an OperatorError unless the value has the rank. */
export function needRank(call: Application, value: Value, rank: number, shape: string): void {
  if (value.dims.length !== rank) {
    throw new OperatorError(
      call,
      `${value.name} must be ${shape}, it is ${formatDims(value.dims)}`,
    );
  }
}

/** Zeros of a value's type and shape, made on the device. */
export function zerosLike(g: Graph, { type, dims }: TensorType): Value {
  return g.expand(g.scalar(0, type), dims);
}

/** A bool mask as numbers of a type. */
export function mask(g: Graph, condition: Value, type: Value["type"]): Value {
  return g.cast(condition, type);
}
