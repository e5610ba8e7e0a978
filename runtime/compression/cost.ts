/**
 * What a codec's work costs in time.
 *
 * @module
 */

import { Random } from "../base/random.ts";
import type { Codec } from "./codec.ts";
import { decode, encode, sumEncoded } from "./tile.ts";

/** Seconds a float. */
export interface CodecCost {
  /** Adding what is owed, writing, and keeping what is lost. */
  readonly encode: number;
  /** Reading what another has written, and adding it. */
  readonly add: number;
  /** Rounding a sum, writing it, and keeping what is lost. */
  readonly finish: number;
  /** Reading a sum. */
  readonly decode: number;
}

/** Floats that are taken at a time. */
const FLOATS = 1 << 16;
/** Inputs of the longer of two sums. */
const INPUTS = 5;
/** Each thing is timed for so long, in ms. */
const LEAST_MS = 10;

/**
 * Times a codec on normally distributed numbers, for about 50 ms. What is told is wall clock in the mean, so
 * that ranks that share their cores and measure at once find what each will have of these.
 */
export function measureCodec(codec: Codec): CodecCost {
  const random = new Random(1);
  const values = Float32Array.from({ length: FLOATS }, () => 0.01 * random.normal());
  const read = new Float32Array(FLOATS), owed = new Float32Array(FLOATS);
  const bytes = new Uint8Array(codec.bytes(FLOATS)), sum = bytes.slice();
  const sumOf = (inputs: number) => {
    const all = new Array(inputs).fill(bytes);
    return secondsOf(() => sumEncoded(codec, all, FLOATS, sum, owed));
  };
  const encoding = secondsOf(() => encode(codec, values, bytes, owed));
  const decoding = secondsOf(() => decode(codec, bytes, read));
  const one = sumOf(1), several = sumOf(INPUTS), add = Math.max(0, several - one) / (INPUTS - 1);
  return { encode: encoding, add, finish: Math.max(0, one - add), decode: decoding };
}

/**
 * Seconds that a rank whose numbers count works in a compressed sum of so many floats, while nothing travels.
 *
 * @param contributors ranks whose numbers count. @default {all}
 */
export function compressedSeconds(
  cost: CodecCost,
  floats: number,
  ranks: number,
  contributors = ranks,
): number {
  if (ranks === 1) return 0;
  const own = floats / ranks;
  return cost.encode * (floats - own) + cost.add * own * contributors + cost.finish * own +
    cost.decode * floats;
}

/** Seconds a float, in the mean after a first call. */
function secondsOf(act: () => void): number {
  act();
  const start = performance.now();
  let calls = 0, spent = 0;
  for (; spent < LEAST_MS; calls++, spent = performance.now() - start) act();
  return spent / 1000 / calls / FLOATS;
}
