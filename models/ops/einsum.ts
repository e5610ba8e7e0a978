/** Einsum: sums of products named by an equation, as transpositions and matrix products. */

import type { Graph, Value } from "../graph.ts";
import {
  type Application,
  composite,
  OperatorError,
  type Operators,
  required,
  stringAttribute,
} from "../operator.ts";
import { sizeOf } from "../tensor.ts";

/** A value and the label of each of its axes. */
interface Term {
  value: Value;
  labels: string[];
}

/** Labels of the operands and of the result; the axes of an ellipsis are numbered from the last. */
function parse(call: Application): { terms: Term[]; result: string[] } {
  const equation = stringAttribute(call, "equation", "").replaceAll(" ", "");
  const [left, right] = equation.split("->");
  const parts = left.split(",");
  if (parts.length !== call.inputs.length) {
    throw new OperatorError(call, `"${equation}" names ${parts.length} operands`);
  }
  let most = 0;
  const terms = parts.map((part, i): Term => {
    const value = required(call, i, "operand"), rank = value.dims.length;
    const hidden = rank - part.replace("...", "").length;
    const dots = part.includes("...") ? hidden : 0;
    if (hidden !== dots || dots < 0) {
      throw new OperatorError(call, `"${part}" does not name the axes of operand ${i}`);
    }
    most = Math.max(most, dots);
    const labels = split(part, dots);
    if (new Set(labels).size !== labels.length) {
      throw new OperatorError(call, `"${part}" repeats a label: diagonals are not supported`);
    }
    return { value, labels };
  });
  if (right !== undefined) return { terms, result: split(right, most) };
  // Without an arrow: the ellipsis, then in alphabetical order the labels that occur once.
  const all = terms.flatMap(({ labels }) => labels.filter((label) => !/\d/.test(label)));
  const once = all.filter((label) => all.indexOf(label) === all.lastIndexOf(label)).sort();
  return { terms, result: [...split("...", most), ...once] };
}

function split(part: string, dots: number): string[] {
  const numbers = Array.from({ length: dots }, (_, i) => String(dots - 1 - i));
  const at = part.indexOf("...");
  if (at < 0) return [...part];
  return [...part.slice(0, at), ...numbers, ...part.slice(at + 3)];
}

/** Sums over the axes that nothing else mentions. */
function reduce(g: Graph, { value, labels }: Term, kept: ReadonlySet<string>): Term {
  const axes = labels.flatMap((label, axis) => kept.has(label) ? [] : [axis]);
  if (axes.length === 0) return { value, labels };
  return { value: g.sum(value, axes), labels: labels.filter((label) => kept.has(label)) };
}

const order = (g: Graph, { value, labels }: Term, wanted: readonly string[]) =>
  g.transpose(value, wanted.map((label) => labels.indexOf(label)));

/** The product of two terms, summed over the labels that both have and nobody else wants. */
function multiply(g: Graph, a: Term, b: Term, wanted: ReadonlySet<string>): Term {
  const left = reduce(g, a, new Set([...b.labels, ...wanted]));
  const right = reduce(g, b, new Set([...a.labels, ...wanted]));
  const both = left.labels.filter((label) => right.labels.includes(label));
  const batch = both.filter((label) => wanted.has(label));
  const summed = both.filter((label) => !wanted.has(label));
  const rows = left.labels.filter((label) => !both.includes(label));
  const columns = right.labels.filter((label) => !both.includes(label));
  const sizes = ({ value, labels }: Term, names: string[]) =>
    names.map((label) => value.dims[labels.indexOf(label)]);
  const product = g.matmul(
    g.reshape(order(g, left, [...batch, ...rows, ...summed]), [
      ...sizes(left, batch),
      sizeOf(sizes(left, rows)),
      sizeOf(sizes(left, summed)),
    ]),
    g.reshape(order(g, right, [...batch, ...summed, ...columns]), [
      ...sizes(right, batch),
      sizeOf(sizes(right, summed)),
      sizeOf(sizes(right, columns)),
    ]),
  );
  const dims = [
    ...product.dims.slice(0, batch.length),
    ...sizes(left, rows),
    ...sizes(right, columns),
  ];
  return { value: g.reshape(product, dims), labels: [...batch, ...rows, ...columns] };
}

/** Einsum. */
export const einsumOperators: Operators = {
  Einsum: composite((g, call) => {
    const { terms, result } = parse(call);
    let [sum] = terms;
    for (const [i, next] of terms.entries()) {
      if (i === 0) continue;
      const rest = terms.slice(i + 1).flatMap(({ labels }) => labels);
      sum = multiply(g, sum, next, new Set([...rest, ...result]));
    }
    sum = reduce(g, sum, new Set(result));
    const lost = result.find((label) => !sum.labels.includes(label));
    if (lost) throw new OperatorError(call, `no operand has the result's label "${lost}"`);
    return [order(g, sum, result)];
  }),
};
