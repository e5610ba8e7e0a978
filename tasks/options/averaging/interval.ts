/**
 * The kind of option that is a number of steps, or a schedule of them.
 *
 * @module
 */

import {
  formatInterval,
  type Interval,
  INTERVAL_FORM,
  parseInterval,
} from "../../../optimizers/rounds/interval.ts";
import { integer, OptionError, type OptionSpec } from "../kinds.ts";

/**
 * A number of steps or a schedule, in code a number or a text. In a sweep commas separate numbers; where a
 * schedule is among the values, semicolons do: `1;4;1..1000:1,16`.
 */
export function interval(
  about: { flag: string; help: string; group: string; unit: string; default: number },
): OptionSpec<Interval> {
  const number = integer({ ...about, from: 1, placeholder: "n|schedule" });
  const isSchedule = (value: unknown): value is Interval =>
    typeof value === "string" && value.includes(":");
  const check = (value: unknown): Interval => {
    if (typeof value === "string" && !isSchedule(value)) {
      throw new OptionError({ flag: about.flag, rule: INTERVAL_FORM, value });
    }
    if (!isSchedule(value)) return number.check(value);
    try {
      return formatInterval(parseInterval(value));
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new OptionError(`${about.flag}: ${error.message}`, { cause: error });
    }
  };
  return {
    ...number,
    commas: (text) => text.includes(":"),
    parse: (text) => Number.isNaN(Number(text)) ? check(text) : number.parse(text),
    check,
  };
}
