/**
 * What an algorithm is made from.
 *
 * @module
 */

import type { ClipBy } from "./clip_by.ts";
import type { Interval } from "./rounds/interval.ts";
import type { Weigh } from "./rounds/timed_rounds.ts";
import type { OptimizerName, RuleOptions } from "./rule_registry.ts";
import type { UpdateRule } from "./update_rule.ts";

/** What an algorithm is made from; a run's own record of options is one. */
export interface AlgorithmOptions extends RuleOptions {
  /** The update rule. */
  readonly optimizer: OptimizerName;
  /** One of the caller's own. @default {the one that `optimizer` names} */
  readonly rule?: UpdateRule;
  /** I, in steps. */
  readonly interval: number;
  /** Seconds between two rounds that go by the clock; null: every `interval` steps. */
  readonly syncEvery: number | null;
  /** What ranks count for in rounds by the clock. */
  readonly weigh: Weigh;
  /** The side of the step on which a round averages. */
  readonly average: "after" | "before";
  /** Parts in which the weights are averaged. */
  readonly fragments: number;
  /** Whether the average of a round is taken over later. */
  readonly overlap: boolean;
  /** Steps after which it is; null: when the next is due. */
  readonly delay: number | null;
  /** How much of the rank's own weights stays then; null: they keep what they have learnt meanwhile. */
  readonly mix: number | null;
  /** The norm that clips. */
  readonly clipBy: ClipBy;
  /** What holds local steps back towards the start of their round, μ. */
  readonly proximalMu: number;
  /** Learning rate of the step that each round takes; null: the algorithm's own. */
  readonly outerLr: number | null;
  /** Momentum from round to round; null: the algorithm's own. */
  readonly outerMomentum: number | null;
  /** Rounds of a period; null: those after which each rank has had its turn, by the sampling. */
  readonly period: number | null;
  /** What is left after a round of what a rank owes, β. */
  readonly residualDecay: number;
  /** How weights and gradients travel; of what ranks owe, "none" is the algorithm's own way. */
  readonly compress: string;
  /** How the ranks of a round are drawn. */
  readonly sampling: string;
  /** N */
  readonly ranks: number;
}

/** The same, with I as a run has it, which may be a schedule. */
export interface ScheduledOptions extends Omit<AlgorithmOptions, "interval"> {
  /** I, in steps, or its schedule. */
  readonly interval: Interval;
}
