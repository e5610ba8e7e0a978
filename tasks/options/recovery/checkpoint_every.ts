/**
 * The kind of option that is a number of steps, or a time.
 *
 * @module
 */

import { readDuration } from "../duration.ts";
import { integer, OptionError, type OptionSpec } from "../kinds.ts";

/** Steps, or a time such as `10min`. */
export type StepsOrTime = number | string;

/** A number of steps or a time, in code a number or a text with a unit; none by default. */
export function stepsOrTime(
  about: { flag: string; help: string; group: string },
): OptionSpec<StepsOrTime | null> {
  const common = { ...about, unit: "steps, or ms, s, min or h", placeholder: "n|time" };
  const number = integer({ ...common, from: 1, default: null, defaultText: "never" });
  const check = (value: unknown): StepsOrTime | null => {
    if (typeof value !== "string") return number.check(value);
    const text = value.trim();
    if (readDuration(text) !== null) return text;
    const rule = "a whole number of steps from 1, or a time such as 30s, 10min or 1h";
    throw new OptionError({ flag: about.flag, rule, value });
  };
  return {
    ...number,
    parse: (text) => check(/^\d+$/.test(text.trim()) ? Number(text) : text),
    check,
  };
}

/** Seconds of a value that is a time; null of one that is a number of steps, or none. */
export function secondsOf(value: StepsOrTime | null): number | null {
  return typeof value === "string" ? readDuration(value) : null;
}
