/**
 * The part of the table of options that says what a step makes of a gradient, and how that changes over a
 * run.
 *
 * @module
 */

import { OPTIMIZER_NAMES, rulesTaking } from "../../../optimizers/rule_registry.ts";
import { SCHEDULE_NAMES } from "../../../optimizers/schedule.ts";
import { NO_DECAY } from "../../../optimizers/update_rule.ts";
import { choice, GROUPS, integer, numbers, real, type Table, toggle } from "../kinds.ts";
import type { SteppingOptions } from "../values.ts";

const { HOW } = GROUPS;

/** Update rule and schedule. */
export const STEPPING: Table<SteppingOptions> = {
  optimizer: choice({
    flag: "--optimizer",
    group: HOW,
    help: "the update rule of a step, from the clipped gradient to the weights",
    choices: OPTIMIZER_NAMES,
    default: OPTIMIZER_NAMES[0],
  }),
  momentum: real({
    flag: "--momentum",
    group: HOW,
    help: `momentum μ (${rulesTaking("momentum").join(", ")})`,
    from: 0,
    below: 1,
    default: 0,
  }),
  dampening: real({
    flag: "--dampening",
    group: HOW,
    help: "dampening of the momentum",
    from: 0,
    to: 1,
    default: 0,
  }),
  nesterov: toggle({ flag: "--nesterov", group: HOW, help: "Nesterov's momentum" }),
  weightDecay: real({
    flag: "--weight-decay",
    group: HOW,
    help: "weight decay λ; the norm that clips ignores it",
    from: 0,
    default: 0,
    defaultText: "0; 1.2e-6 on ptb and wikitext2; 0.01 with adamw",
  }),
  noDecay: choice({
    flag: "--no-decay",
    group: HOW,
    help: "what weight decay leaves alone, vectors being biases and the weights of norms",
    choices: NO_DECAY,
    default: NO_DECAY[0],
    defaultText: "none; vectors with adamw",
  }),
  beta1: real({
    flag: "--beta1",
    group: HOW,
    help: `how much of the mean of gradients is kept, β₁ (${rulesTaking("beta1").join(", ")})`,
    from: 0,
    below: 1,
    default: 0.9,
  }),
  beta2: real({
    flag: "--beta2",
    group: HOW,
    help: `how much of the mean of their squares is kept, β₂ (${rulesTaking("beta2").join(", ")})`,
    from: 0,
    below: 1,
    default: 0.999,
  }),
  eps: real({
    flag: "--eps",
    group: HOW,
    help: `added to the root of that mean, ε (${rulesTaking("eps").join(", ")})`,
    from: 0,
    default: 1e-8,
  }),
  accumulate: integer({
    flag: "--accumulate",
    group: HOW,
    help: "mini-batches of --batch-size whose mean gradient a step is taken along, K",
    unit: "mini-batches",
    from: 1,
    default: 1,
  }),
  labelSmoothing: real({
    flag: "--label-smoothing",
    group: HOW,
    help: "how much of each label goes to all classes alike in training, ε",
    from: 0,
    below: 1,
    default: 0,
  }),
  ema: real({
    flag: "--ema",
    group: HOW,
    help: "evaluate, and write in the end, the exponential moving average of the weights with " +
      "this decay, such as 0.999",
    over: 0,
    below: 1,
    default: null,
    defaultText: "none",
  }),
  averageStates: toggle({
    flag: "--average-states",
    group: HOW,
    help: "average what the update rule keeps, such as momenta, in each round with the weights",
  }),
  schedule: choice({
    flag: "--schedule",
    group: HOW,
    help: "how the learning rate changes over the run; step is by --decay-at",
    choices: SCHEDULE_NAMES,
    default: "step",
  }),
  warmup: integer({
    flag: "--warmup",
    group: HOW,
    help: "steps over which the learning rate rises to what the schedule says",
    unit: "steps",
    from: 0,
    default: 0,
  }),
  lrMin: real({
    flag: "--lr-min",
    group: HOW,
    help: "what the learning rate comes down to at the end (linear, cosine, wsd)",
    from: 0,
    default: 0,
  }),
  decayAt: numbers({
    flag: "--decay-at",
    group: HOW,
    help: "epochs at which the learning rate decays (--schedule step)",
    unit: "epochs",
    over: 0,
    defaultText: "never; 17 on generated-text",
  }),
  decayFactor: real({
    flag: "--decay-factor",
    group: HOW,
    help: "what it is multiplied by there",
    over: 0,
    to: 1,
    default: 0.1,
  }),
  decayClip: toggle({
    flag: "--decay-clip",
    group: HOW,
    help: "let the clipping threshold go as the learning rate does, as in the authors' code",
  }),
};
