/**
 * What ties the options of a step to each other and to others, see `../rules.ts`.
 *
 * @module
 */

import type { OptionName, Options } from "../values.ts";

/** One rule: the options it concerns, and what it has against their values. */
interface SteppingRule {
  readonly concerns: readonly OptionName[];
  check(options: Options): string | null;
}

/** The rules, in the order in which they are asked. */
export const STEPPING_RULES: readonly SteppingRule[] = [
  {
    concerns: ["loss", "labelSmoothing"],
    check: ({ loss, labelSmoothing }) =>
      labelSmoothing > 0 && loss !== null && loss !== "cross-entropy"
        ? `--label-smoothing is for a cross entropy, not for --loss ${loss}`
        : null,
  },
  {
    concerns: ["ema", "averagingTrigger"],
    check: ({ ema, averagingTrigger }) =>
      ema !== null && averagingTrigger !== null
        ? "--ema and --averaging-trigger both average the weights over the steps: give one of them"
        : null,
  },
  {
    concerns: ["lr", "lrMin"],
    check: ({ lr, lrMin }) =>
      lrMin > lr ? `--lr-min must be at most --lr, ${lr}, not ${lrMin}` : null,
  },
];
