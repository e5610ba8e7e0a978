/**
 * Every update rule, in one table: what `--optimizer` may be, how each is made from a run's options, which
 * of them it takes, and its own values where nothing is said. Whoever asks what a rule is asks here; a rule
 * is one file in `update_rules/` and one entry.
 *
 * @module
 */

import type { NoDecay, UpdateRule } from "./update_rule.ts";
import { adam, adamW } from "./update_rules/adam.ts";
import { sgd } from "./update_rules/sgd.ts";

/** All that a rule is made from, by the names of a run's options. */
export interface RuleOptions {
  /** Momentum μ; 0 keeps no buffer. */
  readonly momentum: number;
  /** Dampening of the momentum, from 0 to 1. */
  readonly dampening: number;
  /** Whether the momentum is Nesterov's. */
  readonly nesterov: boolean;
  /** Weight decay λ. */
  readonly weightDecay: number;
  /** Which parameters do not decay. */
  readonly noDecay: NoDecay;
  /** β₁: how much of its mean of gradients a rule keeps from step to step. */
  readonly beta1: number;
  /** β₂: how much of its mean of their squares. */
  readonly beta2: number;
  /** ε: what keeps a division by a root of that finite. */
  readonly eps: number;
}

/** An option that not every rule takes. */
export type RuleOption = keyof RuleOptions;

/** What is known of a rule before it is made. */
export interface RuleEntry {
  /** Makes it. Throws RangeError if the options do not fit together. */
  create(options: RuleOptions): UpdateRule;
  /** The options that change what it does. */
  readonly takes: readonly RuleOption[];
  /** What options of a run are with it where nothing is said, if they are not what they are with SGD. */
  readonly defaults: Readonly<
    Partial<RuleOptions & { lr: number; clip: number; decayClip: boolean }>
  >;
}

/** A gradient is cut to the norm 1, whatever the schedule makes of η. */
const ADAM_DEFAULTS = { lr: 1e-3, clip: 1e-3, decayClip: true } as const;

/** The rules by name. */
export const UPDATE_RULES = {
  "sgd": {
    create: sgd,
    takes: ["momentum", "dampening", "nesterov", "weightDecay", "noDecay"],
    defaults: {},
  },
  "adam": {
    create: adam,
    takes: ["beta1", "beta2", "eps", "weightDecay", "noDecay"],
    defaults: { ...ADAM_DEFAULTS, weightDecay: 0 },
  },
  "adamw": {
    create: adamW,
    takes: ["beta1", "beta2", "eps", "weightDecay", "noDecay"],
    defaults: { ...ADAM_DEFAULTS, weightDecay: 0.01, noDecay: "vectors" },
  },
} as const satisfies Readonly<Record<string, RuleEntry>>;

/** One of the rules, as in `--optimizer`. */
export type OptimizerName = keyof typeof UPDATE_RULES;

/** The rules, as in `--optimizer`; the first is the default. */
export const OPTIMIZER_NAMES = Object.keys(UPDATE_RULES) as readonly OptimizerName[];

/** What is known of a rule. */
export const ruleEntry = (name: OptimizerName): RuleEntry => UPDATE_RULES[name];

/** The rules that an option changes, in their order. */
export function rulesTaking(option: RuleOption): OptimizerName[] {
  return OPTIMIZER_NAMES.filter((name) => ruleEntry(name).takes.includes(option));
}
