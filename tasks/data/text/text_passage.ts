/**
 * Parts of a text that are read as if they were one.
 *
 * @module
 */

import type { Tokens } from "./tokens.ts";

/** Tokens that follow each other in a text, and the pass in which they are read. */
export interface Stretch {
  readonly pass: number;
  /** The first. */
  readonly start: number;
  /** One past the last. */
  readonly end: number;
}

/** The same tokens in order, each pass after the one before, and what overlaps or touches in one stretch. */
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
export class Passage implements Tokens {
  /** Tokens of all of them. */
  readonly length: number;
  readonly #tokens: Tokens;
  readonly #stretches: readonly Stretch[];
  /** Tokens before each. */
  readonly #before: readonly number[];

  /** @param stretches in their order */
  constructor(tokens: Tokens, stretches: readonly Stretch[]) {
    let length = 0;
    this.#tokens = tokens;
    this.#stretches = stretches;
    this.#before = stretches.map(({ start, end }) => (length += end - start) - (end - start));
    this.length = length;
  }

  /** The tokens from `start` up to, but not, `end`. */
  slice(start: number, end: number): Int32Array {
    const parts = this.stretches(start, end);
    if (parts.length === 1) return this.#tokens.slice(parts[0].start, parts[0].end);
    const all = new Int32Array(Math.max(0, end - start));
    let at = 0;
    for (const { start, end } of parts) {
      all.set(this.#tokens.slice(start, end), at);
      at += end - start;
    }
    return all;
  }

  /** Where the tokens from `start` up to, but not, `end` lie in the text. */
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

  /** Which stretch a token is in. */
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
