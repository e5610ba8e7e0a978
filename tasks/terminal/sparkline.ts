/**
 * A curve as one line of text.
 *
 * @module
 */

/** From low to high. */
const SIGNS = "▁▂▃▄▅▆▇█";

/** Values that are summed up in one, and how many. */
interface Bin {
  sum: number;
  count: number;
}

/**
 * A curve of values as they come, the whole of it in a few columns: each is the mean of as many values as the
 * others. Values that are not finite are left out.
 */
export class Sparkline {
  readonly #columns: number;
  #bins: Bin[] = [];
  /** Values that fill a bin. */
  #width = 1;

  /** @param columns the line's length, at most; 2 or more */
  constructor(columns: number) {
    this.#columns = columns;
  }

  /** Adds a value at the end. */
  push(value: number): void {
    if (!Number.isFinite(value)) return;
    const last = this.#bins.at(-1);
    if (last && last.count < this.#width) {
      last.sum += value;
      last.count++;
      return;
    }
    if (this.#bins.length === this.#columns) this.#narrow();
    this.#bins.push({ sum: value, count: 1 });
  }

  /** Half as many bins, each of twice as many values. */
  #narrow(): void {
    const bins: Bin[] = [];
    for (let i = 0; i < this.#bins.length; i += 2) {
      const [a, b = { sum: 0, count: 0 }] = this.#bins.slice(i, i + 2);
      bins.push({ sum: a.sum + b.sum, count: a.count + b.count });
    }
    this.#bins = bins;
    this.#width *= 2;
  }

  /** The line, scaled from the lowest to the highest mean; empty before the second value. */
  toString(): string {
    const means = this.#bins.map(({ sum, count }) => sum / count);
    if (means.length < 2) return "";
    const low = Math.min(...means), range = Math.max(...means) - low;
    return means.map((mean) => {
      const share = range === 0 ? 0 : (mean - low) / range;
      return SIGNS[Math.min(SIGNS.length - 1, Math.floor(share * SIGNS.length))];
    }).join("");
  }
}
