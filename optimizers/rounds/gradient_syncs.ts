/**
 * How the steps of a run exchange gradients, which decides the graphs that it needs.
 *
 * @module
 */

import type { Algorithm, Communication } from "../algorithm.ts";

/** The ways in which the first `steps` steps exchange gradients: all rounds are alike but where I changes. */
export function gradientSyncs(
  { exchange, interval, rounds }: Algorithm,
  steps: number,
): Set<Communication["gradients"]> {
  const syncs = new Set<Communication["gradients"]>();
  const last = rounds ? steps : Math.min(steps, interval ?? 1);
  for (let t = 1; t <= last; t++) syncs.add(exchange(t).gradients);
  return syncs;
}
