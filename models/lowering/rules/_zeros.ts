/** Zeros that something is added into. */

import type { Graph, Value } from "../../graph.ts";
import { sizeOf } from "../../tensor.ts";
import type { Target } from "../rule.ts";

/**
 * Zeros of a shape, of the type of `like`.
 *
 * On WebGPU they are computed, as a constant would not do: an operator that changes its operand copies a
 * constant first, and such a copy is missing in recorded commands.
 */
export function zeros(g: Graph, target: Target, like: Value, dims: readonly number[]): Value {
  if (target !== "webgpu" || sizeOf(like.dims) === 0) return g.expand(g.scalar(0, like.type), dims);
  const axes = like.dims.map((_, axis) => axis);
  const one = g.slice(like, axes, axes.map(() => 0), axes.map(() => 1));
  const zero = g.cast(g.less(one, one), like.type); // of a NaN, too
  return g.expand(g.reshape(zero, dims.map(() => 1)), dims);
}

/** Whether {@linkcode zeros} made the value. */
export function isZeros(value: Value): boolean {
  if (value.producer?.op !== "Expand") {
    return value.constant?.data.every((x: number | bigint) => Number(x) === 0) ?? false;
  }
  let source = value.producer.inputs[0]!;
  while (source.producer?.op === "Reshape" || source.producer?.op === "Cast") {
    source = source.producer.inputs[0]!;
  }
  const less = source.producer?.op === "Less" ? source.producer.inputs : [];
  return isZeros(source) || (less.length === 2 && less[0] === less[1]);
}
