import type { Options } from "../options.ts";

const EVERY_STEP = ["interval", "average", "clipBy"] as const;

/**
 * Options that have no effect on an algorithm. Cells that differ in these alone are one cell.
 *
 * @param algorithm as in `--algorithm`
 */
export function unheeded(algorithm: string): readonly (keyof Options)[] {
  switch (algorithm) {
    case "naive-parallel":
      return EVERY_STEP;
    case "single":
      return [...EVERY_STEP, "ranks", "participants", "partition"];
    case "local-sgd":
      return ["clip", "clipBy", "decayClip"];
    default:
      return [];
  }
}
