/**
 * Long chains of operators, a piece of their operands after the other: what a chain hands on then stays in
 * the processor's cache, and only its ends are as large as the operands.
 */

import { Body } from "../../body.ts";
import { Graph, type Value } from "../../graph.ts";
import { sizeOf } from "../../tensor.ts";
import type { Target } from "../rule.ts";

/** Elements of a piece: a few of them fit a cache of the second level. */
const PIECE = 1 << 16;

/** What is done with a piece; `captured` are the same for all pieces. */
type OfPiece = (g: Graph, pieces: readonly Value[], captured: readonly Value[]) => Value[];

/** Whether onnxruntime has its CPU provider there, with loops and with operators of its own domain. */
export function hasLoops(target: Target): boolean {
  return target === "cpu" || target === "wasm";
}

/**
 * `f` of each slice along the first axis, the results stacked along it.
 *
 * @param scanned of one length along their first axes, which `f` does not see
 */
export function eachSlice(
  g: Graph,
  scanned: readonly Value[],
  captured: readonly Value[],
  f: OfPiece,
): Value[] {
  const inner = new Graph();
  const slices = scanned.map(({ type, dims }, i) => inner.input(`slice${i}`, type, dims.slice(1)));
  const seen = captured.map(({ type, dims }, i) => inner.input(`captured${i}`, type, dims));
  const results = f(inner, slices, seen);
  results.forEach((value, i) => inner.output(`result${i}`, value));
  const attributes = {
    body: new Body(inner, captured.length),
    num_scan_inputs: scanned.length,
    scan_input_directions: scanned.map(() => 0),
    scan_output_directions: results.map(() => 0),
  };
  return [...g.opMany("Scan", [...scanned, ...captured], attributes, results.length)];
}

/**
 * An element-wise function of operands of one shape, in pieces where the device has loops and there is
 * enough to cut.
 */
export function inPieces(
  g: Graph,
  target: Target,
  operands: readonly Value[],
  f: (g: Graph, pieces: readonly Value[]) => Value[],
): Value[] {
  const { dims } = operands[0], count = piecesOf(sizeOf(dims));
  if (!hasLoops(target) || count === 1) return f(g, operands);
  const cut = operands.map((x) => g.reshape(x, [count, sizeOf(dims) / count]));
  return eachSlice(g, cut, [], f).map((y) => g.reshape(y, dims));
}

/** The fewest equal pieces of which none is too large; 1 where there are no such. */
export function piecesOf(size: number, unit = 1): number {
  const units = size / unit;
  for (let count = Math.ceil(size / PIECE); count <= Math.min(units, 4 * size / PIECE); count++) {
    if (units % count === 0) return count;
  }
  return 1;
}
