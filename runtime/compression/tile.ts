/**
 * Encodes, decodes and sums arrays of any length, tile by tile, in WebAssembly memory that stays in the cache.
 *
 * @module
 */

import { ARITHMETIC } from "./_arithmetic.ts";
import { assemble, type Func } from "../base/wasm.ts";
import type { Codec, Desk, Kernels } from "./codec.ts";

/** Numbers in a tile; a multiple of every codec's block. */
const TILE = 4096;

/** Where things lie in the memory, in bytes. */
const VALUES = 0, ASIDE = 4 * TILE, SUMS = 8 * TILE, ENCODED = 16 * TILE, SPARE = 22 * TILE;
const SPARE_BYTES = 8 * TILE;
const PAGE_BYTES = 65536;
/** Numbers that the arithmetic takes at once. */
const STEP = 16;

function instantiate(functions: readonly Func[], memory: WebAssembly.Memory): Kernels {
  return new WebAssembly.Instance(assemble(functions), { env: { memory } }).exports as Kernels;
}

const roundUp = (count: number, to: number) => Math.ceil(count / to) * to;

/** The memory in which a process works on one tile after the other. */
export class Tile implements Desk {
  readonly #memory = new WebAssembly.Memory({
    initial: Math.ceil((SPARE + SPARE_BYTES) / PAGE_BYTES),
  });
  readonly #arithmetic = instantiate(ARITHMETIC, this.#memory);
  readonly #kernels = new Map<readonly Func[], Kernels>();
  readonly address = { values: VALUES, sums: SUMS, encoded: ENCODED, spare: SPARE };
  readonly values = new Float32Array(this.#memory.buffer as ArrayBuffer, VALUES, TILE);
  readonly aside = new Float32Array(this.#memory.buffer as ArrayBuffer, ASIDE, TILE);
  /** Float64 sums of the values. */
  readonly sums = new Float64Array(this.#memory.buffer as ArrayBuffer, SUMS, TILE);
  readonly encoded = new Uint8Array(this.#memory.buffer as ArrayBuffer, ENCODED, SPARE - ENCODED);
  readonly spare = new Uint32Array(this.#memory.buffer, SPARE, SPARE_BYTES / 4);
  readonly kernels = (functions: readonly Func[]): Kernels => {
    let kernels = this.#kernels.get(functions);
    if (!kernels) {
      kernels = instantiate(functions, this.#memory);
      this.#kernels.set(functions, kernels);
    }
    return kernels;
  };

  /** values += numbers */
  add(numbers: Float32Array): void {
    this.aside.set(numbers);
    this.#arithmetic.add(ASIDE, VALUES, VALUES + 4 * roundUp(numbers.length, STEP));
  }

  /** aside −= values */
  subtract(count: number): void {
    this.#arithmetic.subtract(VALUES, ASIDE, ASIDE + 4 * roundUp(count, STEP));
  }

  /** The sum begins with the values, or goes on with them. */
  accumulate(count: number, first: boolean): void {
    const kernel = first ? this.#arithmetic.widen : this.#arithmetic.accumulate;
    kernel(VALUES, SUMS, SUMS + 8 * roundUp(count, STEP));
  }

  /** The values become the sum, rounded to float32. */
  round(count: number): void {
    this.#arithmetic.round(SUMS, VALUES, VALUES + 4 * roundUp(count, STEP));
  }
}

let tile: Tile | undefined;

/** Calls `act` with the ranges of the tiles of an array. */
export function forTiles(
  length: number,
  act: (tile: Tile, start: number, end: number) => void,
): void {
  tile ??= new Tile();
  for (let start = 0; start < length; start += TILE) {
    act(tile, start, Math.min(start + TILE, length));
  }
}

/**
 * Writes numbers in fewer bytes.
 *
 * @param out `codec.bytes(values.length)` bytes
 * @param residual is added to the numbers before they are written, and becomes what is lost of them
 */
export function encode(
  codec: Codec,
  values: Float32Array,
  out: Uint8Array,
  residual?: Float32Array,
): void {
  forTiles(values.length, (tile, start, end) => {
    const count = end - start, owed = residual?.subarray(start, end);
    tile.values.set(values.subarray(start, end));
    if (owed) tile.add(owed);
    write(codec, tile, count, out.subarray(codec.bytes(start)), owed);
  });
}

/** Writes a tile's values; `loss` becomes what is lost of them. */
export function write(
  codec: Codec,
  tile: Tile,
  count: number,
  out: Uint8Array,
  loss?: Float32Array,
): void {
  if (loss) tile.aside.set(tile.values.subarray(0, count));
  tile.values.fill(0, count, roundUp(count, codec.block));
  codec.encode(tile, count);
  out.set(tile.encoded.subarray(0, codec.bytes(count)));
  if (!loss) return;
  codec.decode(tile, count);
  tile.subtract(count);
  loss.set(tile.aside.subarray(0, count));
}

/** Reads what {@linkcode encode} has written. */
export function decode(codec: Codec, encoded: Uint8Array, out: Float32Array): void {
  forTiles(out.length, (tile, start, end) => {
    read(codec, tile, encoded, start, end);
    out.set(tile.values.subarray(0, end - start), start);
  });
}

/** Reads a tile's values from what has been written of all. */
export function read(
  codec: Codec,
  tile: Tile,
  encoded: Uint8Array,
  start: number,
  end: number,
): void {
  const bytes = codec.bytes(end - start), at = codec.bytes(start);
  tile.encoded.set(encoded.subarray(at, at + bytes));
  codec.decode(tile, end - start);
}

/**
 * Sums what several ranks have written, in their order, in float64, rounds to float32 once, and writes the sum.
 *
 * @param inputs what was written; null for a rank that contributes nothing; numbers where nothing was lost
 * @param length numbers in each
 * @param out `codec.bytes(length)` bytes
 * @param loss becomes what is lost when the sum is written
 */
export function sumEncoded(
  codec: Codec,
  inputs: readonly (Uint8Array | Float32Array | null)[],
  length: number,
  out: Uint8Array,
  loss?: Float32Array,
): void {
  forTiles(length, (tile, start, end) => {
    const count = end - start;
    let first = true;
    for (const input of inputs) {
      if (input === null) continue;
      if (input instanceof Float32Array) tile.values.set(input.subarray(start, end));
      else read(codec, tile, input, start, end);
      tile.accumulate(count, first);
      first = false;
    }
    if (first) tile.values.fill(0);
    else tile.round(count);
    write(codec, tile, count, out.subarray(codec.bytes(start)), loss?.subarray(start, end));
  });
}
