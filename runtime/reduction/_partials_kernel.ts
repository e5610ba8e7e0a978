/**
 * WebAssembly SIMD kernels that encode exact partial sums and add them up: see `exact_partials.ts` for
 * what they are and `docs/decisions/0014` for why. All lengths are whole blocks.
 *
 * @module
 */

import { assemble } from "../base/wasm.ts";
import { adder } from "./_partials_adder.ts";
import { sumBlock } from "./_partials_block.ts";
import { encoder } from "./_partials_encoder.ts";

export { BLOCK, ENTRY_BYTES, FREE } from "./_partials_block.ts";

/** The kernels on one memory; addresses of tables and data are from {@linkcode FREE} on. */
export interface PartialsKernels {
  /**
   * Encodes the sum of inputs.
   *
   * @param table address of the inputs' addresses
   * @param tableEnd where the table ends
   * @param mostApart how far exponents may be apart for a sum to be exact
   * @returns the address behind what has been written to `out`
   */
  encode(table: number, tableEnd: number, out: number, blocks: number, mostApart: number): number;
  /**
   * Adds inputs and partial sums; writes the numbers of doubtful blocks to `doubts`, and nothing of use
   * to these in `out`.
   *
   * @param errorScale what the rounding errors are at most, over the unit of the greatest exponent field
   * @returns how many are doubtful; −1 if a partial sum is malformed
   */
  sum(
    table: number,
    tableEnd: number,
    partials: number,
    partialsEnd: number,
    out: number,
    blocks: number,
    mostApart: number,
    errorScale: number,
    doubts: number,
  ): number;
}

let compiled: WebAssembly.Module | undefined;

/** The kernels on a memory. */
export function partialsKernels(memory: WebAssembly.Memory): PartialsKernels {
  compiled ??= assemble([sumBlock(), encoder(), adder()]);
  const { exports } = new WebAssembly.Instance(compiled, { env: { memory } });
  return exports as unknown as PartialsKernels;
}
