/**
 * What ties the options of rounds to each other and to others, see `../rules.ts`.
 *
 * @module
 */

import type { OptionName, Options } from "../values.ts";

/** One rule: the options it concerns, and what it has against their values. */
interface AveragingRule {
  readonly concerns: readonly OptionName[];
  check(options: Options): string | null;
}

/** The rules, in the order in which they are asked. */
export const AVERAGING_RULES: readonly AveragingRule[] = [
  {
    concerns: ["syncEvery", "fragments"],
    check: ({ syncEvery, fragments }) =>
      syncEvery !== null && fragments > 1
        ? `--fragments ${fragments} does not go with --sync-every: parts are averaged at steps of their own`
        : null,
  },
  {
    concerns: ["syncEvery", "weigh"],
    check: ({ syncEvery, weigh }) =>
      syncEvery === null && weigh !== "equal"
        ? `--weigh ${weigh} is for rounds by the clock, --sync-every: in others all ranks take as many steps`
        : null,
  },
  ...(["delay", "mix"] as const).map((name): AveragingRule => ({
    concerns: ["overlap", name],
    check: (options) =>
      !options.overlap && options[name] !== null
        ? `--${name} ${
          options[name]
        } says how an average is taken over later: give --overlap as well`
        : null,
  })),
  {
    concerns: ["interval", "delay"],
    check: ({ interval, delay }) =>
      typeof interval === "number" && delay !== null && delay > interval
        ? `--delay ${delay} is longer than --interval ${interval}: an average is taken over before the next round`
        : null,
  },
  {
    concerns: ["averageStates", "fragments"],
    check: ({ averageStates, fragments }) =>
      averageStates && fragments > 1
        ? `--average-states does not go with --fragments ${fragments}: what a rule keeps has no parts`
        : null,
  },
];
