/**
 * The part of the table of options that says when ranks average their weights, in which parts, and when they
 * take the averages over.
 *
 * @module
 */

import { takersOf } from "../../../optimizers/registry.ts";
import { WEIGH } from "../../../optimizers/rounds/timed_rounds.ts";
import { duration } from "../duration.ts";
import { choice, GROUPS, integer, real, type Table, toggle } from "../kinds.ts";
import type { AveragingOptions } from "../values.ts";
import { interval } from "./interval.ts";

const { HOW } = GROUPS;

/** Rounds of averaging. */
export const AVERAGING: Table<AveragingOptions> = {
  interval: interval({
    flag: "--interval",
    group: HOW,
    help: "steps between two rounds of averaging, I; or a schedule of them: 1..1000:1,16 is 1 in " +
      "steps 1 to 1000, then 16; qsr:base=4,alpha=0.0175 is max(base, ⌊(α/η)²⌋)",
    unit: "steps",
    default: 4,
  }),
  syncEvery: duration({
    flag: "--sync-every",
    group: HOW,
    help: "average each time so much time has passed, however many steps each rank has taken, " +
      `instead of every I steps (${takersOf("syncEvery").join(", ")}); a rerun gives other bits`,
    default: null,
    defaultText: "rounds by steps",
  }),
  weigh: choice({
    flag: "--weigh",
    group: HOW,
    help:
      "what a rank counts for in rounds by the clock: as much as any other, or for the samples " +
      "(of a text: tokens) that it has learnt from since the round before",
    choices: WEIGH,
    default: WEIGH[0],
  }),
  syncEpochs: toggle({
    flag: "--sync-epochs",
    group: HOW,
    help: "average at the end of each epoch as well, as in the authors' code " +
      `(${takersOf("syncEpochs").join(", ")})`,
  }),
  average: choice({
    flag: "--average",
    group: HOW,
    help:
      "average after the last step of a round, as in the paper, or before its first, as in the " +
      "authors' code",
    choices: ["after", "before"],
    default: "after",
  }),
  fragments: integer({
    flag: "--fragments",
    group: HOW,
    help: "average the weights in this many parts by layers, each every I steps at a step of its " +
      `own: as many bytes, fewer at a time (${takersOf("fragments").join(", ")})`,
    unit: "parts",
    from: 1,
    default: 1,
  }),
  overlap: toggle({
    flag: "--overlap",
    group: HOW,
    help: "go on while a round's average travels and take it over later, in the next round if " +
      `nothing else is said: another algorithm, CoCoD-SGD's (${takersOf("overlap").join(", ")})`,
  }),
  delay: integer({
    flag: "--delay",
    group: HOW,
    help: "with --overlap: steps after which a round's average is taken over, τ",
    unit: "steps",
    from: 1,
    default: null,
    defaultText: "when the next round is due",
  }),
  mix: real({
    flag: "--mix",
    group: HOW,
    help: "with --overlap: take it over as x̄ + α(x − x̄), Streaming DiLoCo's way, where α is the " +
      "share of the rank's own weights x",
    from: 0,
    below: 1,
    default: null,
    defaultText: "x̄ and all that was learnt meanwhile",
  }),
};
