/**
 * Experiments by name: the paper's (Liu, Zhuang, Lei and Liao, NeurIPS 2022, section 5 and appendix), an
 * algorithm with the settings that it was published with, and two known GPTs.
 *
 * @module
 */

import { AVERAGING_TRIGGER } from "../../optimizers/non_monotone_averaging.ts";
import type { Options, PresetName } from "./values.ts";

/** A named experiment. */
export interface Preset {
  /** One line: what is shown with it. */
  readonly about: string;
  /** The options it sets; the others keep their defaults. */
  readonly options: Readonly<Partial<Omit<Options, "preset">>>;
}

/**
 * Weight decay on CIFAR-10 is not in the paper's text; this is the authors' launch script's. As in their
 * code every rank draws from the whole set.
 */
const CIFAR10 = {
  task: "cifar10",
  ranks: 8,
  clip: 1,
  weightDecay: 5e-4,
  partition: "whole",
  decayFactor: 0.1,
} as const;

/**
 * Network, regularisation, weight decay and partition are the tasks' own defaults. How weights are averaged
 * over the steps, and how the test text is read, are the authors' code's.
 */
const TEXT = {
  model: "awd-lstm",
  ranks: 8,
  lr: 30,
  clip: 7.5,
  averagingTrigger: AVERAGING_TRIGGER,
  averaging: "epoch",
  testColumns: 2,
} as const;

const PTB = { ...TEXT, task: "ptb", batchSize: 3, epochs: 250 } as const;

/** Shares of Penn Treebank in percent, one for each of 8 ranks. */
const UNEVEN = "proportional:10.64,11.17,11.7,12.23,12.77,13.3,13.83,14.36";

/**
 * Douillard et al., 2023 (arXiv 2311.08105): inner and outer optimizer, schedule and interval; their language model
 * and its batch are not among them. The values are also those of the program of the replication by Jaghouar,
 * Ong and Hagemann, 2024 (arXiv 2407.07852; PrimeIntellect-ai/OpenDiloco, train_diloco_torch.py): η 4e-4 with 1000
 * steps of warm-up and a cosine to 0, weight decay 0.1, gradients cut to the norm 1, 500 steps a round, outer
 * Nesterov 0.7 and 0.9. AdamW's β₂, which the paper does not give, is the program's.
 */
const DILOCO = {
  algorithm: "diloco",
  ranks: 8,
  interval: 500,
  optimizer: "adamw",
  beta2: 0.95,
  lr: 4e-4,
  clip: 4e-4,
  decayClip: true,
  weightDecay: 0.1,
  schedule: "cosine",
  warmup: 1000,
  outerLr: 0.7,
  outerMomentum: 0.9,
} as const;

/** The presets by name. Learning rates and thresholds are for 8 ranks. */
export const PRESETS: Readonly<Record<PresetName, Preset>> = {
  "cifar10-resnet56": {
    about: "ResNet-56 on CIFAR-10, batch 64 a rank, 200 epochs",
    options: {
      ...CIFAR10,
      model: "resnet56",
      lr: 0.3,
      batchSize: 64,
      epochs: 200,
      decayAt: [80, 120],
    },
  },
  "cifar10-resnet32": {
    about: "ResNet-32 on CIFAR-10, batch 16 a rank, η and γ decay together",
    options: {
      ...CIFAR10,
      model: "resnet32",
      lr: 0.1,
      batchSize: 16,
      epochs: 200,
      decayAt: [80, 120],
      decayClip: true,
    },
  },
  "cifar10-resnet56-large-batch": {
    about: "ResNet-56 on CIFAR-10, batch 256 a rank, 300 epochs; η and γ are tuned by hand",
    options: {
      ...CIFAR10,
      model: "resnet56",
      lr: 0.5,
      batchSize: 256,
      epochs: 300,
      decayAt: [150, 250],
    },
  },
  "ptb-awd-lstm": {
    about: "a 3-layer AWD-LSTM on Penn Treebank, batch 3 a rank, 250 epochs",
    options: PTB,
  },
  "wikitext2-awd-lstm": {
    about: "a 3-layer AWD-LSTM on WikiText-2, batch 10 a rank, 300 epochs",
    options: { ...TEXT, task: "wikitext2", batchSize: 10, epochs: 300 },
  },
  "ptb-heterogeneous": {
    about: "Penn Treebank in 8 consecutive parts of unequal size; η and γ are tuned by hand",
    options: { ...PTB, partition: UNEVEN },
  },
  "ptb-partial-participation": {
    about: "Penn Treebank, 6 of the 8 ranks in each round; η and γ are tuned by hand",
    options: { ...PTB, participants: 6 },
  },
  "diloco": {
    about: "DiLoCo as published, on any task: AdamW inside, 500 steps a round, for long runs",
    options: DILOCO,
  },
  "gpt-nano": {
    about: "a GPT of 10.6 million weights and more, nanoGPT's for characters",
    options: {
      task: "generated-text",
      model: "gpt",
      layers: 6,
      heads: 6,
      width: 384,
      context: 256,
      batchSize: 12,
      optimizer: "adamw",
      lr: 1e-3,
      clip: 1e-3,
    },
  },
  "gpt2-small": {
    about: "GPT-2 of 124 million weights, which Hugging Face's gpt2 fits as --weights",
    options: {
      task: "wikitext2",
      model: "gpt",
      layers: 12,
      heads: 12,
      width: 768,
      context: 1024,
      vocabulary: 50_257,
      batchSize: 1,
      optimizer: "adamw",
      lr: 6e-4,
      clip: 6e-4,
    },
  },
};
