/**
 * How far variables have moved from a point, followed on their device: only bytes that travel leave it.
 *
 * @module
 */

import type { VariableRange } from "../device.ts";

/** The codecs that devices know, by the names and with the bytes of those in `runtime/compression`. */
export type DisplacementFormat = "int8" | "int4" | "bf16" | "fp16";

/** What a {@linkcode Displacement} keeps from sum to sum. */
export interface DisplacementState {
  /** The point from which the variables move. */
  readonly reference: Float32Array;
  /** What has been lost and not yet made up for. */
  readonly residual: Float32Array;
}

/**
 * With x the variables, r a point and e a residual, both zero at first: x − r + e written in fewer bytes, and the
 * sum of what several have written added to r. One call at a time; each takes its place among the runs on the state, with which it ends.
 *
 * Sums, differences, products and quotients have float32's bits on every device, so ranks that apply the same bytes
 * stay alike whatever they compute on. A sum is formed in float32, rounded at each addition, where the CPU's is
 * formed in float64 and rounded once: with more than two ranks the last bit of a sum may depend on its owner's
 * device, before it is encoded. A NaN may have another sign and another payload. A drift is the device's own
 * arithmetic.
 */
export interface Displacement {
  /** Numbers in it. */
  readonly length: number;
  /** r ← x */
  startFrom(): Promise<void>;
  /**
   * Writes x − r + e; e becomes what is lost of it.
   *
   * @param own numbers that are not written, and of which nothing is lost; they begin and end with a block
   * @returns bytes of all numbers, in the codec's layout; of `own` without meaning
   */
  encode(own: VariableRange): Promise<Uint8Array>;
  /**
   * Writes the sum of what several ranks have written, in their order; what is lost of the sum becomes e, or is
   * added to it where this rank does not contribute.
   *
   * @param own the numbers that it is a sum of, as in {@linkcode Displacement.encode}
   * @param inputs what each rank has written of them; null: nothing; "own": x − r + e as it is
   */
  sum(own: VariableRange, inputs: readonly (Uint8Array | "own" | null)[]): Promise<Uint8Array>;
  /**
   * r ← r + what is written / `by`.
   *
   * @param encoded bytes of all numbers
   * @param by 1 to 32768
   * @param moves whether x becomes that as well
   * @returns ‖x − r‖₂ with the x before and the r after
   */
  apply(encoded: Uint8Array, by: number, moves: boolean): Promise<number>;
  /** Copies r and e to the host. */
  read(): Promise<DisplacementState>;
  /** Overwrites r and e. */
  write(state: DisplacementState): Promise<void>;
}
