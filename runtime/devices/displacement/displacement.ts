/**
 * How far variables have moved from a point, followed on their device: only bytes that travel leave it.
 *
 * @module
 */

import type { VariableRange } from "../device.ts";

/** The codecs that devices know, by the names and with the bytes of those in `runtime/compression`. */
export type DisplacementFormat = "int8" | "int4" | "mxint8" | "mxint4" | "bf16" | "fp16";

/** What a {@linkcode Displacement} keeps from sum to sum. */
export interface DisplacementState {
  /** The point from which the variables move. */
  readonly reference: Float32Array;
  /** What has been lost and not yet made up for. */
  readonly residual: Float32Array;
  /** The variables as they were held, or the way that they are to be taken. */
  readonly held: Float32Array;
}

/** What an applied sum has come to. */
export interface AppliedSum {
  /** ‖y − r‖₂ with the r after. */
  readonly way: number;
  /** ‖e‖₂ */
  readonly residual: number;
}

/**
 * With x the variables, y these as they were held last, r a point and e a residual, all but x zero at first: y − r + e
 * written in fewer bytes, and the sum of what several have written added to r. Runs on the state may go on between the
 * calls, which take their places among them.
 *
 * Sums, differences, products and quotients have float32's bits on every device, so ranks that apply the same bytes
 * stay alike whatever they compute on. A sum is formed in float32, rounded at each addition, where the CPU's is
 * formed in float64 and rounded once: with more than two ranks the last bit of a sum may depend on its owner's
 * device, before it is encoded. A NaN may have another sign and another payload. Norms are the device's own
 * arithmetic.
 */
export interface Displacement {
  /** Numbers in it. */
  readonly length: number;
  /** r ← x */
  startFrom(): Promise<void>;
  /** y ← x */
  hold(): Promise<void>;
  /**
   * Writes y − r + e; e becomes what is lost of it.
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
   * @param inputs what each rank has written of them; null: nothing; "own": y − r + e as it is
   */
  sum(own: VariableRange, inputs: readonly (Uint8Array | "own" | null)[]): Promise<Uint8Array>;
  /** y − r + e of some numbers, for a sum that is formed elsewhere. */
  reveal(own: VariableRange): Promise<Float32Array>;
  /**
   * What is lost of such a sum becomes e.
   *
   * @param adds whether it is added to e instead, since this rank does not contribute
   */
  lose(own: VariableRange, loss: Float32Array, adds: boolean): Promise<void>;
  /**
   * r ← r + what is written / `by`.
   *
   * @param encoded bytes of all numbers
   * @param by 1 to 32768
   * @param moves whether x and y become that as well
   */
  apply(encoded: Uint8Array, by: number, moves: boolean): Promise<AppliedSum>;
  /**
   * r ← values
   *
   * @param moves whether x becomes that as well
   */
  moveTo(values: Float32Array, moves: boolean): Promise<void>;
  /** y ← r − y: the way to where the point has gone, of variables that have moved on meanwhile. */
  turn(): Promise<void>;
  /** x ← x + y: takes that way. */
  catchUp(): Promise<void>;
  /** Copies r, e and y to the host. */
  read(): Promise<DisplacementState>;
  /** Overwrites r and e, and y if it is given. */
  write(state: Omit<DisplacementState, "held"> & Partial<DisplacementState>): Promise<void>;
}
