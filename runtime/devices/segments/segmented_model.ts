/**
 * A model in parts: ONNX graphs, and between them operators that the device computes by kernels of its own.
 * What passes from part to part is float32 and stays on the device.
 *
 * @module
 */

import type { UpdateCall } from "./update_call.ts";

/** A float32 tensor that passes from part to part. */
export interface PassedTensor {
  readonly name: string;
  readonly dims: readonly number[];
}

/**
 * What a device may have kernels for: operators, and under `celgc.Update` what a graph does element by element to
 * its variables at the end, such as the clipped step.
 */
export type KernelOperator = "celgc.LSTM" | "celgc.LSTMGradient" | "celgc.Update";

/** All of them. */
export const KERNEL_OPERATORS: readonly KernelOperator[] = [
  "celgc.LSTM",
  "celgc.LSTMGradient",
  "celgc.Update",
];

/** An operator between two graphs. */
export interface KernelCall {
  readonly operator: Exclude<KernelOperator, "celgc.Update">;
  /** What passes between the parts, a variable or an input of the model, by name; null for one that is absent. */
  readonly inputs: readonly (string | null)[];
  /** Shapes of the inputs. */
  readonly inputDims: readonly (readonly number[])[];
  /** What passes between the parts, by name. */
  readonly outputs: readonly string[];
}

/** A graph, or an operator. */
export type Part =
  | { readonly graph: Uint8Array; readonly updates: readonly string[] }
  | { readonly kernel: KernelCall };

/** A model in parts. */
export interface SegmentedModel {
  /**
   * What passes between the parts. A graph reads it by these names, and writes what its `updates` name, which
   * are outputs of these names with {@linkcode OUTPUT_SUFFIX} behind.
   */
  readonly passed: readonly PassedTensor[];
  /** In the order in which they run. The last graph has the model's outputs, but for those of the update. */
  readonly parts: readonly Part[];
  /** What comes after them. */
  readonly update?: UpdateCall | undefined;
}

/** What an output of a graph that passes to other parts has behind its name. */
export const OUTPUT_SUFFIX = ".passed";

/** No ONNX file begins so: the first byte of one is 8. */
const MAGIC = new TextEncoder().encode("celgc/segments/2\n");

/** Whether the bytes are a model in parts, and not an ONNX file. */
export function isSegmented(bytes: Uint8Array): boolean {
  return MAGIC.every((byte, i) => bytes[i] === byte);
}

/** A part as the header has it. */
type WrittenPart =
  | { readonly bytes: number; readonly updates: readonly string[] }
  | { readonly kernel: KernelCall };

/** Writes a model in parts: a line that says what it is, the length of a JSON header, it, and the graphs. */
export function encodeSegmented({ passed, parts, update }: SegmentedModel): Uint8Array {
  const graphs = parts.flatMap((part) => "graph" in part ? [part.graph] : []);
  const written: WrittenPart[] = parts.map((part) =>
    "graph" in part ? { bytes: part.graph.length, updates: part.updates } : part
  );
  const header = new TextEncoder().encode(JSON.stringify({ passed, parts: written, update }));
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, header.length, true);
  const all = [MAGIC, length, header, ...graphs];
  const bytes = new Uint8Array(all.reduce((sum, each) => sum + each.length, 0));
  let at = 0;
  for (const each of all) {
    bytes.set(each, at);
    at += each.length;
  }
  return bytes;
}

/** Reads what {@linkcode encodeSegmented} has written; graphs are views of the bytes. */
export function decodeSegmented(bytes: Uint8Array): SegmentedModel {
  const start = MAGIC.length + 4;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = start + view.getUint32(MAGIC.length, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(start, at))) as {
    passed: PassedTensor[];
    parts: WrittenPart[];
    update?: UpdateCall;
  };
  const parts = header.parts.map((part): Part => {
    if ("kernel" in part) return part;
    return { graph: bytes.subarray(at, at += part.bytes), updates: part.updates };
  });
  return { passed: header.passed, parts, update: header.update };
}
