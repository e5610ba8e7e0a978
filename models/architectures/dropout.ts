/**
 * Dropout masks, drawn on the host and fed to the graph: pure functions of (seed, rank, step), so that a
 * run can be replayed, resumed, and followed by another implementation.
 *
 * @module
 */

import type { HostTensor } from "../../runtime/devices/device.ts";
import { Random } from "../../runtime/base/random.ts";
import { sizeOf } from "../tensor.ts";

/** A mask, ready to be fed. */
export type FloatTensor = HostTensor & { readonly type: "float32" };

/** Indices, ready to be fed. */
export type IndexTensor = HostTensor & { readonly type: "int32" };

/** Which masks to draw. */
export interface MaskKey {
  /** The job's. */
  readonly seed: number;
  /** Ranks drop independently of one another. */
  readonly rank: number;
  /** Any count of steps that never repeats. */
  readonly step: number;
}

/** A probability of dropping must be from 0 up to, but not, 1; throws RangeError otherwise. */
export function checkDropout(name: string, probability: number): void {
  if (!(probability >= 0 && probability < 1)) {
    throw new RangeError(
      `dropout ${name} is a probability from 0 up to, but not, 1, not ${probability}`,
    );
  }
}

/**
 * A mask of inverted dropout (Srivastava et al. 2014): each element 0 with the given probability, otherwise
 * 1 / (1 − probability).
 *
 * @param name what is masked; masks of different names are independent
 */
export function dropoutMask(
  name: string,
  dims: readonly number[],
  probability: number,
  { seed, rank, step }: MaskKey,
): FloatTensor {
  const random = new Random(seed, "dropout", name, rank, step);
  const data = new Float32Array(sizeOf(dims));
  const threshold = thresholdOf(probability), kept = 1 / (1 - probability);
  for (let i = 0; i < data.length; i++) data[i] = random.bits() < threshold ? 0 : kept;
  return { type: "float32", dims, data };
}

/** The rows of a matrix that a mask of its rows leaves, in the form of the operator celgc.SelectRows. */
export interface KeptRows {
  /** int32 `[capacity]`: the kept rows, then row 0 as filling. */
  readonly rows: IndexTensor;
  /** int32 `[count]`: where each row lies among `rows`; the last place for a dropped one. */
  readonly positions: IndexTensor;
  /** float32 `[capacity]`: 1 / (1 − probability) for a kept row, 0 for filling. */
  readonly scale: FloatTensor;
}

/**
 * How many places {@linkcode keptRows} needs: the expected number of kept rows, five standard deviations
 * more, and one that is always zero; or all rows and that one.
 */
export function rowCapacity(count: number, probability: number): number {
  const spread = Math.sqrt(count * probability * (1 - probability));
  return Math.min(count, Math.ceil(count * (1 - probability) + 5 * spread)) + 1;
}

/**
 * Draws which rows of a matrix stay, each independently. A draw that leaves more rows than there are places
 * (3 in 10 million) is drawn again.
 *
 * @param count rows of the matrix
 * @param capacity places, one of them always free
 */
export function keptRows(
  name: string,
  count: number,
  probability: number,
  { seed, rank, step }: MaskKey,
  capacity = rowCapacity(count, probability),
): KeptRows {
  const random = new Random(seed, "dropout", name, rank, step);
  const threshold = thresholdOf(probability), kept = 1 / (1 - probability);
  const rows = new Int32Array(capacity), positions = new Int32Array(count);
  const scale = new Float32Array(capacity);
  for (;;) {
    let next = 0;
    for (let row = 0; row < count; row++) {
      const stays = random.bits() >= threshold;
      if (stays && next < capacity - 1) rows[next] = row;
      positions[row] = stays ? next++ : capacity - 1;
    }
    if (next >= capacity) continue;
    rows.fill(0, next);
    scale.fill(kept, 0, next);
    return {
      rows: { type: "int32", dims: [capacity], data: rows },
      positions: { type: "int32", dims: [count], data: positions },
      scale: { type: "float32", dims: [capacity], data: scale },
    };
  }
}

/** 32 random bits are below this with the given probability. */
function thresholdOf(probability: number): number {
  return Math.round(probability * 4294967296);
}
