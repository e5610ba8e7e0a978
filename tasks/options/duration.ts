/**
 * The kind of option that is a time.
 *
 * @module
 */

import { OptionError, type OptionSpec, real } from "./kinds.ts";

const SECONDS: Record<string, number> = { ms: 1e-3, s: 1, min: 60, h: 3600 };

/** The seconds that a text with a unit names; null if it is no time above 0. */
export function readDuration(text: string): number | null {
  const [, amount, unit] = /^(\d+\.?\d*|\.\d+)(ms|s|min|h)$/.exec(text.trim()) ?? [];
  return unit !== undefined && Number(amount) > 0 ? Number(amount) * SECONDS[unit] : null;
}

/** A time, in code in seconds, on the command line with a unit: 500ms, 2s, 1.5min, 1h. */
export function duration(
  about: { flag: string; help: string; group: string; default: null; defaultText: string },
): OptionSpec<number | null> {
  const spec = real({ ...about, unit: "ms, s, min or h", over: 0, placeholder: "time" });
  return {
    ...spec,
    parse(text) {
      const seconds = readDuration(text);
      if (seconds !== null) return seconds;
      const rule = "a time above 0 such as 500ms, 2s, 1.5min or 1h";
      throw new OptionError({ flag: about.flag, rule, value: text });
    },
  };
}
