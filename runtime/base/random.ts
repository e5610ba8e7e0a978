/**
 * Counter-based random numbers: pure functions of a seed and a position, so that every rank, and every
 * rerun, draws the same numbers without sharing a state.
 *
 * Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel Random Numbers: As Easy as 1, 2, 3, SC 2011).
 *
 * @module
 */

const { imul } = Math;

/** High 32 bits of the product of an unsigned constant, given in halves, and b; 32-bit integers throughout. */
function mulhi(high: number, low: number, b: number): number {
  const bl = b & 0xffff, bh = b >>> 16;
  // Neither sum exceeds 2^32 − 1, so none loses a carry.
  const lower = (imul(high, bl) + (imul(low, bl) >>> 16)) | 0;
  const middle = (imul(low, bh) + (lower & 0xffff)) | 0;
  return (imul(high, bh) + (lower >>> 16) + (middle >>> 16)) | 0;
}

/** Ten rounds of Philox4x32 in place: `c` holds the 128-bit counter, then the result; `k` is the key. */
export function philox4x32(c: Uint32Array, k0: number, k1: number): void {
  let c0 = c[0] | 0, c1 = c[1] | 0, c2 = c[2] | 0, c3 = c[3] | 0;
  k0 |= 0;
  k1 |= 0;
  for (let round = 0; round < 10; round++) {
    const h0 = mulhi(0xD251, 0x1F53, c0), l0 = imul(0xD2511F53, c0);
    const h1 = mulhi(0xCD9E, 0x8D57, c2), l1 = imul(0xCD9E8D57, c2);
    c0 = h1 ^ c1 ^ k0;
    c1 = l1;
    c2 = h0 ^ c3 ^ k1;
    c3 = l0;
    k0 = (k0 + 0x9E3779B9) | 0;
    k1 = (k1 + 0xBB67AE85) | 0;
  }
  c[0] = c0;
  c[1] = c1;
  c[2] = c2;
  c[3] = c3;
}

/**
 * A stream of random numbers that is a pure function of its key.
 *
 * @example
 * ```ts
 * import { Random } from "./random.ts";
 * const a = new Random(7, "dropout", 3, 41), b = new Random(7, "dropout", 3, 41);
 * console.assert(a.uniform() === b.uniform());
 * ```
 */
export class Random {
  readonly #k0: number;
  readonly #k1: number;
  readonly #hi: number;
  readonly #block = new Uint32Array(4);
  #counter = 0;
  #left = 0;

  /**
   * Begins the stream of that name.
   *
   * @param seed the job's seed, an integer of at most 53 bits
   * @param stream what the numbers are for: names and integers such as ("augment", rank, step)
   */
  constructor(seed: number, ...stream: (string | number)[]) {
    if (!Number.isSafeInteger(seed)) throw new RangeError(`a seed is a safe integer, not ${seed}`);
    // The key is the seed; the stream's parts are absorbed one after another through the cipher.
    const state = new Uint32Array([0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344]);
    const k0 = seed >>> 0, k1 = Math.floor(seed / 4294967296) >>> 0;
    const absorb = (lo: number, hi: number) => {
      state[0] ^= lo;
      state[1] ^= hi;
      philox4x32(state, k0, k1);
    };
    for (const part of stream) {
      if (typeof part === "number") {
        absorb(part >>> 0, Math.floor(part / 4294967296) >>> 0);
      } else {
        for (let i = 0; i < part.length; i++) absorb(part.charCodeAt(i), 0x10000 + i);
      }
      absorb(typeof part === "number" ? 1 : 2, 0xffffffff);
    }
    if (stream.length === 0) absorb(0, 0); // one without a name depends on the seed as well
    [this.#k0, this.#k1, this.#hi] = state;
  }

  /** The next 32 random bits, as an unsigned integer. */
  bits(): number {
    if (this.#left === 0) {
      const block = this.#block;
      block[0] = this.#counter >>> 0;
      block[1] = Math.floor(this.#counter / 4294967296) >>> 0;
      block[2] = this.#hi;
      block[3] = 0;
      philox4x32(block, this.#k0, this.#k1);
      this.#counter++;
      this.#left = 4;
    }
    return this.#block[4 - this.#left--];
  }

  /** Uniform in [0, 1), with 53 random bits. */
  uniform(): number {
    const hi = this.bits() >>> 5, lo = this.bits() >>> 6;
    return (hi * 67108864 + lo) / 9007199254740992;
  }

  /** A uniform integer in [0, bound), without modulo bias (Lemire 2019, by rejection). */
  integer(bound: number): number {
    if (!Number.isInteger(bound) || bound < 1 || bound > 4294967296) {
      throw new RangeError(`a bound is an integer from 1 to 2^32, not ${bound}`);
    }
    const limit = 4294967296 - (4294967296 % bound);
    let x = this.bits();
    while (x >= limit) x = this.bits();
    return x % bound;
  }

  /** Standard normal (Box and Muller 1958). */
  normal(): number {
    const u = 1 - this.uniform();
    return Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * this.uniform());
  }

  /** A random permutation of 0 … n−1 (Fisher and Yates). */
  permutation(n: number): Uint32Array {
    const order = new Uint32Array(n).map((_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      const swap = order[i];
      order[i] = order[j];
      order[j] = swap;
    }
    return order;
  }
}
