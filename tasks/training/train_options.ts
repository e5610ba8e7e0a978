/**
 * The options of training with a model and a task of one's own.
 *
 * @module
 */

import { OptionError } from "../options/kinds.ts";
import { resolveOptions } from "../options/resolve.ts";
import { checkRules } from "../options/rules.ts";
import { checkOptions, OPTIONS } from "../options/table.ts";
import type {
  ArrayTaskOptions,
  GptModelOptions,
  ImageOptions,
  InputFileOptions,
  LanguageModelOptions,
  OptionName,
  Options,
  TokenizerOptions,
} from "../options/values.ts";

/**
 * Options that the command line ties to what a task is made of, and that any task can have whose splits and epochs
 * are fit for them.
 */
const FREE = [
  "patience",
  "averagingTrigger",
  "averaging",
] as const satisfies readonly (keyof TrainOptions)[];

/** Options of a run whose model and task are the caller's: without those that name or make others. */
export type TrainOptions = Partial<
  Omit<
    Options,
    | Exclude<keyof LanguageModelOptions, "patience" | "averagingTrigger" | "averaging">
    | keyof GptModelOptions
    | keyof InputFileOptions
    | keyof ImageOptions
    | keyof ArrayTaskOptions
    | keyof TokenizerOptions
    | "preset"
    | "scale"
    | "task"
    | "model"
    | "data"
    | "download"
    | "mirror"
    | "trainSize"
    | "testSize"
    | "labelSmoothing"
  >
>;

/** Those that are left out by name; what a text's network is made of is refused with the task anyway. */
const NAMING = [
  "preset",
  "scale",
  "task",
  "model",
  "loss",
  "dims",
  "weights",
  "imageSize",
  "augment",
  "testFraction",
  "inputs",
  "target",
  "standardise",
  "tokenizer",
  "data",
  "download",
  "mirror",
  "trainSize",
  "testSize",
  "labelSmoothing",
] as const satisfies readonly Exclude<OptionName, keyof TrainOptions>[];

/**
 * Fills in the options for `train(comm, options, { model, task })` with a model and a task of one's own.
 * What names others or makes them is left out; a model of one's own smooths its labels itself. `partition`,
 * `trainEval`, `validFraction` and `augment` are for tasks that read them, as `imageTask` does. The run's
 * `config.json` has the model's name in `own`.
 *
 * @throws OptionError if an option has a value it cannot have, or names a model or a task
 *
 * @example
 * ```ts
 * import { trainOptions } from "./train_options.ts";
 * const { interval, clip } = trainOptions({ ranks: 2, clip: 0.5 });
 * console.assert(interval === 4 && clip === 0.5);
 * ```
 */
export function trainOptions(given: TrainOptions = {}): Options {
  const names: readonly string[] = NAMING,
    wrong = Object.keys(given).find((name) => names.includes(name));
  if (wrong !== undefined) {
    throw new OptionError(
      `${OPTIONS[wrong as OptionName].flag} is for models and tasks that options name, not for ` +
        "those of one's own: take resolveOptions()",
    );
  }
  const entries = Object.entries(given), free: readonly string[] = FREE;
  const others = Object.fromEntries(entries.filter(([name]) => !free.includes(name)));
  const own = checkOptions(Object.fromEntries(entries.filter(([name]) => free.includes(name))));
  const options = { ...resolveOptions(others), ...own };
  const { ema, averagingTrigger, averaging } = options;
  checkRules({ ema, averagingTrigger, averaging }, own);
  return options;
}
