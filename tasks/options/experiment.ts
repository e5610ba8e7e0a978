/**
 * The part of the table of options that decides a run's numbers: what is trained, how, and for how long.
 *
 * @module
 */

import { codecOf } from "../../runtime/compression/registry.ts";
import { FEDPROX_MU } from "../../optimizers/algorithms/fedprox.ts";
import { SPARSELOCO_DEFAULTS } from "../../optimizers/algorithms/sparseloco.ts";
import { CLIP_BY } from "../../optimizers/clip_by.ts";
import { formatSampling, parseSampling } from "../../optimizers/sampling.ts";
import {
  ALGORITHM_NAMES,
  ALGORITHMS,
  type SelectiveOption,
  takersOf,
} from "../../optimizers/registry.ts";
import { formatPartition, parsePartition } from "../data/sampling/partition.ts";
import { AVERAGING } from "./averaging/table.ts";
import { choice, GROUPS, integer, real, type Table, text } from "./kinds.ts";
import { GPT_MODEL, LANGUAGE_MODEL, TOKENIZER } from "./language.ts";
import { ARRAY_OPTIONS } from "./data/arrays.ts";
import { IMAGE_OPTIONS } from "./data/images.ts";
import { INPUT_FILES, orFile } from "./networks.ts";
import { STEPPING } from "./stepping/table.ts";
import { type Experiment, MODEL_NAMES, PRESET_NAMES, TASK_NAMES } from "./values.ts";

const { WHAT, HOW, WHO, DATA, RUN } = GROUPS;

/** What an option is with each algorithm that takes it, such as `1 with slowmo, 0.7 with diloco`. */
function ownDefaults(option: SelectiveOption): string {
  return takersOf(option)
    .map((name) => `${ALGORITHMS[name].defaults?.[option]} with ${name}`).join(", ");
}

/** What an experiment is: the options that decide its numbers. A sweep's axes are among them. */
export const EXPERIMENT: Table<Experiment> = {
  ...LANGUAGE_MODEL,
  ...GPT_MODEL,
  ...TOKENIZER,
  ...INPUT_FILES,
  ...IMAGE_OPTIONS,
  ...ARRAY_OPTIONS,
  preset: choice({
    flag: "--preset",
    group: WHAT,
    help: "an experiment of the paper, or a known network; options given beside it take precedence",
    choices: PRESET_NAMES,
    default: null,
    defaultText: "none",
  }),
  scale: real({
    flag: "--scale",
    group: WHAT,
    help: "a small run in proportion, of about this share of the work: epochs (and the epochs of " +
      "decay), data and built-in networks each by its cube root, 0.01 by 0.22; options given " +
      "beside it stay as given",
    over: 0,
    to: 1,
    default: 1,
  }),
  task: choice({
    flag: "--task",
    group: WHAT,
    help: "what is learnt",
    choices: TASK_NAMES,
    default: "generated-images",
  }),
  model: orFile(choice({
    flag: "--model",
    group: WHAT,
    help: "the network",
    choices: MODEL_NAMES,
    default: "resnet8",
    defaultText: "resnet8; awd-lstm on texts, gpt on text, mlp on arrays",
  })),
  algorithm: choice({
    flag: "--algorithm",
    group: HOW,
    help: "how the ranks learn together",
    choices: ALGORITHM_NAMES,
    default: ALGORITHM_NAMES[0],
  }),
  ...AVERAGING,
  lr: real({
    flag: "--lr",
    group: HOW,
    help: "learning rate η, the longest factor of a gradient",
    over: 0,
    default: 0.5,
    defaultText: "0.5; 8 on generated-text, 30 on ptb and wikitext2; 0.001 with adam and adamw",
  }),
  clip: real({
    flag: "--clip",
    group: HOW,
    help: "clipping threshold γ, the longest plain step: a gradient is cut to the norm γ/η",
    over: 0,
    default: 0.8,
    defaultText: "0.8; 2 on generated-text, 7.5 on ptb and wikitext2; 0.001 with adam and adamw",
  }),
  clipBy: choice({
    flag: "--clip-by",
    group: HOW,
    help: "what clips: the norm of the rank's own gradient, of the ranks' averaged gradient " +
      "(refreshed each round), the larger of the two, each parameter's own norm, that of each unit " +
      "beside its weights' (adaptive clipping), each entry's size, or the own norm without an edge",
    choices: CLIP_BY,
    default: CLIP_BY[0],
  }),
  outerLr: real({
    flag: "--outer-lr",
    group: HOW,
    help: `learning rate of the step that each round takes (${takersOf("outerLr").join(", ")})`,
    over: 0,
    default: null,
    defaultText: ownDefaults("outerLr"),
  }),
  outerMomentum: real({
    flag: "--outer-momentum",
    group: HOW,
    help: `momentum from round to round (${takersOf("outerMomentum").join(", ")})`,
    from: 0,
    below: 1,
    default: null,
    defaultText: ownDefaults("outerMomentum"),
  }),
  period: integer({
    flag: "--period",
    group: HOW,
    help: `rounds in which each rank has its turn, P (${takersOf("period").join(", ")})`,
    unit: "rounds",
    from: 1,
    default: null,
    defaultText: "N/A · R with --sampling periodic:A,R; else 1",
  }),
  residualDecay: real({
    flag: "--residual-decay",
    group: HOW,
    help: "what is left after a round of what a rank has not sent, β (" +
      `${
        takersOf("residualDecay").join(", ")
      }, whose own --compress is ${SPARSELOCO_DEFAULTS.compress})`,
    from: 0,
    to: 1,
    default: SPARSELOCO_DEFAULTS.residualDecay,
  }),
  proximalMu: real({
    flag: "--proximal-mu",
    group: HOW,
    help: `what holds local steps back towards the start of their round, μ (${
      takersOf("proximalMu").join(", ")
    })`,
    from: 0,
    default: FEDPROX_MU,
  }),
  ...STEPPING,
  batchSize: integer({
    flag: "--batch-size",
    group: HOW,
    help: "samples (of a text: columns) a rank takes in one step",
    unit: "samples",
    from: 1,
    default: 16,
    defaultText: "16; 4 on generated-text, 3 on ptb, 10 on wikitext2",
  }),
  batchNorm: choice({
    flag: "--batch-norm",
    group: HOW,
    help: "running statistics of batch norm, averaged with the weights, left to each rank, or " +
      "measured anew before each evaluation",
    choices: ["average", "local", "recalibrate"],
    default: "average",
  }),
  ranks: integer({
    flag: "--ranks",
    group: WHO,
    help: "processes, N",
    unit: "processes",
    from: 1,
    to: 1024,
    default: 8,
  }),
  participants: integer({
    flag: "--participants",
    group: WHO,
    help: "ranks, drawn from the seed, that average in each round",
    unit: "ranks",
    from: 1,
    default: null,
    defaultText: "all; those that are there with periodic sampling",
  }),
  sampling: text({
    flag: "--sampling",
    group: WHO,
    help: "how they are drawn: uniform | dirichlet:ALPHA (some more often than others, by a draw " +
      "for the whole run) | periodic:A,R (A ranks are there at a time, others after R rounds)",
    default: "uniform",
    placeholder: "rule",
    commas: true,
    normalise: (rule) => formatSampling(parseSampling(rule)),
  }),
  compress: text({
    flag: "--compress",
    group: WHO,
    help:
      "how weights and gradients travel: none | bf16 | fp16 | int8 | int4 (a scale for each block) | " +
      "mxint8 | mxint4 (for several ranks a host, who send one sum) | topk:F[:int8|:int2] (the share F that has moved most); what is lost goes with the next",
    default: "none",
    placeholder: "codec",
    normalise: (name) => codecOf(name)?.name ?? "none",
  }),
  partition: text({
    flag: "--partition",
    group: DATA,
    help: "how the ranks share the training data: iid | whole | proportional:10.64,11.17,… | " +
      "dirichlet:0.5 | shards:K | rotate (texts: the parts go round from epoch to epoch)",
    default: "iid",
    defaultText: "iid; rotate on texts, whole in the presets of CIFAR-10",
    placeholder: "rule",
    commas: true,
    normalise: (rule) => formatPartition(parsePartition(rule)),
  }),
  trainSize: integer({
    flag: "--train-size",
    group: DATA,
    help: "training samples (of a text: tokens) to generate (generated tasks)",
    unit: "samples",
    from: 10,
    default: 2000,
    defaultText: "2000; 60000 on generated-text",
  }),
  testSize: integer({
    flag: "--test-size",
    group: DATA,
    help: "test samples (of a text: tokens) to generate (generated tasks)",
    unit: "samples",
    from: 10,
    default: 500,
    defaultText: "500; 6000 on generated-text",
  }),
  epochs: real({
    flag: "--epochs",
    group: RUN,
    help: "passes over the training data, by all ranks together",
    unit: "epochs",
    over: 0,
    default: 12,
    defaultText: "12; 20 on generated-text, 250 on ptb, 300 on wikitext2",
  }),
  maxSteps: integer({
    flag: "--max-steps",
    group: RUN,
    help: "stop after this many steps, if the epochs are not over before",
    unit: "steps",
    from: 0,
    default: null,
    defaultText: "no limit",
  }),
  evalEvery: real({
    flag: "--eval-every",
    group: RUN,
    help: "epochs between evaluations of the averaged weights; the untrained and the final " +
      "weights are always evaluated",
    unit: "epochs",
    over: 0,
    default: 1,
  }),
  trainEval: integer({
    flag: "--train-eval",
    group: RUN,
    help: "training samples, the same at each evaluation, on which the averaged weights' loss is " +
      "measured beside that of the test set; 0 for none (images and arrays)",
    unit: "samples",
    from: 0,
    default: 1000,
  }),
  validFraction: real({
    flag: "--valid-fraction",
    group: RUN,
    help: "share of the training samples, or of --task text, that is held out and scored at each " +
      "evaluation, the test set being scored at the end",
    from: 0,
    below: 1,
    default: 0,
    defaultText: "0; 0.05 on text",
  }),
  patience: integer({
    flag: "--patience",
    group: RUN,
    help: "stop after so many evaluations without a lower validation loss; the best weights are " +
      "kept as best.safetensors",
    unit: "evaluations",
    from: 1,
    default: null,
    defaultText: "never",
  }),
  onNan: choice({
    flag: "--on-nan",
    group: RUN,
    help:
      "when a loss or gradient is not finite: the run stops, the rank skips the step, or all roll " +
      "back to the last checkpoint and go on with half the learning rate",
    choices: ["stop", "skip", "rollback"],
    default: "stop",
  }),
  seed: integer({
    flag: "--seed",
    group: RUN,
    help: "decides the initial weights, the order of the samples and everything else drawn",
    from: 0,
    default: 1,
  }),
};
