/**
 * Draws from the symmetric Dirichlet distribution.
 *
 * @module
 */

import type { Random } from "./random.ts";

/**
 * Logarithm of a Gamma(shape, 1) variate (Marsaglia and Tsang 2000; for shapes below 1 their boost by a
 * power of a uniform, kept as a logarithm because it underflows at small shapes).
 */
function logGamma(random: Random, shape: number): number {
  if (shape < 1) {
    return logGamma(random, shape + 1) + Math.log(1 - random.uniform()) / shape;
  }
  const d = shape - 1 / 3, c = 1 / Math.sqrt(9 * d);
  while (true) {
    const x = random.normal(), v = (1 + c * x) ** 3;
    if (v <= 0) continue;
    if (Math.log(1 - random.uniform()) < 0.5 * x * x + d - d * v + d * Math.log(v)) {
      return Math.log(d * v);
    }
  }
}

/** A draw from the symmetric Dirichlet distribution: `size` numbers of at least 0 that sum to 1. */
export function dirichlet(random: Random, alpha: number, size: number): number[] {
  const logs = Array.from({ length: size }, () => logGamma(random, alpha));
  const top = Math.max(...logs);
  const weights = logs.map((log) => Math.exp(log - top));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / sum);
}
