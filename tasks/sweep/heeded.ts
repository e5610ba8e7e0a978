import type { Options } from "../options.ts";

type Names = readonly (keyof Options)[];

const OUTER: Names = ["outerLr", "outerMomentum"];
const EVERY_STEP: Names = ["interval", "syncEvery", "average", "clipBy", ...OUTER];

/**
 * Options that have no effect on an algorithm. Cells that differ in these alone are one cell.
 *
 * @param algorithm as in `--algorithm`
 */
export function unheeded(algorithm: string): Names {
  switch (algorithm) {
    case "naive-parallel":
      return EVERY_STEP;
    case "single":
      return [...EVERY_STEP, "ranks", "participants", "partition"];
    case "local-sgd":
      return ["clip", "clipBy", "decayClip", ...OUTER];
    case "celgc":
      return OUTER;
    case "episode":
      return ["average", "clipBy", ...OUTER];
    case "slowmo":
    case "diloco":
      return ["average"];
    default:
      return [];
  }
}
