/**
 * The codecs by their names.
 *
 * @module
 */

import { bf16 } from "./bf16.ts";
import type { Codec } from "./codec.ts";
import { fp16 } from "./fp16.ts";
import { int4, mxint4 } from "./int4.ts";
import { int8, mxint8 } from "./int8.ts";
import { type PickedFormat, pickedFormat, topk } from "./topk/topk.ts";

/** How the names of codecs are written. */
const COMPRESSION_SYNTAX =
  "none, bf16, fp16, int8, int4, mxint8, mxint4 or topk:F[:int8|:int2], F from 0.000001 to 1";

const FIXED = [bf16, fp16, int8, int4, mxint8, mxint4];

/**
 * The codec of a name; null for "none".
 *
 * @throws RangeError if there is none of that name
 * @example
 * ```ts
 * import { codecOf } from "./registry.ts";
 * const codec = codecOf("topk:0.01:int8")!;
 * console.assert(codec.bytes(4096) === 89); // of 16384
 * ```
 */
export function codecOf(name: string): Codec | null {
  if (name === "none") return null;
  const fixed = FIXED.find((codec) => codec.name === name);
  if (fixed) return fixed;
  const [, fraction, inner] = /^topk:([01]?(?:\.\d{1,6})?)(?::(int8|int2))?$/.exec(name) ?? [];
  const millionths = fraction ? Math.round(Number(fraction) * 1e6) : NaN;
  if (millionths >= 1 && millionths <= 1e6) {
    return topk(millionths, (inner ?? "float32") as PickedFormat);
  }
  throw new RangeError(`compression must be ${COMPRESSION_SYNTAX}, found "${name}"`);
}

/** The name of a codec by its number on the wire. */
export function codecName(code: number): string {
  if (code === 0) return "none";
  const fixed = FIXED.find((codec) => codec.code === code);
  return fixed?.name ?? topk(code >> 4, pickedFormat(code) ?? "float32").name;
}
