/**
 * The part of the table of options that says what becomes of a run when ranks are lost.
 *
 * @module
 */

import { duration } from "../duration.ts";
import { elastic } from "./elastic.ts";
import { choice, GROUPS, integer, type Table, text } from "../kinds.ts";
import type { RecoveryOptions } from "../values.ts";

const { RUN } = GROUPS;

/** What becomes of a run that loses ranks. */
export const RECOVERY: Table<RecoveryOptions> = {
  onFailure: choice({
    flag: "--on-failure",
    group: RUN,
    help:
      "what becomes of a run that loses a rank: it ends, all of it starts again from the last checkpoint, " +
      "or the others go on without it (shrink)",
    choices: ["stop", "restart", "shrink"],
    default: "stop",
  }),
  elastic: elastic({
    flag: "--elastic",
    group: RUN,
    help:
      "fewest and most ranks of a run that goes on without those it loses, such as 2..4: those that are lost " +
      "are started again, and come back with the average, and other hosts may join; with fewer it stops, with a " +
      "checkpoint. Implies " +
      "--on-failure shrink",
  }),
  maxRestarts: integer({
    flag: "--max-restarts",
    group: RUN,
    help:
      "how often in a row a run starts again without having come further, with --on-failure restart, which " +
      "this option implies; with --elastic, how often a rank does",
    unit: "times",
    from: 0,
    default: 3,
  }),
  maxWait: duration({
    flag: "--max-wait",
    group: RUN,
    help:
      "how long ranks that come to a round wait for the rest once half of them are there; who " +
      "is later is left out, and comes back with an average",
    default: null,
    defaultText: "as long as it takes",
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
