/** Matrix products. */

import type { Graph, Value } from "../graph.ts";
import { intAttribute, OperatorError, type Operators, required } from "../operator.ts";
import { broadcastDims, sizeOf } from "../tensor.ts";
import { broadcastTo, commonType, permute } from "./_common.ts";

/** MatMul's operands with at least two axes: a vector is a row on the left, a column on the right. */
function matrixDims(a: readonly number[], b: readonly number[]) {
  return { a: a.length === 1 ? [1, ...a] : a, b: b.length === 1 ? [...b, 1] : b };
}

/** c += a · b of row-major matrices [m, k] and [k, n]. */
function multiply(
  a: Float64Array,
  b: Float64Array,
  c: Float64Array,
  [m, k, n]: readonly [number, number, number],
): void {
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < k; j++) {
      const scale = a[i * k + j];
      for (let l = 0; l < n; l++) c[i * n + l] += scale * b[j * n + l];
    }
  }
}

/** The product of matrices, either of them transposed, without a node for the transposition. */
export function product(
  g: Graph,
  a: Value,
  b: Value,
  { transA = false, transB = false } = {},
): Value {
  return g.op("Gemm", [a, b], {
    alpha: 1,
    beta: 1,
    transA: Number(transA),
    transB: Number(transB),
  });
}

/** Matrix products. */
export const linearOperators: Operators = {
  MatMul: {
    infer(call) {
      const left = required(call, 0, "left operand"), right = required(call, 1, "right operand");
      const { type } = commonType(call), { a, b } = matrixDims(left.dims, right.dims);
      if (a.length < 2 || b.length < 2) throw new OperatorError(call, "a scalar is no matrix");
      const batch = broadcastDims(a.slice(0, -2), b.slice(0, -2));
      if (a.at(-1) !== b.at(-2) || !batch) {
        throw new OperatorError(
          call,
          "the left operand's columns must be the right one's rows, and axes before them broadcast",
        );
      }
      const dims = [...batch];
      if (left.dims.length > 1) dims.push(a.at(-2)!);
      if (right.dims.length > 1) dims.push(b.at(-1)!);
      return [{ type, dims }];
    },
    evaluate([left, right], _call, [type]) {
      const { a, b } = matrixDims(left.dims, right.dims);
      const [m, k] = a.slice(-2), n = b.at(-1)!;
      const batch = broadcastDims(a.slice(0, -2), b.slice(0, -2))!;
      const as = broadcastTo(left.data, a, [...batch, m, k]);
      const bs = broadcastTo(right.data, b, [...batch, k, n]);
      const result = new Float64Array(sizeOf(type.dims));
      for (let i = 0; i < sizeOf(batch); i++) {
        const part = (data: Float64Array, size: number) => data.subarray(i * size, (i + 1) * size);
        multiply(part(as, m * k), part(bs, k * n), part(result, m * n), [m, k, n]);
      }
      return [result];
    },
    gradient(g, { inputs }, [dy]) {
      const [left, right] = inputs as [Value, Value];
      const dims = matrixDims(left.dims, right.dims);
      const a = g.reshape(left, dims.a), b = g.reshape(right, dims.b);
      const batch = broadcastDims(dims.a.slice(0, -2), dims.b.slice(0, -2))!;
      const [m, k] = dims.a.slice(-2), n = dims.b.at(-1)!;
      const dc = g.reshape(dy!, [...batch, m, n]);
      if (dims.b.length === 2) {
        // One matrix for the whole batch: its gradient is one product over all rows.
        const count = sizeOf(batch) * m, rows = g.reshape(dc, [count, n]);
        return [
          g.reshape(product(g, rows, b, { transB: true }), left.dims),
          g.reshape(product(g, g.reshape(a, [count, k]), rows, { transA: true }), right.dims),
        ];
      }
      return [
        g.reshape(g.sumTo(g.matmul(dc, g.transpose(b)), dims.a), left.dims),
        g.reshape(g.sumTo(g.matmul(g.transpose(a), dc), dims.b), right.dims),
      ];
    },
  },
  Gemm: {
    infer(call) {
      const a = required(call, 0, "A"), b = required(call, 1, "B"), c = call.inputs[2];
      const { type } = commonType(call);
      if (a.dims.length !== 2 || b.dims.length !== 2) {
        throw new OperatorError(call, "A and B must be matrices; flatten them or use MatMul");
      }
      const [m, k] = intAttribute(call, "transA", 0) ? a.dims.toReversed() : a.dims;
      const [inner, n] = intAttribute(call, "transB", 0) ? b.dims.toReversed() : b.dims;
      if (k !== inner) throw new OperatorError(call, `inner dimensions differ: ${k} and ${inner}`);
      if (c && String(broadcastDims(c.dims, [m, n])) !== `${m},${n}`) {
        throw new OperatorError(call, `C does not broadcast to [${m}, ${n}]`);
      }
      return [{ type, dims: [m, n] }];
    },
    evaluate([a, b, c], call, [{ dims }]) {
      const [m, n] = dims;
      const transposed = (x: typeof a, flag: string) =>
        intAttribute(call, flag, 0) ? permute(x.data, x.dims, [1, 0]) : x.data;
      const result = new Float64Array(m * n);
      const k = a.data.length / m;
      multiply(transposed(a, "transA"), transposed(b, "transB"), result, [m, k, n]);
      const alpha = Number(call.attributes.alpha ?? 1), beta = Number(call.attributes.beta ?? 1);
      const bias = c?.data.length ? broadcastTo(c.data, c.dims, dims) : null;
      return [result.map((value, i) => alpha * value + (bias ? beta * bias[i] : 0))];
    },
    gradient(g, node, [dy]) {
      const [a, b, c] = node.inputs as [Value, Value, Value | undefined];
      const transA = intAttribute(node, "transA", 0) !== 0,
        transB = intAttribute(node, "transB", 0) !== 0;
      const alpha = Number(node.attributes.alpha ?? 1), beta = Number(node.attributes.beta ?? 1);
      const scaled = g.mul(dy!, alpha);
      const da = transA
        ? product(g, b, scaled, { transA: transB, transB: true })
        : product(g, scaled, b, { transB: !transB });
      const db = transB
        ? product(g, scaled, a, { transA: true, transB: transA })
        : product(g, a, scaled, { transA: !transA });
      return [da, db, c && g.mul(g.sumTo(dy!, c.dims), beta)];
    },
  },
};
