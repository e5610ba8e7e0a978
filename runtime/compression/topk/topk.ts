import { PICKING } from "./_picking.ts";
import type { Codec, Desk } from "../codec.ts";
import { float32 } from "../float32.ts";
import { int2 } from "./int2.ts";
import { int8 } from "../int8.ts";

/** Numbers from which the largest are picked; an index has 12 bits. */
const BLOCK = 4096;

/** How picked numbers are written, and the low bits of the codec's number. */
const PICKED = {
  float32: { inner: float32, code: 5 },
  int8: { inner: int8, code: 6 },
  int2: { inner: int2, code: 9 },
} as const;

/** The names of these ways. */
export type PickedFormat = keyof typeof PICKED;

/** The way that is meant by the low bits of a codec's number; undefined if there is none. */
export function pickedFormat(code: number): PickedFormat | undefined {
  const formats = Object.keys(PICKED) as PickedFormat[];
  return formats.find((format) => PICKED[format].code === (code & 15));
}

/** The bits of 1. */
const ONE = 0x3f800000;
/** More than the bits of any magnitude. */
const BEYOND = 2 ** 31;
/** Steps of a search: a 32nd of an octave, half of one, and margins below where it begins. */
const FIRST_STRIDE = 2 ** 18,
  LONG_STRIDE = 2 ** 22,
  MARGIN = 2 ** 19,
  NEAREST = 2 ** 8,
  FARTHEST = 2 ** 22;
/** Numbers that kernels look at together. */
const STEP = 16;
/** Where gathered numbers and their indices are in the spare room, behind what a kernel has found. */
const NUMBERS = 64, INDICES = NUMBERS + 4 * (BLOCK + STEP);

/**
 * The ⌈F·n⌉ numbers of largest magnitude of every 4,096 (as in SparseLoCo, 2025, and DeMo, 2024); the rest is read
 * as zeros. Of equal magnitudes the first are taken; NaNs and infinities count as the largest.
 *
 * A block is the numbers, as float32 or by {@linkcode int8} or {@linkcode int2}, then their k indices by the code of Elias (1974)
 * and Fano (1971): the ℓ = ⌊log₂(n/k)⌋ low bits of each, then a bit string in which the (index ≫ ℓ) + j-th bit is
 * set for the j-th: k(ℓ + 1) + ⌈n/2^ℓ⌉ bits, whatever they are; about 8.6 an index at F = 0.01.
 *
 * @param millionths F in millionths
 */
export function topk(millionths: number, picked: PickedFormat): Codec {
  const { inner, code } = PICKED[picked];
  const shape = (count: number) => {
    const picks = Math.ceil(millionths * count / 1e6);
    const low = Math.floor(Math.log2(count / picks));
    const indexBits = picks * (low + 1) + ((count - 1) >> low) + 1;
    return { picks, low, numbers: inner.bytes(picks), indices: Math.ceil(indexBits / 8) };
  };
  const blockBytes = (count: number) => {
    const { numbers, indices } = shape(count);
    return numbers + indices;
  };
  const whole = blockBytes(BLOCK);
  // What is found does not depend on it, only how soon.
  const search = { least: ONE, margin: MARGIN };
  return {
    name: `topk:${millionths / 1e6}${picked === "float32" ? "" : `:${picked}`}`,
    code: code | millionths << 4,
    block: BLOCK,
    bytes(count) {
      const rest = count % BLOCK;
      return Math.floor(count / BLOCK) * whole + (rest === 0 ? 0 : blockBytes(rest));
    },
    encode(desk, count) {
      const { values, encoded, address, kernels } = desk;
      const { picks, low, numbers, indices } = shape(count), { pick, write } = kernels(PICKING);
      const gathered = address.spare + NUMBERS, places = address.spare + INDICES;
      const { found, least, ties } = largest(desk, count, picks, search);
      pick(gathered, places, found, least, ties, address.values);
      values.fill(0, picks, roundUp(picks, inner.block));
      inner.encode(desk, picks);
      encoded.fill(0, numbers, numbers + indices);
      write(places, picks, low, address.encoded + numbers);
    },
    decode(desk, count) {
      const { address: { values, encoded, spare }, kernels } = desk;
      const { picks, low, numbers, indices } = shape(count);
      inner.decode(desk, picks);
      const end = values + 4 * roundUp(count, STEP), bits = encoded + numbers;
      kernels(PICKING).put(values, end, picks, low, bits, bits + indices, spare);
    },
  };
}

const roundUp = (count: number, to: number) => Math.ceil(count / to) * to;

/** Where the search of another block has ended, and how far below this one begins. */
interface Search {
  least: number;
  margin: number;
}

/**
 * Gathers the largest magnitudes, and perhaps some more: how many, from which bits on they are picked, and how many
 * are that have just these.
 */
function largest(
  { address, spare, kernels }: Desk,
  count: number,
  picks: number,
  search: Search,
): { found: number; least: number; ties: number } {
  const { count: countOf, gather } = kernels(PICKING), result = address.spare;
  const numbers = address.spare + NUMBERS, indices = address.spare + INDICES;
  const start = address.values, end = start + 4 * roundUp(count, STEP);
  // The bits of magnitudes are in the order of the magnitudes: `enough` are at least `least`, `few` at least `above`.
  let least = 0, enough = count, above = BEYOND, few = 0;

  // As a rule they begin close to where another block's did, and only few need be looked at more than once.
  const most = 2 * picks + STEP, near = Math.max(1, search.least - search.margin);
  let found = gather(start, end, near, BEYOND - 1, most, numbers, indices);
  const isFew = found < picks, isMany = found >= most, isAll = isFew || isMany;
  if (isFew) [above, few] = [near, found];
  else [least, enough] = [near, found];
  if (isFew) search.margin = Math.min(2 * search.margin, FARTHEST);
  if (isMany) search.margin = Math.max(search.margin / 2, NEAREST);

  const [from, to] = isAll ? [start, end] : [numbers, numbers + 4 * roundUp(found, STEP)];
  // Where there is none at all above, it is looked for from the greatest down.
  const isFar = isFew && found === 0;
  let probe = isFar ? BEYOND - 1 : isFew ? near - FIRST_STRIDE : search.least;
  let stride = isFar ? LONG_STRIDE : FIRST_STRIDE, isBelow = isFew, halves = false;
  while (enough !== picks && above - least > 1) {
    const atLeast = countOf(from, to, Math.max(1, probe), result);
    // Up to the next magnitude, any probe would have found as many: where many are equal, few probes are needed.
    if (atLeast >= picks) [least, enough, isBelow] = [spare[0], atLeast, false];
    else [above, few] = [spare[1] + 1, atLeast];
    if (isBelow) { // away from what is too few in longer and longer strides
      probe = Math.max(least + 1, above - stride);
      stride *= 2;
    } else if (above < BEYOND) {
      // Between two bounds: where it would be if magnitudes were evenly spread, and halfway, by turns.
      const share = halves ? 0.5 : (enough - picks + 0.5) / (enough - few);
      probe = least + Math.max(1, Math.floor(share * (above - least)));
      halves = !halves;
    } else if (isAll) { // far above, most likely
      [probe, stride, isBelow] = [BEYOND - 1, LONG_STRIDE, true];
    } else {
      probe = Math.min(least + stride, BEYOND - 1);
      stride *= 2;
    }
  }
  const ties = enough === picks ? picks : picks - few;
  if (isAll) found = gather(start, end, least, ties, picks, numbers, indices);
  search.least = Math.max(1, least);
  return { found, least, ties };
}
