/**
 * What the ranks of a run print, for one reader: what several of them say alike, such as that the data
 * are damaged, is passed on once.
 *
 * @module
 */

/** The lines of a run's ranks. */
export class RankLines {
  /** The rank that said a line first. */
  readonly #first = new Map<string, number>();
  readonly #say: (line: string) => void;

  /** @param say gets the lines that are passed on, with the rank in front */
  constructor(say: (line: string) => void) {
    this.#say = say;
  }

  /** Takes in a line of a rank. A rank may repeat itself, but not another. */
  take(rank: number, line: string): void {
    const first = this.#first.get(line) ?? rank;
    this.#first.set(line, first);
    if (first === rank) this.#say(`[${rank}] ${line}`);
  }

  /** Passes on what is said of the ranks. */
  pass(line: string): void {
    this.#say(line);
  }

  /** Whether all of these lines have been passed on. */
  has(lines: readonly string[]): boolean {
    return lines.every((line) => this.#first.has(line));
  }
}
