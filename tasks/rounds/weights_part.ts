/**
 * A part of the weights that is averaged by itself: all of them, or some whole parameters with the running
 * statistics that go with them.
 *
 * @module
 */

/** Floats that lie together in the flat weights. */
export interface Slice {
  /** The first. */
  readonly offset: number;
  /** How many. */
  readonly length: number;
}

/** Some floats of the flat weights, as one piece: trained weights first, then running statistics. */
export class WeightsPart {
  /** How many of its floats are trained: the first. */
  readonly trained: number;
  /** Where these begin in the flat weights. */
  readonly offset: number;
  /** Its floats. */
  readonly length: number;
  /** Where its running statistics lie in the flat weights. */
  readonly statistics: readonly Slice[];
  readonly #slices: readonly Slice[];

  /**
   * @param trained its trained weights
   * @param statistics running statistics that are averaged with them
   */
  constructor(trained: Slice, statistics: readonly Slice[] = []) {
    this.#slices = [trained, ...statistics].reduce(joined, []);
    this.trained = trained.length;
    this.statistics = statistics;
    this.offset = trained.offset;
    this.length = this.#slices.reduce((sum, { length }) => sum + length, 0);
  }

  /** The part of the flat weights: a view if it lies in one piece, else a copy for {@linkcode put}. */
  take(flat: Float32Array): Float32Array {
    const views = this.#slices.map(({ offset, length }) => flat.subarray(offset, offset + length));
    if (views.length === 1) return views[0];
    const values = new Float32Array(this.length);
    let at = 0;
    for (const view of views) {
      values.set(view, at);
      at += view.length;
    }
    return values;
  }

  /** Puts what {@linkcode take} gave, and the caller has changed, to where it belongs. */
  put(values: Float32Array, flat: Float32Array): void {
    if (values.buffer === flat.buffer) return;
    let at = 0;
    for (const { offset, length } of this.#slices) {
      flat.set(values.subarray(at, at + length), offset);
      at += length;
    }
  }
}

/** The slices with one more, which makes the last longer if it follows it. */
function joined(slices: readonly Slice[], next: Slice): Slice[] {
  const last = slices.at(-1);
  if (next.length === 0) return [...slices];
  if (!last || last.offset + last.length !== next.offset) return [...slices, next];
  return [...slices.slice(0, -1), { offset: last.offset, length: last.length + next.length }];
}
