import type { Codec, Desk } from "./codec.ts";
import { float32 } from "./float32.ts";
import { int8 } from "./int8.ts";

/** Numbers from which the largest are picked; an index has 12 bits. */
const BLOCK = 4096;

/** The bits of 1, and an eighth of an octave. */
const ONE = 0x3f800000, FIRST_STRIDE = 2 ** 20;

/**
 * The ⌈F·n⌉ numbers of largest magnitude of every 4,096 (as in SparseLoCo, 2025, and DeMo, 2024); the rest is read
 * as zeros. Of equal magnitudes the first are taken; NaNs and infinities count as the largest.
 *
 * A block is the numbers, as float32 or by {@linkcode int8}, then their k indices by the code of Elias (1974)
 * and Fano (1971): the ℓ = ⌊log₂(n/k)⌋ low bits of each, then a bit string in which the (index ≫ ℓ) + j-th bit is
 * set for the j-th: k(ℓ + 1) + ⌈n/2^ℓ⌉ bits, whatever they are; about 8.6 an index at F = 0.01.
 *
 * @param millionths F in millionths
 */
export function topk(millionths: number, quantised: boolean): Codec {
  const inner = quantised ? int8 : float32;
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
  // Where the largest of the last block began: what is found does not depend on it, only how soon.
  let guess = ONE;
  return {
    name: `topk:${millionths / 1e6}${quantised ? ":int8" : ""}`,
    code: (quantised ? 6 : 5) | millionths << 4,
    block: BLOCK,
    bytes(count) {
      const rest = count % BLOCK;
      return Math.floor(count / BLOCK) * whole + (rest === 0 ? 0 : blockBytes(rest));
    },
    encode(desk, count) {
      const { values, encoded } = desk, { picks, low, numbers, indices } = shape(count);
      const { picked, least } = largest(desk, count, picks, guess);
      guess = Math.max(1, least);
      for (let j = 0; j < picks; j++) values[j] = values[picked[j]]; // picked[j] ≥ j
      values.fill(0, picks, Math.ceil(picks / inner.block) * inner.block);
      inner.encode(desk, picks);
      const out = encoded.fill(0, numbers, numbers + indices).subarray(numbers);
      for (let j = 0, bit = 0; j < picks; j++) {
        for (let b = 0; b < low; b++, bit++) out[bit >> 3] |= (picked[j] >> b & 1) << (bit & 7);
        const high = picks * low + (picked[j] >> low) + j;
        out[high >> 3] |= 1 << (high & 7);
      }
    },
    decode(desk, count) {
      const { values, encoded } = desk, { picks, low, numbers, indices } = shape(count);
      const bits = encoded.subarray(numbers, numbers + indices);
      const at = (bit: number) => bits[bit >> 3] >> (bit & 7) & 1;
      const picked = new Uint16Array(picks);
      for (let j = 0, high = 0, bit = 0; j < picks && high < 8 * indices; high++) {
        if (at(picks * low + high) === 0) continue;
        let index = high - j << low;
        for (let b = 0; b < low; b++, bit++) index |= at(bit) << b;
        picked[j++] = index;
      }
      inner.decode(desk, picks);
      let end = count;
      for (let j = picks - 1; j >= 0; j--) { // to the back first: picked[j] ≥ j
        const value = values[j];
        values.fill(0, picked[j] + 1, end);
        values[end = picked[j]] = value;
      }
      values.fill(0, 0, end);
    },
  };
}

/** The indices of the largest magnitudes, in increasing order; `guess` is where another block's begin. */
function largest(
  { bits, countAtLeast }: Desk,
  count: number,
  picks: number,
  guess: number,
): { picked: Uint16Array; least: number } {
  // The bits of magnitudes are in the order of the magnitudes: those from `least` on are enough of them.
  let least = 0, tooMuch = 0x7fffffff + 1, enough = count, probe = guess, stride = FIRST_STRIDE;
  while (enough !== picks && tooMuch - least > 1) {
    const found = countAtLeast(probe, count);
    if (found >= picks) [least, enough] = [probe, found];
    else tooMuch = probe;
    // Away from the guess in longer and longer strides, until it lies between two bounds; then by halves.
    const isBetween = least > 0 && tooMuch <= 0x7fffffff;
    const next = least > 0 ? least + stride : tooMuch - stride;
    stride *= 2;
    probe = isBetween || next <= least || next >= tooMuch
      ? least + Math.floor((tooMuch - least) / 2)
      : next;
  }
  let ties = picks;
  if (enough !== picks) ties -= countAtLeast(least + 1, count);
  const picked = new Uint16Array(picks);
  for (let i = 0, j = 0; i < count && j < picks; i++) {
    const magnitude = bits[i] & 0x7fffffff;
    if (magnitude < least || magnitude === least && ties-- <= 0) continue;
    picked[j++] = i;
  }
  return { picked, least };
}
