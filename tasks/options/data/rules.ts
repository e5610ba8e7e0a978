/**
 * What ties the options of data to each other, see `../rules.ts`.
 *
 * @module
 */

import { TASKS } from "../defaults.ts";
import type { OptionName, Options } from "../values.ts";

/** One rule: the options it concerns, and what it has against their values. */
interface DataRule {
  readonly concerns: readonly OptionName[];
  check(options: Options): string | null;
}

/** The rules, in the order in which they are asked. */
export const DATA_RULES: readonly DataRule[] = [
  {
    concerns: ["task", "data", "download"],
    check: ({ task, data, download }) => {
      const { files, own } = TASKS[task];
      if (own && download) {
        return `--download is for published data sets, --task ${task} is your own: give --data`;
      }
      if (files !== null || (data === null && !download)) return null;
      return `${data === null ? "--download" : "--data"} is for a data set on disk, but --task ` +
        `${task} draws its own; name another, such as --task cifar10`;
    },
  },
  {
    concerns: ["download", "mirror"],
    check: ({ download, mirror }) =>
      mirror.length > 0 && !download
        ? `--mirror ${mirror[0]} is where --download fetches from: give that as well`
        : null,
  },
  {
    concerns: ["task", "data"],
    check: ({ task, data }) => {
      const { files, own } = TASKS[task];
      if (files === null || data !== null) return null;
      return own
        ? `--task ${task} needs --data, ${files}`
        : `--task ${task} needs --data DIR, ${files}, or --download`;
    },
  },
  {
    concerns: ["task", "validFraction", "testFraction"],
    check: ({ task, validFraction, testFraction }) =>
      task === "text" && !(validFraction > 0 && validFraction + testFraction < 1)
        ? "--valid-fraction must be above 0, and with --test-fraction leave something to train on, not " +
          `${validFraction} and ${testFraction}`
        : null,
  },
];
