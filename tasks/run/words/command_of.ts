/**
 * From a run's options back to the command line that gives them.
 *
 * @module
 */

import { defaultsOf } from "../../options/defaults.ts";
import { scaleOptions } from "../../options/scale.ts";
import { EXPERIMENT, type OptionName, OPTIONS, type Options } from "../../options/table.ts";

/** Options that decide what the others are where nothing is said of them; they come first. */
const DECIDING = ["preset", "task", "scale", "model", "algorithm"] as const;

/** Options beside those of the experiment that decide a run's numbers. */
const BESIDE = ["device"] as const satisfies readonly OptionName[];

/**
 * The arguments of `launch` that give a run's numbers: what is left out is the default. Of where and how
 * its processes run they say nothing, nor where its data lies.
 *
 * @param options as resolved
 */
export function argumentsOf(options: Options): string[] {
  const { preset, task, scale } = options;
  const plain = defaultsOf({ preset, task });
  const base: Options = scaleOptions({ ...plain, scale }, { preset, task, scale });
  const fallbacks: Partial<Options> = { ...base, preset: null, scale: 1, task: plainTask(preset) };
  const names = new Set<OptionName>([
    ...DECIDING,
    ...Object.keys(EXPERIMENT) as OptionName[],
    ...BESIDE,
  ]);
  return [...names].flatMap((name) => {
    const value = options[name], { flag, placeholder } = OPTIONS[name];
    if (JSON.stringify(value) === JSON.stringify(fallbacks[name]) || value == null) return [];
    if (placeholder === null) return value === true ? [flag] : [];
    return [flag, Array.isArray(value) ? value.join(",") : String(value)];
  });
}

/** The task of a preset, or where nothing is said. */
const plainTask = (preset: Options["preset"]) => defaultsOf({ preset }).task;

/** Arguments as a shell takes them. */
export function quoteArguments(args: readonly string[]): string {
  return args.map((arg) => /^[\w.,:/+=@%-]+$/.test(arg) ? arg : `'${arg.replaceAll("'", `'\\''`)}'`)
    .join(" ");
}
