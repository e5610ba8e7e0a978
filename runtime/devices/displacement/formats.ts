/**
 * How numbers are written in fewer bytes, in WGSL: one thread reads or writes one word of 32 bits.
 *
 * @module
 */

import type { DisplacementFormat } from "./displacement.ts";

/** What a format is made of. */
export interface WordFormat {
  /** Numbers that a workgroup reads or writes together: whole blocks, in whole words. */
  readonly together: number;
  /** Numbers with one scale; each of these blocks is written as its scale and its integers. */
  readonly block: number;
  /** Numbers in a word. */
  readonly perWord: number;
  /** A float32, the exponent of a power of two, or none. */
  readonly scaleBytes: 4 | 1 | 0;
  /**
   * `scaleOf(largest)` of a block's largest magnitude, `wordOf(values, scale)` and `valueAt(word, place, scale)`,
   * numbers and scales being the bits of a float32.
   */
  readonly code: string;
}

/**
 * A scale s and integers x / s, to be read as q · s; s = NaN and zeros where a block holds a NaN or an infinity.
 *
 * @param scale of the largest magnitude, if that is finite
 */
function scaledFormat(
  shape: Omit<WordFormat, "perWord" | "code">,
  most: number,
  bits: number,
  scale: string,
): WordFormat {
  const perWord = 32 / bits;
  return {
    ...shape,
    perWord,
    code: /* wgsl */ `
fn scaleOf(largest: u32) -> u32 {
  if (largest >= INFINITE) { return NAN; }
  return ${scale};
}
fn wordOf(values: array<u32, ${perWord}>, scale: u32) -> u32 {
  var word = 0u;
  if (scale == 0u || scale == NAN) { return word; }
  for (var k = 0u; k < ${perWord}u; k++) {
    word |= (bitcast<u32>(integerOf(values[k], scale, ${most})) & ${
      2 ** bits - 1
    }u) << (${bits}u * k);
  }
  return word;
}
fn valueAt(word: u32, place: u32, scale: u32) -> u32 {
  return multiplied(scale, extractBits(bitcast<i32>(word), ${bits}u * place, ${bits}u));
}
`,
  };
}

/** s = max |x| / most */
function byQuotients(block: number, most: number, bits: number): WordFormat {
  const shape = { together: block, block, scaleBytes: 4 } as const;
  return scaledFormat(shape, most, bits, `divided(largest, ${most}u)`);
}

/** A power of two, of which max |x| is at most M + 1 and, unless it is so small, more than half of that. */
function byPowers(most: number, bits: number): WordFormat {
  const shape = { together: 128, block: 32, scaleBytes: 1 } as const,
    lower = Math.log2(most + 1) - 1;
  return scaledFormat(shape, most, bits, `(max(largest >> 23u, ${lower}u) - ${lower}u) << 23u`);
}

/** Each number in 16 bits, by `halfOf` and `fromHalf`. */
function halfFormat(code: string): WordFormat {
  return {
    together: 128,
    block: 128,
    perWord: 2,
    scaleBytes: 0,
    code: /* wgsl */ `${code}
fn scaleOf(largest: u32) -> u32 { return 0u; }
fn wordOf(values: array<u32, 2>, scale: u32) -> u32 {
  return halfOf(values[0]) | (halfOf(values[1]) << 16u);
}
fn valueAt(word: u32, place: u32, scale: u32) -> u32 {
  return fromHalf((word >> (16u * place)) & 0xffffu);
}
`,
  };
}

/** The formats by the names of the codecs whose bytes theirs are (`runtime/compression`). */
export const FORMATS: Readonly<Record<DisplacementFormat, WordFormat>> = {
  int8: byQuotients(256, 127, 8),
  int4: byQuotients(128, 7, 4),
  mxint8: byPowers(127, 8),
  mxint4: byPowers(7, 4),
  bf16: halfFormat(/* wgsl */ `
fn halfOf(x: u32) -> u32 {
  if ((x & MAGNITUDE) > INFINITE) { return ((x >> 16u) & 0x8000u) | 0x7fc0u; }
  return (x + 0x7fffu + ((x >> 16u) & 1u)) >> 16u;
}
fn fromHalf(half: u32) -> u32 { return half << 16u; }
`),
  fp16: halfFormat(/* wgsl */ `
fn halfOf(x: u32) -> u32 {
  let sign = (x >> 16u) & 0x8000u;
  let m = x & MAGNITUDE;
  if (m > INFINITE) { return sign | 0x7e00u; }
  if (m >= ${143 << 23}u) { return sign | 0x7c00u; } // 2¹⁶
  // The last bit of ½ is worth as much as that of a subnormal: below 2⁻¹⁴, their sum is rounded to it.
  if (m < ${113 << 23}u) { return sign | (added(m, ${126 << 23}u) - ${126 << 23}u); }
  return sign | ((m - ${112 << 23}u + 0xfffu + ((m >> 13u) & 1u)) >> 13u);
}
fn fromHalf(half: u32) -> u32 {
  let sign = (half & 0x8000u) << 16u;
  let m = half & 0x7fffu;
  if (m >= 0x7c00u) { return sign | INFINITE | ((m & 0x3ffu) << 13u); }
  if (m < 0x400u) { return rounded(sign, 134, m); } // m · 2⁻²⁴
  return sign | ((m << 13u) + ${112 << 23}u);
}
`),
};

/** Bytes of a format's numbers before one, which begins a block or is the end. */
export function bytesBefore({ block, perWord, scaleBytes }: WordFormat, number: number): number {
  return scaleBytes * Math.ceil(number / block) + Math.ceil(4 * number / perWord);
}

/** Whether a codec's bytes can be written by a device. */
export function isDisplacementFormat(codec: string): codec is DisplacementFormat {
  return Object.hasOwn(FORMATS, codec);
}
