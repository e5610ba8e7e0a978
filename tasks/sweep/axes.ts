/**
 * The axes of a sweep: which options were given several values, in code or on the command line.
 *
 * On the command line a comma separates the values of an axis, unless the option's own values can hold
 * commas (`--partition proportional:10,20`, `--decay-at 80,120`, `--interval 1..1000:1,16`); a semicolon
 * always separates.
 *
 * @module
 */

import { OptionError, type OptionSpec } from "../options/kinds.ts";
import type { Experiment } from "../options/values.ts";
import {
  EXECUTION,
  EXPERIMENT,
  type OptionName,
  OPTIONS,
  type Options,
  PROCESSES,
} from "../options/table.ts";

/** Options that can be axes: what decides a run's numbers, where it computes, and its network. */
const SWEEPABLE = {
  ...EXPERIMENT,
  device: EXECUTION.device,
  threads: EXECUTION.threads,
  link: PROCESSES.link,
} as const;

/** An option that can be an axis, by its name in code. */
export type SweptName = keyof Experiment | "device" | "threads" | "link";

/** Options of which some have several values. */
export type Swept = {
  [K in Exclude<keyof Options, "json" | "quiet">]?: K extends SweptName
    ? Options[K] | readonly Options[K][]
    : Options[K];
};

/** One axis: an option, and the values that it takes in turn. */
export interface Axis {
  readonly name: SweptName;
  /** At least one; no two are the same. */
  readonly values: readonly unknown[];
}

/** Options taken apart into axes and the rest. */
export interface SplitOptions {
  /** In the order of the table of options. */
  readonly axes: readonly Axis[];
  /** Options of one value. */
  readonly fixed: Readonly<Record<string, unknown>>;
}

/**
 * Tells axes from options of one value. An array is an axis; where a value is an array itself, as in
 * `decayAt`, an array of arrays is.
 *
 * @throws OptionError for an axis without values
 */
export function splitAxes(given: Readonly<Record<string, unknown>>): SplitOptions {
  const fixed: Record<string, unknown> = {};
  const axes = new Map<string, Axis>();
  for (const [name, value] of Object.entries(given)) {
    if (!isAxis(name, value)) {
      fixed[name] = value;
      continue;
    }
    if (value.length === 0) throw new OptionError(`${flagOf(name)} must have a value, not []`);
    // Checked here, so that a value which is spelled in two ways counts once.
    const checked = value.map((one) => SWEEPABLE[name as SweptName].check(one));
    const seen = new Map(checked.map((one) => [JSON.stringify(one), one]));
    axes.set(name, { name: name as SweptName, values: [...seen.values()] });
  }
  const order = Object.keys(SWEEPABLE);
  return {
    axes: [...axes.values()].sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name)),
    fixed,
  };
}

function isAxis(name: string, value: unknown): value is unknown[] {
  if (!Object.hasOwn(SWEEPABLE, name) || !Array.isArray(value)) return false;
  const listValued = Array.isArray(SWEEPABLE[name as SweptName].default);
  return !listValued || (value.length > 0 && value.every(Array.isArray));
}

function flagOf(name: string): string {
  return OPTIONS[name as OptionName].flag;
}

/**
 * The options of the command line, of which those that can be axes take several values: one text is
 * read as one value, or as the array of its values.
 */
export function axisOptions(): Record<OptionName, OptionSpec<unknown>> {
  const entries = Object.entries<OptionSpec<unknown>>(OPTIONS)
    .map(([name, spec]) => [name, Object.hasOwn(SWEEPABLE, name) ? axisOption(spec) : spec]);
  return Object.fromEntries(entries);
}

/** The option with a reader of several values. A switch gets the values `on` and `off`. */
export function axisOption(spec: OptionSpec<unknown>): OptionSpec<unknown> {
  const isSwitch = spec.placeholder === null;
  const parseOne = isSwitch ? (text: string) => onOrOff(spec.flag, text) : spec.parse;
  return {
    ...spec,
    ...(isSwitch ? { placeholder: "on,off", bare: true, defaultText: "off" } : {}),
    parse(text) {
      const commas = typeof spec.commas === "function" ? spec.commas(text) : spec.commas;
      const separator = text.includes(";") ? ";" : commas ? null : ",";
      if (separator === null || !text.includes(separator)) return parseOne(text);
      return text.split(separator).map((part) => parseOne(part.trim()));
    },
  };
}

function onOrOff(flag: string, text: string): boolean {
  if (text !== "on" && text !== "off") {
    throw new OptionError({ flag, rule: "on, off or both", value: text });
  }
  return text === "on";
}
