import type { Options } from "./table.ts";
import { filesOf, kindOf } from "./defaults.ts";

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
export function ignoredBy(algorithm: string): Names {
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

const TEXTS: Names = [
  "embedding",
  "hidden",
  "layers",
  "dropoutWord",
  "dropoutInput",
  "dropoutHidden",
  "dropoutOutput",
  "dropoutWeight",
  "activationRegularisation",
  "temporalRegularisation",
  "testColumns",
  "evalTokens",
];

/** Options that have no effect on a task: those of a text's network, and of data that is generated. */
export function ignoredByTask(task: Options["task"]): Names {
  return [
    ...kindOf(task) === "images" ? TEXTS : [],
    ...filesOf(task) === null ? [] : ["trainSize", "testSize"] as const,
  ];
}
