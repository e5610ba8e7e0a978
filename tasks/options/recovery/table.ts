/**
 * The part of the table of options that says what becomes of a run when ranks are lost.
 *
 * @module
 */

import { choice, GROUPS, integer, type Table, text } from "../kinds.ts";
import type { RecoveryOptions } from "../values.ts";

const { RUN } = GROUPS;

/** What becomes of a run that loses ranks. */
export const RECOVERY: Table<RecoveryOptions> = {
  onFailure: choice({
    flag: "--on-failure",
    group: RUN,
    help:
      "what becomes of a run that loses a rank: it ends, or all of it starts again from the last checkpoint",
    choices: ["stop", "restart"],
    default: "stop",
  }),
  maxRestarts: integer({
    flag: "--max-restarts",
    group: RUN,
    help:
      "how often a run starts again without having come further, with --on-failure restart, which " +
      "this option implies",
    unit: "times",
    from: 0,
    default: 3,
  }),
  replay: text({
    flag: "--replay",
    group: RUN,
    help:
      "run the run in this folder again, with its own options and the ranks that it had when: those " +
      "that it lost take no part from the same round on",
    default: null,
    defaultText: "none",
    placeholder: "dir",
  }),
};
