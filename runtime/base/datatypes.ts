/**
 * The element types a buffer may have. Every buffer is a typed array, or a view of part of one; a
 * message never converts: both ends must hold the same type.
 *
 * @module
 */

import { counted } from "./words.ts";

/** Every kind of buffer the communicator sends, receives and reduces. */
export type TypedArray =
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array
  | Float32Array
  | Float64Array;

/** Makes a typed array of one element type, as a view or zero-filled. */
export interface TypedArrayConstructor {
  new (length: number): TypedArray;
  new (buffer: ArrayBufferLike, byteOffset?: number, length?: number): TypedArray;
  readonly BYTES_PER_ELEMENT: number;
}

/** What arithmetic on an element type means. */
export type Arithmetic = "float" | "integer" | "bigint";

/** One element type. */
export interface Datatype {
  /** Its number in a frame's header. */
  readonly code: number;
  /** Its name in messages, such as "float32". */
  readonly name: string;
  /** Bytes of one element. */
  readonly bytes: number;
  /** How its elements are reduced. */
  readonly arithmetic: Arithmetic;
  /** Makes a buffer of this type. */
  readonly array: TypedArrayConstructor;
}

const TYPES: readonly Datatype[] = ([
  ["uint8", "integer", Uint8Array],
  ["int8", "integer", Int8Array],
  ["int16", "integer", Int16Array],
  ["uint16", "integer", Uint16Array],
  ["int32", "integer", Int32Array],
  ["uint32", "integer", Uint32Array],
  ["int64", "bigint", BigInt64Array],
  ["uint64", "bigint", BigUint64Array],
  ["float32", "float", Float32Array],
  ["float64", "float", Float64Array],
] as [string, Arithmetic, TypedArrayConstructor][]).map(([name, arithmetic, array], code) => ({
  code,
  name,
  arithmetic,
  array,
  bytes: array.BYTES_PER_ELEMENT,
}));

const BY_TAG = new Map<string, Datatype>(
  TYPES.map((type) => [new type.array(0)[Symbol.toStringTag], type]),
);
BY_TAG.set("Uint8ClampedArray", TYPES[0]);

/**
 * The element type of a buffer. A `Uint8ClampedArray` counts as uint8.
 *
 * @throws TypeError if `buffer` is no typed array, or one of another type than {@linkcode TypedArray}
 */
export function datatypeOf(buffer: TypedArray, what = "buffer"): Datatype {
  const type = ArrayBuffer.isView(buffer)
    ? BY_TAG.get((buffer as { [Symbol.toStringTag]?: string })[Symbol.toStringTag] ?? "")
    : undefined;
  if (type === undefined) {
    const found = buffer == null ? buffer : Object.prototype.toString.call(buffer).slice(8, -1);
    throw new TypeError(`${what} must be a typed array such as Float32Array, found ${found}`);
  }
  return type;
}

/** The element type with this number, or undefined if there is none. */
export function datatypeByCode(code: number): Datatype | undefined {
  return TYPES[code];
}

/** The bytes of a buffer, without a copy. */
export function bytesOf(buffer: TypedArray): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}

/** Byte strings one behind the other, as one. */
export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Whether two buffers have bytes in common. */
export function overlap(a: TypedArray, b: TypedArray): boolean {
  const end = Math.min(a.byteOffset + a.byteLength, b.byteOffset + b.byteLength);
  return a.buffer === b.buffer && Math.max(a.byteOffset, b.byteOffset) < end;
}

/** Whether two buffers are the same bytes. */
export function sameBytes(a: TypedArray, b: TypedArray): boolean {
  return a.buffer === b.buffer && a.byteOffset === b.byteOffset && a.byteLength === b.byteLength;
}

/** Sees bytes as elements of a type, without a copy where they are aligned. */
export function elementsOf(type: Datatype, bytes: Uint8Array): TypedArray {
  const aligned = bytes.byteOffset % type.bytes === 0 ? bytes : bytes.slice();
  return new type.array(aligned.buffer, aligned.byteOffset, aligned.byteLength / type.bytes);
}

/** A count of elements in words: "1024 floats", "3 int32 elements". */
export function describeCount(count: number, type: Datatype): string {
  const noun = type.name === "float32" ? "float" : `${type.name} element`;
  return counted(count, noun);
}
