/**
 * Byte-level byte-pair encoding, learnt from a text: the pair of symbols that occurs most often beside each other
 * becomes a symbol, again and again (Sennrich, Haddow, Birch: Neural Machine Translation of Rare Words with
 * Subword Units, ACL 2016; on bytes as in Radford et al. 2019).
 *
 * @module
 */

/** What was learnt. */
export interface BytePairs {
  /** Each pair that became a symbol, in this order: the first makes symbol 256. */
  readonly merges: readonly (readonly [left: number, right: number])[];
}

/** A pair as one number; symbols are below 2²⁴. */
const SHIFT = 2 ** 24;

/**
 * Learns pairs until there are `size` symbols, or no pair occurs twice. A pure function of the words and their
 * counts, in whatever order: of pairs that occur equally often, the one with the smaller symbols is first.
 *
 * @param words how often each word occurs, which no pair reaches across; its bytes as symbols from 0 to 255
 * @param size symbols, the 256 bytes included
 */
export function learnBytePairs(
  words: Iterable<readonly [symbols: readonly number[], count: number]>,
  size: number,
): BytePairs {
  const texts: number[][] = [], counts: number[] = [];
  const pairs = new Map<number, number>(), places = new Map<number, Set<number>>();
  const heap = new Heap();
  const changed = new Set<number>();
  const add = (left: number, right: number, word: number, count: number) => {
    const key = left * SHIFT + right;
    pairs.set(key, (pairs.get(key) ?? 0) + count);
    changed.add(key);
    if (count < 0) return;
    let where = places.get(key);
    if (!where) places.set(key, where = new Set());
    where.add(word);
  };
  const settle = () => {
    for (const key of changed) {
      const count = pairs.get(key)!;
      if (count >= 2) heap.push(count, key);
    }
    changed.clear();
  };
  for (const [symbols, count] of words) {
    const word = texts.push([...symbols]) - 1;
    counts.push(count);
    for (let i = 1; i < symbols.length; i++) add(symbols[i - 1], symbols[i], word, count);
  }
  settle();

  const merges: [number, number][] = [];
  while (256 + merges.length < size) {
    const key = heap.pop((count, key) => pairs.get(key) === count);
    if (key === null) break;
    const left = Math.floor(key / SHIFT), right = key % SHIFT, symbol = 256 + merges.length;
    merges.push([left, right]);
    for (const word of places.get(key)!) {
      const text = texts[word], count = counts[word];
      let to = 0;
      for (let i = 0; i < text.length; i++, to++) {
        if (text[i] !== left || text[i + 1] !== right) {
          text[to] = text[i];
          continue;
        }
        // What is left of `to` is joined already, what is right of `i` is not.
        if (to > 0) {
          add(text[to - 1], left, word, -count);
          add(text[to - 1], symbol, word, count);
        }
        if (i + 2 < text.length) {
          add(right, text[i + 2], word, -count);
          add(symbol, text[i + 2], word, count);
        }
        text[to] = symbol;
        i++;
      }
      text.length = to;
    }
    pairs.delete(key);
    places.delete(key);
    changed.delete(key);
    settle();
  }
  return { merges };
}

/** The pairs by count, the largest first; of equal ones the smaller key. */
class Heap {
  readonly #counts: number[] = [];
  readonly #keys: number[] = [];

  push(count: number, key: number): void {
    let at = this.#counts.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#before(count, key, parent)) break;
      this.#move(parent, at);
      at = parent;
    }
    this.#counts[at] = count;
    this.#keys[at] = key;
  }

  /** The first that is still as `isCurrent` has it; what comes before it is dropped. Null if none is. */
  pop(isCurrent: (count: number, key: number) => boolean): number | null {
    while (this.#counts.length > 0) {
      const count = this.#counts[0], key = this.#keys[0];
      this.#drop();
      if (isCurrent(count, key)) return key;
    }
    return null;
  }

  #drop(): void {
    const count = this.#counts.pop()!, key = this.#keys.pop()!, size = this.#counts.length;
    if (size === 0) return;
    let at = 0;
    while (2 * at + 1 < size) {
      let child = 2 * at + 1;
      if (child + 1 < size && this.#before(this.#counts[child + 1], this.#keys[child + 1], child)) {
        child++;
      }
      if (this.#before(count, key, child)) break;
      this.#move(child, at);
      at = child;
    }
    this.#counts[at] = count;
    this.#keys[at] = key;
  }

  #before(count: number, key: number, at: number): boolean {
    return count > this.#counts[at] || count === this.#counts[at] && key < this.#keys[at];
  }

  #move(from: number, to: number): void {
    this.#counts[to] = this.#counts[from];
    this.#keys[to] = this.#keys[from];
  }
}
