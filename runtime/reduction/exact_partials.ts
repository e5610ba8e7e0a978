/**
 * Sums of some ranks' float32 inputs, in few bytes and without loss.
 *
 * A sum of N float32 values in float64 has no rounding error, in whatever order they are added, if all
 * are multiples of one power of two q and their magnitudes together stay below 2⁵³q. A float32 of
 * exponent e is a multiple of 2^(e−23), so 24 + ⌈log₂N⌉ bits more than the exponents are apart do. Of
 * 64 neighbouring elements on all ranks this is nearly always true; then partial sums may be made
 * anywhere, and the sum of them, rounded once, has the bits of the sum in the order of ranks.
 *
 * Elements go in blocks of 64. A block has a unit, a power of two by which its greatest sum takes 31
 * bits; every sum goes as a signed number of units in 32 bits, rounded down. Few sums have bits behind
 * the unit: those of small numbers, 1 or 2 in a hundred among the sums of two that are normally
 * distributed. These are exceptions, which follow with what is missing in 16 or 32 bits each. A block
 * whose sum is not certainly exact goes as its inputs.
 *
 *     block      head, numbers of units (64 × int32), exceptions, up to a multiple of 4 bytes
 *     head       format, greatest and least exponent field of the inputs (0 if all are 0), unit u; a byte each
 *     format     c + (0 or 128): c exceptions, 2 or 4 bytes long; 126: inputs; 127: all is 0, nothing follows
 *     unit       2^(u−150), as of a float32 with the exponent field u
 *     exception  index of the element + 64 × (what is missing in 2^−10 or 2^−26 units; 0: the sum is −0)
 *
 * A block that is not certainly exact when all is added is summed nevertheless: an element of it counts
 * as known if all that the rounding errors can come to leaves its float32 the same, and is asked for
 * otherwise. (The idea of a sum by exponents: Demmel and Nguyen, Parallel Reproducible Summation, IEEE
 * Trans. Comp. 64(7), 2015; theirs rounds every input first and so has other bits than a plain sum.)
 *
 * @module
 */

import {
  BLOCK,
  ENTRY_BYTES,
  FREE,
  type PartialsKernels,
  partialsKernels,
} from "./_partials_kernel.ts";

export { BLOCK };

/** Bytes of a block's float32 and of its head, and of the longest exceptions it can have. */
const BLOCK_BYTES = 4 * BLOCK, HEAD_BYTES = 4, EXCEPTION_BYTES = 4 * BLOCK;
/** Bits of a float32's significand, and of a float64's. */
const SINGLE_BITS = 24, DOUBLE_BITS = 53;
/** A page of WebAssembly memory in bytes. */
const PAGE_BYTES = 65536;

/** How far exponents of so many inputs may be apart for every sum of them to be exact. */
const mostApart = (ranks: number) => DOUBLE_BITS - SINGLE_BITS - Math.ceil(Math.log2(ranks));

/**
 * What two sums of N values in different orders can differ by, over 2^(e−150) for the greatest exponent
 * field e: each of fewer than 3N additions is wrong by 2⁻⁵³ of a sum that is below N · 2^(e−126).
 */
const errorScale = (ranks: number) => ranks * ranks * 2 ** (UNIT_TO_SUM + 2 - DOUBLE_BITS);
const UNIT_TO_SUM = 150 - 126;

/** Memory that calls work in, one after the other. */
let memory: WebAssembly.Memory | undefined;
let kernels: PartialsKernels;

/** The kernels' memory, of at least so many bytes. */
function room(bytes: number): ArrayBuffer {
  if (memory === undefined) {
    memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / PAGE_BYTES) });
    kernels = partialsKernels(memory);
  }
  const missing = bytes - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / PAGE_BYTES));
  return memory.buffer as ArrayBuffer; // not a shared one
}

/** Lays out parts of the memory one after the other. */
class Layout {
  size = FREE;
  take(bytes: number): number {
    const at = this.size;
    this.size += Math.ceil(bytes / 16) * 16;
    return at;
  }
}

/** Copies inputs of one length behind each other, in whole blocks, and their addresses to a table. */
function putInputs(
  buffer: ArrayBuffer,
  table: number,
  at: number,
  inputs: readonly Float32Array[],
): void {
  const { length } = inputs[0], whole = Math.ceil(length / BLOCK) * BLOCK;
  const addresses = new Uint32Array(buffer, table, inputs.length);
  for (const [k, input] of inputs.entries()) {
    addresses[k] = at + 4 * whole * k;
    const target = new Float32Array(buffer, addresses[k], whole);
    target.set(input);
    target.fill(0, length);
  }
}

/**
 * Encodes the sum of at least two inputs of one length, at least one element.
 *
 * @param take gives memory for so many bytes, from a word of its buffer on
 */
export function encodePartial(
  inputs: readonly Float32Array[],
  take: (length: number) => Uint8Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer> {
  const [{ length }] = inputs, ranks = inputs.length;
  const blocks = Math.ceil(length / BLOCK), layout = new Layout();
  const table = layout.take(4 * ranks), data = layout.take(blocks * BLOCK_BYTES * ranks);
  const longest = HEAD_BYTES + Math.max(ranks * BLOCK_BYTES, BLOCK_BYTES + EXCEPTION_BYTES);
  const out = layout.take(blocks * longest);
  const buffer = room(layout.size);
  putInputs(buffer, table, data, inputs);
  const end = kernels.encode(table, table + 4 * ranks, out, blocks, mostApart(ranks));
  const partial = take(end - out);
  partial.set(new Uint8Array(buffer, out, end - out));
  return partial;
}

/** A partial sum of some ranks. */
export interface Partial {
  /**
   * What {@linkcode encodePartial} has made, beginning on a word of its buffer; of a single rank the input
   * itself.
   */
  readonly bytes: Uint8Array;
  /** How many inputs are in it. */
  readonly ranks: number;
}

/**
 * Adds inputs and partial sums and rounds once: the bits of the sum of all ranks' inputs in their order,
 * in float64, rounded once.
 *
 * @param inputs at least one
 * @param out may be one of `inputs`; at least one element
 * @returns numbers of the blocks for which that is not certain; there `out` is as it was
 * @throws RangeError if a partial sum is none of so many elements
 */
export function sumPartials(
  inputs: readonly Float32Array[],
  partials: readonly Partial[],
  out: Float32Array,
): number[] {
  const { length } = out, blocks = Math.ceil(length / BLOCK), layout = new Layout();
  const single = partials.filter(({ ranks }) => ranks === 1).map((partial) =>
    floatsOf(partial, length)
  );
  const addends = [...inputs, ...single], encoded = partials.filter(({ ranks }) => ranks > 1);
  const all = encoded.reduce((sum, { ranks }) => sum + ranks, addends.length);
  const table = layout.take(4 * addends.length),
    entries = layout.take(ENTRY_BYTES * encoded.length);
  const doubts = layout.take(4 * blocks), sums = layout.take(blocks * BLOCK_BYTES);
  const data = layout.take(blocks * BLOCK_BYTES * addends.length);
  const places = encoded.map(({ bytes }) => layout.take(bytes.length));
  const buffer = room(layout.size);
  putInputs(buffer, table, data, addends);
  const list = new Uint32Array(buffer, entries, ENTRY_BYTES / 4 * encoded.length);
  encoded.forEach(({ bytes, ranks }, i) => {
    new Uint8Array(buffer).set(bytes, places[i]);
    list.set([places[i], places[i] + bytes.length, ranks], ENTRY_BYTES / 4 * i);
  });
  const found = kernels.sum(
    ...[table, table + 4 * addends.length] as const,
    ...[entries, entries + ENTRY_BYTES * encoded.length] as const,
    ...[sums, blocks, mostApart(all), errorScale(all), doubts] as const,
  );
  encoded.forEach(({ bytes, ranks }, i) => {
    if (found >= 0 && list[ENTRY_BYTES / 4 * i] === places[i] + bytes.length) return;
    throw new RangeError(
      `cannot add ${bytes.length} bytes: they are no partial sum of ${ranks} × ${length} floats`,
    );
  });
  const doubtful = [...new Uint32Array(buffer, doubts, found)];
  const results = new Float32Array(buffer, sums, length);
  let from = 0;
  for (const block of [...doubtful, blocks]) {
    if (from < block * BLOCK) out.set(results.subarray(from, block * BLOCK), from);
    from = (block + 1) * BLOCK;
  }
  return doubtful;
}

/** A single rank's input, which goes as it is. */
function floatsOf({ bytes }: Partial, length: number): Float32Array {
  if (bytes.length !== 4 * length) {
    throw new RangeError(`cannot add ${bytes.length} bytes: they are not ${length} floats`);
  }
  return new Float32Array(bytes.buffer, bytes.byteOffset, length);
}
