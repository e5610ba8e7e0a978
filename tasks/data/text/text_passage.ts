/**
 * Parts of a text that are read as if they were one.
 *
 * @module
 */

import type { Tokens } from "./tokens.ts";

/** Words that follow each other in a text and are read, each to predict the next, and the pass in which they are. */
export interface Stretch {
  readonly pass: number;
  /** The first that is read. */
  readonly start: number;
  /** One past the last that is read: what this one is to predict. */
  readonly end: number;
}

/** The same words in order, each pass after the one before, and what overlaps or touches in one stretch. */
export function joined(stretches: Iterable<Stretch>): Stretch[] {
  const all: Stretch[] = [];
  for (const each of [...stretches].sort((a, b) => a.pass - b.pass || a.start - b.start)) {
    const last = all.at(-1);
    if (last?.pass === each.pass && each.start <= last.end) {
      all[all.length - 1] = { ...last, end: Math.max(last.end, each.end) };
    } else if (each.start < each.end) all.push(each);
  }
  return all;
}

/** Stretches of a text, one after another. */
export class Passage {
  /** Words that are read in all of them. */
  readonly length: number;
  readonly #tokens: Tokens;
  readonly #stretches: readonly Stretch[];
  /** Words before each. */
  readonly #before: readonly number[];

  /** @param stretches in their order */
  constructor(tokens: Tokens, stretches: readonly Stretch[]) {
    let length = 0;
    this.#tokens = tokens;
    this.#stretches = stretches;
    this.#before = stretches.map(({ start, end }) => (length += end - start) - (end - start));
    this.length = length;
  }

  /** All of a text in one stretch. */
  static whole(tokens: Tokens, pass: number): Passage {
    return new Passage(tokens, [{ pass, start: 0, end: tokens.length - 1 }]);
  }

  /**
   * Writes the words from `start` up to, but not, `end` to `input`, and what each is to predict to `target`, beginning
   * at index `at` and `stride` apart.
   */
  copy(
    start: number,
    end: number,
    { input, target, at, stride }: {
      readonly input: Int32Array;
      readonly target: Int32Array;
      readonly at: number;
      readonly stride: number;
    },
  ): void {
    let out = at;
    for (const { start: from, end: to } of this.stretches(start, end)) {
      const words = this.#tokens.slice(from, to + 1);
      for (let i = 1; i < words.length; i++, out += stride) {
        input[out] = words[i - 1];
        target[out] = words[i];
      }
    }
  }

  /** Where the words from `start` up to, but not, `end` lie in the text. */
  stretches(start: number, end: number): Stretch[] {
    const found: Stretch[] = [];
    let i = this.#indexOf(start);
    for (; i < this.#stretches.length && this.#before[i] < end; i++) {
      const before = this.#before[i], { pass, ...all } = this.#stretches[i];
      const from = all.start + Math.max(0, start - before);
      found.push({ pass, start: from, end: Math.min(all.end, all.start + end - before) });
    }
    return found;
  }

  /** Which stretch a word is in. */
  #indexOf(at: number): number {
    let low = 0, high = this.#before.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.#before[middle] <= at) low = middle;
      else high = middle;
    }
    return low;
  }
}
