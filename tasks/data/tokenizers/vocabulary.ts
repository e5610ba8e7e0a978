/** Ends every line of a text, as in the reference AWD-LSTM code. */
export const END_OF_LINE = "<eos>";

/** Stands for every word that is not in a vocabulary; in the published texts, for every rare one. */
export const UNKNOWN = "<unk>";

/** Words and their numbers, given in the order in which the words are added first. */
export class Vocabulary {
  readonly #ids = new Map<string, number>();
  readonly #words: string[] = [];

  /** Number of different words. */
  get size(): number {
    return this.#words.length;
  }

  /** Every word in a line of its own, in the order of their numbers. */
  lines(): string {
    return this.#words.map((word) => `${word}\n`).join("");
  }

  /** The number of `word`, which is added if it is not known yet. */
  add(word: string): number {
    let id = this.#ids.get(word);
    if (id === undefined) {
      id = this.#words.length;
      this.#words.push(word);
      this.#ids.set(word, id);
    }
    return id;
  }

  /** The number of `word`, or undefined if it is not in the vocabulary. */
  id(word: string): number | undefined {
    return this.#ids.get(word);
  }

  /**
   * The word with number `id`.
   *
   * @throws {RangeError} when there is none
   */
  word(id: number): string {
    const word = this.#words[id];
    if (word === undefined) {
      throw new RangeError(`no word has number ${id}: the vocabulary has ${this.size} words`);
    }
    return word;
  }
}
