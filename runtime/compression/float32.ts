import type { Codec } from "./codec.ts";

const bytesOf = (values: Float32Array, count: number) =>
  new Uint8Array(values.buffer, values.byteOffset, 4 * count);

/** Numbers as they are: nothing is lost. Nobody asks for it by name; it is what others are made of. */
export const float32: Codec = {
  name: "float32",
  code: 0,
  block: 1,
  bytes: (count) => 4 * count,
  encode: ({ values, encoded }, count) => encoded.set(bytesOf(values, count)),
  decode: ({ values, encoded }, count) =>
    bytesOf(values, count).set(encoded.subarray(0, 4 * count)),
};
