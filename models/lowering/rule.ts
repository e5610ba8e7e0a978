/** What a lowering rule is. */

import type { Graph, Value } from "../graph.ts";
import type { Application } from "../operator.ts";

/**
 * Where a graph will run. "portable" is any ONNX runtime: standard operators only, and no choice that pays
 * on one device alone.
 */
export type Target = "cpu" | "wasm" | "webgpu" | "portable";

/** Appends to `g` the plain form of an operator; undefined leaves the operator as it is. */
export type LoweringRule = (
  g: Graph,
  call: Application,
  target: Target,
) => readonly Value[] | undefined;

/** A table of rules by operator. */
export type LoweringRules = Readonly<Record<string, LoweringRule>>;
