/**
 * An endless order of samples: one shuffle after another.
 *
 * @module
 */

import { Random } from "../../../runtime/base/random.ts";

/** Shuffles that are kept: samples that are taken over may be of the one before. */
const KEPT = 2;

/** The numbers from 0 to `length` − 1, or the entries of a part, shuffled again and again. */
export class Shuffles {
  /** Those last used, the latest at the end. */
  readonly #kept = new Map<number, Uint32Array>();

  /** @param stream names the draws, with the number of the shuffle behind it */
  constructor(
    readonly length: number,
    readonly seed: number,
    readonly stream: readonly (string | number)[],
    readonly part?: Uint32Array,
  ) {}

  /** What stands at a place in the order, counted from 0. */
  at(place: number): number {
    const which = Math.floor(place / this.length);
    const index = this.#shuffle(which)[place - which * this.length];
    return this.part === undefined ? index : this.part[index];
  }

  #shuffle(which: number): Uint32Array {
    const shuffle = this.#kept.get(which) ??
      new Random(this.seed, ...this.stream, which).permutation(this.length);
    this.#kept.delete(which);
    this.#kept.set(which, shuffle);
    if (this.#kept.size > KEPT) this.#kept.delete(this.#kept.keys().next().value!);
    return shuffle;
  }
}
