import { ALGORITHMS, BASELINE, isAlgorithm } from "../../optimizers/registry.ts";

/** Where a cell stands on the axes of its sweep. */
export type Place = Readonly<Record<string, unknown>>;

/**
 * Which cell a cell is compared with, among those that agree with it on every axis that both heed:
 *
 * 1. the paper's baseline, naive-parallel;
 * 2. else the same algorithm with I = 1;
 * 3. else a single rank.
 *
 * @param places of all cells that can serve, by anything that identifies them
 * @returns its key; null if there is none
 */
export function findBaseline<K>(cell: Place, places: ReadonlyMap<K, Place>): K | null {
  const alike = [...places].filter(([, place]) => agree(cell, place));
  const rules: ((place: Place) => boolean)[] = [
    ({ algorithm }) => algorithm === BASELINE,
    ({ algorithm, interval }) => interval === 1 && algorithm === cell.algorithm,
    ({ algorithm }) => isAlgorithm(algorithm) && ALGORITHMS[algorithm].ranks === "one",
  ];
  for (const rule of rules) {
    const found = alike.find(([, place]) => rule(place));
    if (found) return found[0];
  }
  return null;
}

/** Axes on which a cell and its baseline differ by their nature. */
const COMPARED = new Set(["algorithm", "interval", "average"]);

function agree(a: Place, b: Place): boolean {
  return Object.keys(a).every((axis) =>
    COMPARED.has(axis) || a[axis] === null || b[axis] === null ||
    JSON.stringify(a[axis]) === JSON.stringify(b[axis])
  );
}
