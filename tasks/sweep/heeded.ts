import type { Options } from "../options.ts";

type Names = readonly (keyof Options)[];

const OUTER: Names = ["outerLr", "outerMomentum"];
const EVERY_STEP: Names = [
  "interval",
  "syncEvery",
  "average",
  "overlap",
  "participants",
  "clipBy",
  ...OUTER,
];

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
      return [...EVERY_STEP, "ranks", "partition"];
    case "local-sgd":
      return ["clip", "clipBy", "decayClip", ...OUTER];
    case "celgc":
      return OUTER;
    case "episode":
      return ["average", "overlap", "clipBy", ...OUTER];
    case "slowmo":
    case "diloco":
      return ["average", "overlap"];
    default:
      return [];
  }
}
