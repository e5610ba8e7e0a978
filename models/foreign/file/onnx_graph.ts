/**
 * What an ONNX file holds, as plain data.
 *
 * @module
 */

import type { Attribute } from "../../operator.ts";
import type { ElementType, Tensor } from "../../tensor.ts";

/** A file that is no ONNX model, or holds what cannot be used here. */
export class OnnxFileError extends Error {
  /** Tells it apart after it has crossed a process. */
  override name = "OnnxFileError";

  /** The symbolic dimension whose length would mend it; absent if none would. */
  readonly openDimension?: string;

  /** The only batch that the file can be built for; absent if that would not mend it. */
  readonly fixedBatch?: number;

  /** Says what is wrong. */
  constructor(
    /** What is wrong, without the way out. */
    readonly problem: string,
    { openDimension, fixedBatch, ...options }: ErrorOptions & {
      openDimension?: string;
      fixedBatch?: number;
    } = {},
  ) {
    const remedies = [
      openDimension === undefined ? "" : `: give dims: { "${openDimension}": … }`,
      fixedBatch === undefined
        ? ""
        : `: take a batch of ${fixedBatch}, or export the model with an open batch axis`,
    ];
    super(problem + remedies.join(""), options);
    if (openDimension !== undefined) this.openDimension = openDimension;
    if (fixedBatch !== undefined) this.fixedBatch = fixedBatch;
  }
}

/** A reference to an attribute of the function around the node. */
export interface AttributeReference {
  readonly reference: string;
}

/** What an attribute of a node in a file may be. */
export type OnnxAttribute = Attribute | OnnxGraph | AttributeReference;

/** A node, by the names of its inputs and outputs; an absent one is "". */
export interface OnnxNode {
  readonly name: string;
  /** Operators outside the standard are prefixed by their domain and a dot. */
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, OnnxAttribute>>;
}

/** An input of a graph: a dimension is a length, a symbol, or null when nothing is said. */
export interface OnnxInput {
  /** As in the file. */
  readonly name: string;
  /** Of its elements. */
  readonly type: ElementType;
  /** Its axes. */
  readonly dims: readonly (number | string | null)[];
}

/** A graph of a file. */
export class OnnxGraph {
  /** Collects a graph's parts. */
  constructor(
    readonly nodes: readonly OnnxNode[],
    readonly initializers: ReadonlyMap<string, Tensor>,
    /** Inputs that are no initializers. */
    readonly inputs: readonly OnnxInput[],
    readonly outputs: readonly string[],
  ) {}
}

/** A function: nodes under a name of their own. */
export interface OnnxFunction {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly nodes: readonly OnnxNode[];
  /** Attributes with their defaults. */
  readonly defaults: Readonly<Record<string, OnnxAttribute>>;
}

/** A model of a file. */
export interface OnnxModel {
  /** The version of the standard operators it is written in. */
  readonly opset: number;
  /** Whether it is written in float64; here it is read as float32. */
  readonly float64: boolean;
  /** Who wrote it: "pytorch 1.13.0". */
  readonly producer: string;
  readonly graph: OnnxGraph;
  /** By operator name, as in {@linkcode OnnxNode.op}. */
  readonly functions: ReadonlyMap<string, OnnxFunction>;
}
