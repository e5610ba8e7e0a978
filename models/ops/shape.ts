/** Operators that give the same elements another shape, order or type. */

import type { Value } from "../graph.ts";
import {
  type Application,
  composite,
  constantInput,
  intAttribute,
  intsAttribute,
  OperatorError,
  type Operators,
  required,
  stringAttribute,
} from "../operator.ts";
import {
  type ElementType,
  formatDims,
  isFloat,
  sameDims,
  sizeOf,
  type TensorType,
} from "../tensor.ts";
import { axisOf, broadcastTo, inferBroadcast, permute } from "./_common.ts";

/** Reshape, Squeeze, Unsqueeze and Flatten differ only in how they state the shape. */
function reshaping(infer: Operators[string]["infer"]): Operators[string] {
  return {
    infer,
    evaluate: ([x]) => [x.data],
    simplify(g, { inputs: [x] }, [type]) {
      if (sameDims(x!.dims, type.dims)) return x!;
      if (isReshape(x!)) return g.reshape(x!.producer!.inputs[0]!, type.dims);
    },
    gradient: (g, { inputs: [x] }, [dy]) => [g.reshape(dy!, x!.dims)],
  };
}

const isReshape = (value: Value) =>
  ["Reshape", "Squeeze", "Unsqueeze", "Flatten"].includes(value.producer?.op ?? "");

/** Operators on shapes, orders and types. */
export const shapeOperators: Operators = {
  Identity: {
    infer: (call) => [required(call, 0, "operand")],
    evaluate: ([x]) => [x.data],
    simplify: (_g, { inputs }) => inputs[0]!,
    gradient: (_g, _node, [dy]) => [dy],
  },
  Reshape: reshaping((call) => {
    const x = required(call, 0, "data");
    const wanted = constantInput(call, 1, "shape") ?? [];
    const zeroIsZero = intAttribute(call, "allowzero", 0) !== 0;
    const dims = wanted.map((dim, axis) => dim === 0 && !zeroIsZero ? x.dims[axis] : dim);
    const free = dims.indexOf(-1);
    if (free >= 0) dims[free] = sizeOf(x.dims) / sizeOf(dims.toSpliced(free, 1));
    if (
      sizeOf(dims) !== sizeOf(x.dims) || !dims.every((dim) => Number.isInteger(dim) && dim >= 0)
    ) {
      throw new OperatorError(
        call,
        `${sizeOf(x.dims)} elements do not fill the shape ${formatDims(wanted)}`,
      );
    }
    return [{ type: x.type, dims }];
  }),
  Flatten: reshaping((call) => {
    const x = required(call, 0, "data"), rank = x.dims.length;
    const axis = intAttribute(call, "axis", 1);
    const at = axis === rank ? rank : axisOf(call, axis, rank);
    return [{ type: x.type, dims: [sizeOf(x.dims.slice(0, at)), sizeOf(x.dims.slice(at))] }];
  }),
  Squeeze: reshaping((call) => {
    const x = required(call, 0, "data");
    const given = constantInput(call, 1, "axes")?.map((axis) => axisOf(call, axis, x.dims.length));
    const long = given?.find((axis) => x.dims[axis] !== 1);
    if (long !== undefined) {
      throw new OperatorError(call, `axis ${long} has length ${x.dims[long]}, not 1`);
    }
    const dims = x.dims.filter((dim, axis) => given ? !given.includes(axis) : dim !== 1);
    return [{ type: x.type, dims }];
  }),
  Unsqueeze: reshaping((call) => {
    const x = required(call, 0, "data");
    const axes = constantInput(call, 1, "axes") ?? [];
    const rank = x.dims.length + axes.length;
    const at = new Set(axes.map((axis) => axisOf(call, axis, rank)));
    if (at.size !== axes.length) throw new OperatorError(call, `axes ${axes} name an axis twice`);
    const rest = [...x.dims];
    const dims = Array.from({ length: rank }, (_, axis) => at.has(axis) ? 1 : rest.shift()!);
    return [{ type: x.type, dims }];
  }),
  Transpose: {
    infer(call) {
      const x = required(call, 0, "data");
      const perm = intsAttribute(call, "perm", x.dims.map((_, axis) => axis).reverse());
      const sorted = perm.toSorted((a, b) => a - b);
      if (perm.length !== x.dims.length || sorted.some((axis, i) => axis !== i)) {
        throw new OperatorError(
          call,
          `perm ${formatDims(perm)} does not order the axes of ${formatDims(x.dims)}`,
        );
      }
      return [{ type: x.type, dims: perm.map((axis) => x.dims[axis]) }];
    },
    evaluate([x], call) {
      const perm = intsAttribute(call, "perm", x.dims.map((_, axis) => axis).reverse());
      return [permute(x.data, x.dims, perm)];
    },
    simplify(g, call) {
      const x = call.inputs[0]!;
      const perm = intsAttribute(call, "perm", x.dims.map((_, axis) => axis).reverse());
      if (perm.every((axis, i) => axis === i)) return x;
      // Moving only axes of length 1 leaves the elements where they are.
      const moved = perm.filter((axis) => x.dims[axis] !== 1);
      if (moved.every((axis, i) => i === 0 || axis > moved[i - 1])) {
        return g.reshape(x, perm.map((axis) => x.dims[axis]));
      }
      if (x.producer?.op === "Transpose") {
        const before = x.producer.inputs[0]!;
        const first = intsAttribute(
          x.producer,
          "perm",
          before.dims.map((_, axis) => axis).reverse(),
        );
        return g.transpose(before, perm.map((axis) => first[axis]));
      }
    },
    gradient(g, node, [dy]) {
      const perm = intsAttribute(node, "perm", dy!.dims.map((_, axis) => axis).reverse());
      return [g.transpose(dy!, perm.map((_, axis) => perm.indexOf(axis)))];
    },
  },
  Expand: {
    infer(call) {
      const x = required(call, 0, "data");
      const wanted = constantInput(call, 1, "shape") ?? [];
      // Expand broadcasts both ways, so the shape takes part as an operand would.
      const shape = { ...x, dims: wanted };
      return [{ type: x.type, dims: inferBroadcast({ ...call, inputs: [x, shape] }) }];
    },
    simplify: (_g, { inputs: [x] }, [type]) => sameDims(x!.dims, type.dims) ? x! : undefined,
    evaluate: ([x], _call, [type]) => [broadcastTo(x.data, x.dims, type.dims)],
    gradient: (g, { inputs: [x] }, [dy]) => [g.sumTo(dy!, x!.dims)],
  },
  Tile: {
    infer(call) {
      const x = required(call, 0, "data");
      const repeats = constantInput(call, 1, "repeats") ?? [];
      if (repeats.length !== x.dims.length) {
        throw new OperatorError(call, `${repeats.length} repeats for ${x.dims.length} axes`);
      }
      return [{ type: x.type, dims: x.dims.map((dim, axis) => dim * repeats[axis]) }];
    },
    simplify: (_g, { inputs: [x] }, [type]) => sameDims(x!.dims, type.dims) ? x! : undefined,
    evaluate([x, repeats]) {
      const from = x.dims.flatMap((dim) => [1, dim]);
      const to = x.dims.flatMap((dim, axis) => [repeats.data[axis], dim]);
      return [broadcastTo(x.data, from, to)];
    },
    gradient(g, { inputs: [x], results: [y] }, [dy]) {
      const split = x!.dims.flatMap((dim, axis) => [dim === 0 ? 0 : y.dims[axis] / dim, dim]);
      return [g.sum(g.reshape(dy!, split), x!.dims.map((_, axis) => 2 * axis))];
    },
  },
  Cast: {
    infer(call) {
      const x = required(call, 0, "data");
      return [{ type: call.attributes.to as ElementType, dims: x.dims }];
    },
    simplify: (_g, { inputs: [x] }, [type]) => x!.type === type.type ? x! : undefined,
    evaluate([x], _call, [{ type }]) {
      if (isFloat(type)) return [x.data];
      return [x.data.map(type === "bool" ? (value) => Number(value !== 0) : Math.trunc)];
    },
    gradient(g, { inputs: [x], results: [y] }, [dy]) {
      return [isFloat(x!.type) && isFloat(y.type) ? g.cast(dy!, x!.type) : null];
    },
  },
  /** As the second operand's type. */
  CastLike: composite((g, call) => [
    g.cast(required(call, 0, "data"), required(call, 1, "like").type),
  ]),
  Shape: {
    infer(call) {
      const dims = required(call, 0, "data").dims;
      return [{ type: "int64", dims: [partOf(dims, call).length] }];
    },
    simplify: (g, call) => g.ints(partOf(call.inputs[0]!.dims, call)),
    gradient: () => [null],
  },
  Size: {
    infer: (call) => (required(call, 0, "data"), [{ type: "int64", dims: [] }]),
    simplify: (g, { inputs: [x] }) => g.scalar(sizeOf(x!.dims), "int64"),
    gradient: () => [null],
  },
  ConstantOfShape: {
    infer(call) {
      const value = call.attributes.value as TensorType | undefined;
      return [{ type: value?.type ?? "float32", dims: constantInput(call, 0, "shape") ?? [] }];
    },
    evaluate(_inputs, { attributes }, [type]) {
      const value = attributes.value as { data: ArrayLike<number | bigint> } | undefined;
      return [new Float64Array(sizeOf(type.dims)).fill(Number(value?.data[0] ?? 0))];
    },
    gradient: () => [null],
  },
  /** A value from the attributes: `value`, or a number or list of numbers. */
  Constant: composite((g, call) => {
    const [[name, value] = []] = Object.entries(call.attributes);
    if (name === undefined) throw new OperatorError(call, "it has no value");
    const isTensor = typeof value === "object" && "data" in value;
    if (name === "value" && isTensor) return [g.tensor(value)];
    if (name === "value") throw new OperatorError(call, "its value must be a tensor");
    const type = name.startsWith("value_float") ? "float32" : "int64";
    const list = Array.isArray(value) ? value as number[] : null;
    return [g.constant(type, list ? [list.length] : [], list ?? Number(value))];
  }),
  /** The upper or lower triangle of matrices, zeros elsewhere. */
  Trilu: composite((g, call) => {
    const x = matrixOf(call), [rows, columns] = x.dims.slice(-2);
    const [k] = constantInput(call, 1, "k") ?? [0], upper = intAttribute(call, "upper", 1) !== 0;
    const kept = Array.from({ length: rows * columns }, (_, i) => {
      const offset = i % columns - Math.floor(i / columns);
      return Number(upper ? offset >= k : offset <= k);
    });
    const mask = g.constant("bool", [rows, columns], kept);
    // Runtimes do not choose among bools.
    return [x.type === "bool" ? g.op("And", [x, mask]) : g.where(mask, x, 0)];
  }),
  EyeLike: composite((g, call) => {
    const x = matrixOf(call), [rows, columns] = x.dims, k = intAttribute(call, "k", 0);
    const ones = Array.from(
      { length: rows * columns },
      (_, i) => Number(i % columns - Math.floor(i / columns) === k),
    );
    return [
      g.constant(stringAttribute(call, "dtype", x.type) as ElementType, [rows, columns], ones),
    ];
  }),
  /** `[batch, b² · channels, h, w]` to `[batch, channels, h · b, w · b]`. */
  DepthToSpace: composite((g, call) => {
    const x = required(call, 0, "image"), b = intAttribute(call, "blocksize", 1);
    const [batch, depth, height, width] = x.dims, channels = depth / (b * b);
    const rows = stringAttribute(call, "mode", "DCR") === "DCR";
    const split = rows ? [b, b, channels] : [channels, b, b];
    const perm = rows ? [0, 3, 4, 1, 5, 2] : [0, 1, 4, 2, 5, 3];
    const blocks = g.transpose(g.reshape(x, [batch, ...split, height, width]), perm);
    return [g.reshape(blocks, [batch, channels, height * b, width * b])];
  }),
  /** `[batch, channels, h · b, w · b]` to `[batch, b² · channels, h, w]`. */
  SpaceToDepth: composite((g, call) => {
    const x = required(call, 0, "image"), b = intAttribute(call, "blocksize", 1);
    const [batch, channels, height, width] = x.dims;
    const blocks = g.reshape(x, [batch, channels, height / b, b, width / b, b]);
    return [
      g.reshape(g.transpose(blocks, [0, 3, 5, 1, 2, 4]), [
        batch,
        channels * b * b,
        height / b,
        width / b,
      ]),
    ];
  }),
  Range: {
    infer(call) {
      const [start] = constantInput(call, 0, "start") ?? [0];
      const [limit] = constantInput(call, 1, "limit") ?? [0];
      const [delta] = constantInput(call, 2, "delta") ?? [1];
      const count = Math.max(0, Math.ceil((limit - start) / delta));
      return [{ type: required(call, 0, "start").type, dims: [count] }];
    },
    evaluate([start, , delta], _call, [type]) {
      const at = (_: unknown, i: number) => start.data[0] + i * delta.data[0];
      return [Float64Array.from({ length: type.dims[0] }, at)];
    },
    gradient: () => [null, null, null],
  },
};

/** A matrix, or several. */
function matrixOf(call: Application): Value {
  const x = required(call, 0, "matrix");
  if (x.dims.length < 2) throw new OperatorError(call, "it takes a matrix, […, rows, columns]");
  return x;
}

/** What Shape's start and end leave of the dimensions. */
function partOf(dims: readonly number[], call: Parameters<typeof intAttribute>[0]): number[] {
  return dims.slice(intAttribute(call, "start", 0), intAttribute(call, "end", dims.length));
}
