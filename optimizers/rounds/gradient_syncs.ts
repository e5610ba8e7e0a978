/**
 * How the steps of a run exchange gradients, which decides the graphs that it needs.
 *
 * @module
 */

import type { Algorithm, Communication } from "../algorithm.ts";

/** The ways in which the first `steps` steps exchange gradients. */
export function gradientSyncs(
  algorithm: Pick<Algorithm, "exchange">,
  steps: number,
): Set<Communication["gradients"]> {
  const syncs = new Set<Communication["gradients"]>();
  for (let t = 1; t <= steps; t++) syncs.add(algorithm.exchange(t).gradients);
  return syncs;
}
