/** Runs graphs in tests: by the operators' own float64 arithmetic, and by onnxruntime. */

import { loadOnnxRuntimeNode } from "../../deps.ts";
import { encodeModel, type EncodeOptions } from "../../models/encode.ts";
import type { Graph, Value } from "../../models/graph.ts";
import { evaluateGraph } from "../../models/interpret.ts";
import { lower } from "../../models/lowering/mod.ts";
import { type NumberTensor, type Tensor, type TensorData, toNumbers } from "../../models/tensor.ts";

/** Data for a graph's inputs by name, in row-major order. */
export type Feeds = Record<string, ArrayLike<number>>;

/** A function that computes a graph's outputs in float64, operator by operator. */
export function interpreter(graph: Graph): (feeds: Feeds) => Record<string, Float64Array> {
  const plain = lower(graph, "portable");
  return (feeds) => {
    const known = new Map<Value, NumberTensor>();
    for (const [name, value] of plain.inputs) {
      known.set(value, { ...value, data: Float64Array.from(feeds[name]) });
    }
    const values = evaluateGraph(plain, known, [...plain.outputs.values()]);
    return Object.fromEntries([...plain.outputs.keys()].map((name, i) => [name, values[i].data]));
  };
}

/** A graph in onnxruntime's native CPU engine, one thread. */
export interface Runner extends AsyncDisposable {
  /** The outputs, their elements as float64 numbers. */
  run(feeds: Feeds): Promise<Record<string, NumberTensor>>;
}

/** Loads a graph, encoded for a target, into onnxruntime. */
export async function load(graph: Graph, options: EncodeOptions = {}): Promise<Runner> {
  const types = new Map([...graph.inputs].map(([name, { type, dims }]) => [name, { type, dims }]));
  return await loadModel(encodeModel(graph, options), types);
}

/** Loads a model's bytes into onnxruntime; `inputs` says what it is fed. */
export async function loadModel(
  model: Uint8Array,
  inputs: Map<string, { type: string; dims: readonly number[] }>,
): Promise<Runner> {
  const { InferenceSession, Tensor: OrtTensor } = await loadOnnxRuntimeNode();
  const session = await InferenceSession.create(model, {
    intraOpNumThreads: 1,
    logSeverityLevel: 3,
  });
  return {
    async run(feeds) {
      const tensors = session.inputNames.map((name) => {
        const { type, dims } = inputs.get(name)!;
        return [
          name,
          new OrtTensor(type as "float32", typed(type, feeds[name]) as Float32Array, dims),
        ];
      });
      const results = await session.run(Object.fromEntries(tensors));
      return Object.fromEntries(
        Object.entries(results).map(([name, { type, dims, data }]) => [
          name,
          toNumbers({ type, dims, data: data as TensorData } as Tensor),
        ]),
      );
    },
    [Symbol.asyncDispose]: () => session.release(),
  };
}

function typed(type: string, data: ArrayLike<number>): TensorData {
  switch (type) {
    case "float32":
      return Float32Array.from(data);
    case "float64":
      return Float64Array.from(data);
    case "int32":
      return Int32Array.from(data);
    case "int64":
      return BigInt64Array.from(Array.from(data, BigInt));
    default:
      return Uint8Array.from(data);
  }
}

/** ‖a − b‖ / ‖b‖, or ‖a‖ where b is zero. */
export function relativeError(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let difference = 0, size = 0;
  if (a.length !== b.length) return Infinity;
  for (let i = 0; i < b.length; i++) {
    difference += (a[i] - b[i]) ** 2;
    size += b[i] ** 2;
  }
  return Math.sqrt(difference / (size || 1));
}
