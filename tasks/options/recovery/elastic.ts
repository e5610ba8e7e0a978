/**
 * How many ranks a run may have that goes on without those it loses, such as `2..4`.
 *
 * @module
 */

import { OptionError, type OptionSpec, text } from "../kinds.ts";

/** Fewest and most ranks. */
export interface RankLimits {
  readonly least: number;
  readonly most: number;
}

/**
 * Reads such limits.
 *
 * @throws RangeError if they are none
 */
export function parseElastic(value: string): RankLimits {
  const [, least, most] = /^(\d{1,5})\.\.(\d{1,5})$/.exec(value.trim()) ?? [];
  const limits = { least: Number(least), most: Number(most) };
  if (most !== undefined && limits.least >= 1 && limits.least <= limits.most) return limits;
  throw new RangeError(`fewest and most ranks, such as 2..4, the fewest first and at least 1`);
}

/** An option whose values are such limits. */
export function elastic(
  about: Pick<OptionSpec<string | null>, "flag" | "group" | "help">,
): OptionSpec<string | null> {
  return text({
    ...about,
    default: null,
    defaultText: "1 to --ranks",
    placeholder: "min..max",
    normalise(value) {
      try {
        parseElastic(value);
        return value.trim();
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        throw new OptionError({ flag: about.flag, rule: error.message, value });
      }
    },
  });
}
