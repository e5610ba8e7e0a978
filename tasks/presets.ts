/**
 * The paper's experiments by name: Liu, Zhuang, Lei and Liao, NeurIPS 2022, section 5 and appendix.
 *
 * @module
 */

import type { Options } from "./options.ts";

/** The presets, as in `--preset`. */
export const PRESET_NAMES = [
  "cifar10-resnet56",
  "cifar10-resnet32",
  "cifar10-resnet56-large-batch",
] as const;

/** One of the presets. */
export type PresetName = typeof PRESET_NAMES[number];

/** A named experiment. */
export interface Preset {
  /** One line: what the paper shows with it. */
  readonly about: string;
  /** The options it sets; the others keep their defaults. */
  readonly options: Readonly<Partial<Omit<Options, "preset">>>;
}

/** Weight decay on CIFAR-10 is not in the paper's text; this is the authors' launch script's. */
const CIFAR10 = {
  task: "cifar10",
  ranks: 8,
  clip: 1,
  weightDecay: 5e-4,
  decayFactor: 0.1,
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
};
