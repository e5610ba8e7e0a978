/**
 * Dense tensors on the host, and the arithmetic of their shapes.
 *
 * @module
 */

/** The element types a graph may hold, by their ONNX names in lower case. */
export type ElementType =
  | "float32"
  | "float64"
  | "int8"
  | "uint8"
  | "int32"
  | "int64"
  | "bool";

/** The typed array that holds a tensor's elements; a bool is one byte, 0 or 1. */
export type TensorData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int32Array
  | BigInt64Array;

/** An element type and a static shape. */
export interface TensorType {
  /** Type of the elements, in ONNX's words. */
  readonly type: ElementType;
  /** Static shape; empty for a scalar. */
  readonly dims: readonly number[];
}

/** A tensor on the host: row major, `data.length` is the product of `dims`. */
export interface Tensor extends TensorType {
  /** The elements in row-major order. */
  readonly data: TensorData;
}

/** A tensor whose elements are float64 numbers whatever its type says; see {@linkcode toNumbers}. */
export interface NumberTensor extends TensorType {
  /** The elements in row-major order. */
  readonly data: Float64Array;
}

const ARRAYS = {
  float32: Float32Array,
  float64: Float64Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int32: Int32Array,
  int64: BigInt64Array,
  bool: Uint8Array,
} as const;

/** Whether gradients can flow through values of this type. */
export function isFloat(type: ElementType): boolean {
  return type === "float32" || type === "float64";
}

/** Bytes of one element. */
export function bytesPerElement(type: ElementType): number {
  return ARRAYS[type].BYTES_PER_ELEMENT;
}

/** The number of elements of a shape: 1 for a scalar's `[]`. */
export function sizeOf(dims: readonly number[]): number {
  return dims.reduce((size, dim) => size * dim, 1);
}

/** Elements to step over, for each axis of a row-major tensor, to reach the next index. */
export function stridesOf(dims: readonly number[]): number[] {
  const strides = new Array<number>(dims.length);
  let stride = 1;
  for (let axis = dims.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= dims[axis];
  }
  return strides;
}

/** Whether two shapes are the same. */
export function sameDims(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((dim, axis) => dim === b[axis]);
}

/** Axes that a message shows; no network has so many, a damaged file may. */
const SHOWN_AXES = 12;

/** A shape for messages: `[2, 3]`. */
export function formatDims(dims: readonly number[]): string {
  const rest = dims.length > SHOWN_AXES ? `, … ${dims.length} axes` : "";
  return `[${dims.slice(0, SHOWN_AXES).join(", ")}${rest}]`;
}

/** The shape two or more shapes broadcast to (ONNX's multidirectional rule), or null if they do not. */
export function broadcastDims(...shapes: (readonly number[])[]): number[] | null {
  const rank = Math.max(...shapes.map((dims) => dims.length));
  const result = new Array<number>(rank).fill(1);
  for (const dims of shapes) {
    for (let i = 0; i < dims.length; i++) {
      const axis = rank - dims.length + i;
      if (dims[i] === 1 || dims[i] === result[axis]) continue;
      if (result[axis] !== 1) return null;
      result[axis] = dims[i];
    }
  }
  return result;
}

/** An axis counted from the front; throws a RangeError if the rank has no such axis. */
export function normalizeAxis(axis: number, rank: number): number {
  if (!Number.isInteger(axis) || axis < -rank || axis >= rank) {
    throw new RangeError(`axis ${axis} is outside a tensor of rank ${rank}`);
  }
  return axis < 0 ? axis + rank : axis;
}

/** A zero-filled array for `size` elements of a type. */
export function allocate(type: ElementType, size: number): TensorData {
  return new ARRAYS[type](size);
}

/** Checks a tensor's data against its type and shape; throws TypeError or RangeError. */
export function checkTensor(tensor: Tensor): void {
  const { type, dims, data } = tensor;
  if (!(data instanceof ARRAYS[type])) {
    throw new TypeError(`a ${type} tensor needs a ${ARRAYS[type].name}, got ${data}`);
  }
  if (data.length !== sizeOf(dims)) {
    throw new RangeError(
      `a tensor of shape ${formatDims(dims)} needs ${sizeOf(dims)} elements, got ${data.length}`,
    );
  }
}

/**
 * The elements as float64 numbers. Integers beyond ±2^53 lose their low bits: shapes and indices never
 * come near, and the "to the end" marks of Slice stay as large as they have to be.
 */
export function toNumbers(tensor: Tensor): NumberTensor {
  const { type, dims, data } = tensor;
  if (data instanceof Float64Array) return { type, dims, data };
  const numbers = new Float64Array(data.length);
  for (let i = 0; i < numbers.length; i++) numbers[i] = Number(data[i]);
  return { type, dims, data: numbers };
}

const INT64_MAX = 2n ** 63n - 1n;

/** The int64 that a number is without its fraction: the nearest there is to one outside, 0 of NaN. */
function toInt64(x: number): bigint {
  if (Math.abs(x) < 2 ** 63) return BigInt(Math.trunc(x));
  return Number.isNaN(x) ? 0n : x > 0 ? INT64_MAX : -INT64_MAX - 1n;
}

/** The inverse of {@linkcode toNumbers}: rounds to the type's own precision. */
export function fromNumbers(tensor: NumberTensor): Tensor {
  const { type, dims, data } = tensor;
  if (type === "float64") return tensor;
  const typed = allocate(type, data.length);
  if (typed instanceof BigInt64Array) {
    for (let i = 0; i < data.length; i++) typed[i] = toInt64(data[i]);
  } else {
    typed.set(data);
  }
  return { type, dims, data: typed };
}
