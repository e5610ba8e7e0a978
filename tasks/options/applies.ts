/**
 * Which options have no effect beside which others: facts that rules, sweeps and reports share.
 *
 * @module
 */

import { ALGORITHMS, isAlgorithm, SELECTIVE_OPTIONS } from "../../optimizers/registry.ts";
import { type OptimizerName, ruleEntry, UPDATE_RULES } from "../../optimizers/rule_registry.ts";
import { descends, type ScheduleName } from "../../optimizers/schedule.ts";
import { type TaskEntry, TASKS } from "./defaults.ts";
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

/** What makes the MLP. */
const MLP: Names = ["layers", "width"];

/** What both language models have. */
const LANGUAGE: Names = ["layers", "vocabulary"];

/** How a text is read. */
const TEXTS: Names = ["bptt", "averaging", "testColumns", "evalTokens"];

/** What is evaluated of images beside their test set. */
const IMAGES: Names = ["trainEval", "validFraction", "augment"];

/** How images of one's own are read. */
const OWN_IMAGES: Names = ["imageSize", "testFraction"];

/** How arrays are read. */
const ARRAYS: Names = ["inputs", "target", "standardise"];

/** How a text of one's own is read. */
const OWN_TEXT: Names = ["tokenizer", "validFraction", "testFraction"];

/** How much data is generated. */
const SIZES: Names = ["trainSize", "testSize"];

/** What decides which weights a network has and how they begin, beside what its files hold. */
export const WEIGHT_OPTIONS: Names = [
  ...["model", "task", "seed", "data", "weights", "dims", "loss", "scale"] as const,
  ...["embedding", "hidden", "heads", "width", "context", "positions"] as const,
  ...LANGUAGE,
  ...["tokenizer", "imageSize", "inputs", "target"] as const,
];

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
  const { files } = TASKS[task], used: Names = USED[task] ?? USED_BY_KIND[TASKS[task].kind];
  const all = new Set<OptionName>([...USED_BY_KIND.text, ...AWD_LSTM, ...GPT, ...LANGUAGE]);
  for (const names of Object.values(USED)) for (const name of names) all.add(name);
  return [...all.difference(new Set(used)), ...files === null ? [] : SIZES];
}

/** What every task of a kind uses of what only some do. */
const USED_BY_KIND: Readonly<Record<TaskEntry["kind"], Names>> = {
  images: [...IMAGES, ...MLP],
  arrays: [],
  text: [...TEXTS, ...LANGUAGE, ...AWD_LSTM, ...GPT],
};

/** What data of one's own use. */
const USED: Readonly<Partial<Record<Options["task"], Names>>> = {
  images: [...IMAGES, ...MLP, ...OWN_IMAGES],
  arrays: ["trainEval", "validFraction", "testFraction", ...MLP, ...ARRAYS],
  text: [...USED_BY_KIND.text, ...OWN_TEXT],
};

const withoutMlp: Names = [...LANGUAGE, ...AWD_LSTM, ...GPT].filter((name) => !MLP.includes(name));

/** Options that have no effect on a network: those that make another, or read a text otherwise. */
export function ignoredByModel(model: Options["model"]): Names {
  switch (model) {
    case "awd-lstm":
      return GPT;
    case "gpt":
      return [...AWD_LSTM, "bptt", "testColumns"];
    case "mlp":
      return withoutMlp;
    default:
      return [...LANGUAGE, ...AWD_LSTM, ...GPT];
  }
}
