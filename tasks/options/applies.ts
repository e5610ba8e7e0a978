/**
 * Which options have no effect beside which others: facts that rules, sweeps and reports share.
 *
 * @module
 */

import { ALGORITHMS, isAlgorithm, SELECTIVE_OPTIONS } from "../../optimizers/registry.ts";
import { type OptimizerName, ruleEntry, UPDATE_RULES } from "../../optimizers/rule_registry.ts";
import { descends, type ScheduleName } from "../../optimizers/schedule.ts";
import { TASKS } from "./defaults.ts";
import type { OptionName, Options } from "./values.ts";

type Names = readonly OptionName[];

/** What makes the AWD-LSTM beside its layers. */
const AWD_LSTM: Names = [
  "embedding",
  "hidden",
  "dropoutWord",
  "dropoutInput",
  "dropoutHidden",
  "dropoutOutput",
  "dropoutWeight",
  "activationRegularisation",
  "temporalRegularisation",
];

/** What makes the GPT beside its layers. */
const GPT: Names = ["heads", "width", "context", "positions", "dropout"];

/** What both have. */
const LANGUAGE: Names = ["layers", "vocabulary"];

/** How a text is read. */
const TEXTS: Names = ["bptt", "averaging", "testColumns", "evalTokens"];

/** What is evaluated of images beside their test set. */
const IMAGES: Names = ["trainEval", "validFraction", "augment"];

/** How images of one's own are read. */
const OWN_IMAGES: Names = ["imageSize", "testFraction"];

/** How a text of one's own is read. */
const OWN_TEXT: Names = ["tokenizer", "validFraction", "testFraction"];

/** How much data is generated. */
const SIZES: Names = ["trainSize", "testSize"];

/**
 * Options that have no effect on an algorithm. Cells of a sweep that differ in these alone are one cell.
 *
 * @param algorithm as in `--algorithm`; of another nothing is known, and nothing is ignored
 */
export function ignoredBy(algorithm: string): Names {
  if (!isAlgorithm(algorithm)) return [];
  const { takes, refuses = [] } = ALGORITHMS[algorithm];
  return SELECTIVE_OPTIONS.filter((name) => !takes.includes(name) && !refuses.includes(name));
}

/** Options of update rules that have no effect on one of them. */
export function ignoredByOptimizer(optimizer: OptimizerName): Names {
  const all = new Set(Object.values(UPDATE_RULES).flatMap(({ takes }): Names => takes));
  return [...all.difference(new Set<string>(ruleEntry(optimizer).takes))];
}

/** Options that have no effect on a schedule. */
export function ignoredBySchedule(schedule: ScheduleName): Names {
  const stages: Names = schedule === "step" ? [] : ["decayAt", "decayFactor"];
  return descends(schedule) ? stages : [...stages, "lrMin"];
}

/** Options that have no effect on a task: those of texts on images, of images on texts, and of data that is generated. */
export function ignoredByTask(task: Options["task"]): Names {
  const { kind, files } = TASKS[task];
  const others = kind === "images" ? [...LANGUAGE, ...AWD_LSTM, ...GPT, ...TEXTS] : IMAGES;
  const used: Names = task === "text" ? OWN_TEXT : kind === "text" ? [] : [
    ...IMAGES,
    ...task === "images" ? OWN_IMAGES : [],
  ];
  return [
    ...new Set([...others, ...OWN_TEXT, ...OWN_IMAGES]).difference(new Set(used)),
    ...files === null ? [] : SIZES,
  ];
}

/** Options that have no effect on a network: those that make another, or read a text otherwise. */
export function ignoredByModel(model: Options["model"]): Names {
  switch (model) {
    case "awd-lstm":
      return GPT;
    case "gpt":
      return [...AWD_LSTM, "bptt", "testColumns"];
    default:
      return [...LANGUAGE, ...AWD_LSTM, ...GPT];
  }
}
