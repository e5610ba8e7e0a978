import { ALGORITHMS, BASELINE, isAlgorithm } from "../../optimizers/registry.ts";

/** A run's value on each axis in which the runs that are compared differ; null where none applies. */
export type Coordinates = Readonly<Record<string, unknown>>;

/**
 * Which cell a cell is compared with, among those that agree with it on every axis that applies to both:
 *
 * 1. the paper's baseline, naive-parallel;
 * 2. else the same algorithm with I = 1;
 * 3. else a single rank.
 *
 * @param candidates the coordinates of all cells that can serve, by anything that identifies them
 * @returns its key; null if there is none
 */
export function findBaseline<K>(
  cell: Coordinates,
  candidates: ReadonlyMap<K, Coordinates>,
): K | null {
  const alike = [...candidates].filter(([, other]) => agree(cell, other));
  const rules: ((candidate: Coordinates) => boolean)[] = [
    ({ algorithm }) => algorithm === BASELINE,
    ({ algorithm, interval }) => interval === 1 && algorithm === cell.algorithm,
    ({ algorithm }) => isAlgorithm(algorithm) && ALGORITHMS[algorithm].ranks === "one",
  ];
  for (const rule of rules) {
    const found = alike.find(([, candidate]) => rule(candidate));
    if (found) return found[0];
  }
  return null;
}

/** Axes on which a cell and its baseline differ by their nature. */
const COMPARED = new Set(["algorithm", "interval", "average"]);

function agree(a: Coordinates, b: Coordinates): boolean {
  return Object.keys(a).every((axis) =>
    COMPARED.has(axis) || a[axis] === null || b[axis] === null ||
    JSON.stringify(a[axis]) === JSON.stringify(b[axis])
  );
}
