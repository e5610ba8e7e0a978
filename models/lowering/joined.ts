/**
 * Small tensors that are treated alike, joined before they are: on WebGPU a kernel for 16 floats costs what
 * one for 16,000 does. The update of a network's weights and running statistics is full of such: hundreds
 * of vectors that go through the same few element-wise operators, each to an output of its own.
 */

import type { Graph, Value } from "../graph.ts";
import { rewrite } from "../rewrite.ts";
import { isFloat, sizeOf, toNumbers } from "../tensor.ts";

/** Fewest tensors that are worth it, and the most elements of each. */
const FEWEST = 4, MOST_ELEMENTS = 1 << 16;

/** How many element-wise operators are looked through. */
const DEPTH = 8;

/**
 * Parts that one Split makes: with the tensor itself the 8 storage buffers that every WebGPU device lets a
 * shader have.
 */
const PARTS = 7;

const ELEMENTWISE = new Set(["Add", "Sub", "Mul", "Div", "Neg", "Sqrt", "Reciprocal"]);

const isScalar = ({ dims }: Value) => sizeOf(dims) === 1;

const sameShape = (a: Value, b: Value) => String(a.dims) === String(b.dims);

/**
 * What is done to compute a value, such as `Sub(#,Mul(#,12))`: values of one form are joined by joining
 * what stands for `#`. A scalar goes by its number, a constant one is `c`, whatever it is.
 */
function formOf(value: Value, depth = DEPTH): string {
  const { producer } = value;
  if (!producer || depth === 0 || !ELEMENTWISE.has(producer.op)) return "#";
  const parts = (producer.inputs as readonly Value[]).map((input) => {
    if (isScalar(input)) return input.constant ? "c" : String(input.id);
    return sameShape(input, value) ? formOf(input, depth - 1) : null;
  });
  return parts.includes(null) ? "#" : `${producer.op}(${parts})`;
}

/**
 * Values that differ in their first axis at most, joined along it: what computes them is joined as far down
 * as it is of one form.
 */
function join(g: Graph, values: readonly Value[]): Value {
  const form = formOf(values[0]);
  if (form === "#" || values.some((value) => formOf(value) !== form)) return g.concat(values, 0);
  const nodes = values.map(({ producer }) => producer!);
  const operands = nodes[0].inputs.map((first, i) => {
    const inputs = nodes.map(({ inputs }) => inputs[i]!);
    if (!isScalar(first!)) return join(g, inputs);
    if (inputs.every((input) => input === first)) return first!;
    return constants(g, inputs, values);
  });
  return g.op(nodes[0].op, operands, nodes[0].attributes);
}

/** Scalar constants, each as often as the value that it goes with is long. */
function constants(g: Graph, scalars: readonly Value[], values: readonly Value[]): Value {
  const sizes = values.map(({ dims: [size] }) => size), [, ...rest] = values[0].dims;
  const dims = [sizes.reduce((sum, size) => sum + size, 0), ...rest.map(() => 1)];
  const data = scalars.flatMap(({ constant }, i) =>
    new Array<number>(sizes[i]).fill(toNumbers(constant!).data[0])
  );
  return g.constant(values[0].type, dims, data);
}

/** Values by form and the shape behind their first axis. */
function groups<T>(items: readonly T[], valueOf: (item: T) => Value): Map<string, T[]> {
  const found = new Map<string, T[]>();
  for (const item of items) {
    const value = valueOf(item), { type, dims: [, ...rest] } = value;
    const key = `${type}[${rest}]${formOf(value)}`;
    found.set(key, [...found.get(key) ?? [], item]);
  }
  return found;
}

/** Gives outputs that are computed alike to one kernel each step of the way. Changes the graph's outputs. */
function joinOutputs(g: Graph): void {
  const outputs = [...g.outputs].filter(([, value]) =>
    isFloat(value.type) && value.dims.length > 0 && sizeOf(value.dims) <= MOST_ELEMENTS &&
    formOf(value) !== "#"
  );
  for (const group of groups(outputs, ([, value]) => value).values()) {
    if (group.length < FEWEST) continue;
    const joined = join(g, group.map(([, value]) => value));
    let start = 0;
    for (let first = 0; first < group.length; first += PARTS) {
      const some = group.slice(first, first + PARTS);
      const sizes = some.map(([, { dims: [size] }]) => size);
      const end = start + sizes.reduce((sum, size) => sum + size, 0);
      const part = g.slice(joined, [0], [start], [end]);
      const parts = some.length === 1
        ? [part]
        : g.opMany("Split", [part, g.ints(sizes)], { axis: 0 }, some.length);
      some.forEach(([name], i) => g.outputs.set(name, parts[i]));
      start = end;
    }
  }
}

/** The graph with its small outputs, and the norm of its gradients, computed jointly. */
export function joinSmall(graph: Graph): Graph {
  const joined = rewrite(graph, {
    emit(g, { op, attributes, outputs, results }, inputs) {
      const list = inputs[0]?.producer;
      if (op === "ReduceSumSquare" && results[0].dims.length === 0 && list?.op === "Concat") {
        // The sum of squares does not depend on the order of what was joined.
        const members = groups(list.inputs as readonly Value[], (value) => value);
        const sums = [...members.values()].map((some) =>
          g.reduce(op, some.length > 1 ? join(g, some) : some[0])
        );
        return [sums.reduce((total, sum) => g.add(total, sum))];
      }
      return g.opMany(op, inputs, attributes, outputs);
    },
  });
  joinOutputs(joined);
  return joined;
}
