/**
 * What ranks go on from when they are more or fewer than those that wrote a checkpoint.
 *
 * Every new rank gets the mean of the old ranks' tensors, summed in float64 in the order of the ranks: where
 * all have the same (outer optimizers, averages over the steps, weights right after a round), that is it; of
 * weights that stand apart it is the average that a round would form; of momenta it is the one that averaged
 * gradients would have left. Of numbers that add up over the ranks each new rank gets an equal part, of largest
 * values the largest, of others the mean.
 *
 * @module
 */

import type { NamedTensor } from "../networks/safetensors.ts";
import { CheckpointError, type StateDict } from "./checkpoint.ts";

/** Numbers that add up over the ranks. */
const SUMS: ReadonlySet<string> = new Set([
  "loop.samples",
  "bytesSent",
  "bytesReceived",
  "plainBytes",
]);

/** Numbers of which the largest counts. */
const MAXIMA: ReadonlySet<string> = new Set([
  "loop.clipPeak",
  "loop.milliseconds",
  "overlap.drift",
  "overlap.bound",
  "tally.peakBytes",
  "tally.maxDrift",
  "tally.driftBound",
]);

/** Sums up the parts of a checkpoint, one after the other. */
export class MergedStates {
  #ranks = 0;
  readonly #tensors = new Map<string, { dims: readonly number[]; sums: Float64Array }>();
  readonly #numbers = new Map<string, number[]>();

  /**
   * Adds the next rank's part, which is not kept.
   *
   * @throws CheckpointError if it has other tensors than those before it
   */
  add({ tensors, numbers }: StateDict): void {
    for (const { name, dims, data } of tensors) {
      const sum = this.#tensors.get(name);
      if (sum && `${sum.dims}` === `${dims}`) {
        for (let i = 0; i < data.length; i++) sum.sums[i] += data[i];
      } else if (this.#ranks === 0) {
        this.#tensors.set(name, { dims, sums: Float64Array.from(data) });
      } else {
        this.#refuse(name);
      }
    }
    if (tensors.length !== this.#tensors.size) this.#refuse("another number of tensors");
    for (const [name, value] of Object.entries(numbers)) {
      const values = this.#numbers.get(name) ?? [];
      this.#numbers.set(name, values);
      values.push(value);
    }
    this.#ranks++;
  }

  #refuse(what: string): never {
    throw new CheckpointError(
      `cannot go on from the checkpoint with another number of ranks: rank ${this.#ranks} has ${what} ` +
        `that rank 0 has not, or of another shape`,
    );
  }

  /** What it comes to; numbers that add up are sums. */
  result(): StateDict {
    const tensors = [...this.#tensors].map(([name, { dims, sums }]): NamedTensor => ({
      name,
      dims,
      data: Float32Array.from(sums, (sum) => sum / this.#ranks),
    }));
    const numbers = [...this.#numbers].map(([name, values]) => {
      const sum = values.reduce((sum, value) => sum + value, 0);
      if (SUMS.has(name)) return [name, sum];
      if (MAXIMA.has(wholeName(name))) return [name, Math.max(...values)];
      // A mean of equal numbers need not be that number.
      const equal = values.every((value) => value === values[0]);
      return [name, equal ? values[0] : sum / values.length];
    });
    return { tensors, numbers: Object.fromEntries(numbers) };
  }
}

/** What a number of a part of the weights is called where there is one part, see `--fragments`. */
const wholeName = (name: string) => name.replace(/\.part\d+$/, "");

/** A rank's numbers: of those that add up an equal part, in whole numbers. */
export function shareOf(
  numbers: StateDict["numbers"],
  rank: number,
  ranks: number,
): StateDict["numbers"] {
  const entries = Object.entries(numbers).map(([name, value]) => [
    name,
    SUMS.has(name)
      ? Math.floor((rank + 1) * value / ranks) - Math.floor(rank * value / ranks)
      : value,
  ]);
  return Object.fromEntries(entries);
}
