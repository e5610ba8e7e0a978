/**
 * What each task takes for granted where nothing else is said: a text is learnt by another network, with
 * other step sizes, than images are.
 *
 * @module
 */

import type { Options } from "./table.ts";

/** Options that a task sets; a preset's and those that were given take precedence. */
export type TaskDefaults = Readonly<Partial<Omit<Options, "preset" | "task">>>;

/** Merity, Keskar and Socher (ICLR 2018); step sizes and batch of Liu et al. (NeurIPS 2022). */
const PUBLISHED_TEXT = {
  model: "awd-lstm",
  partition: "rotate",
  lr: 30,
  clip: 7.5,
  weightDecay: 1.2e-6,
} as const satisfies TaskDefaults;

/** By the task's name. */
export const TASK_DEFAULTS: Readonly<Record<Options["task"], TaskDefaults>> = {
  "generated-images": {},
  "cifar10": {},
  // Small enough to learn most of the grammar in a minute on two cores.
  "generated-text": {
    model: "awd-lstm",
    partition: "rotate",
    lr: 8,
    clip: 2,
    batchSize: 4,
    epochs: 20,
    decayAt: [17],
    trainSize: 60_000,
    testSize: 6_000,
    embedding: 64,
    hidden: 128,
    layers: 2,
    bptt: 35,
    dropoutWord: 0,
    dropoutInput: 0,
    dropoutHidden: 0,
    dropoutOutput: 0,
    dropoutWeight: 0,
    activationRegularisation: 0,
    temporalRegularisation: 0,
    testColumns: 10,
  },
  "ptb": { ...PUBLISHED_TEXT, batchSize: 3, epochs: 250 },
  "wikitext2": { ...PUBLISHED_TEXT, batchSize: 10, epochs: 300, dropoutHidden: 0.2 },
};

/** What kind of data a task has. */
export function kindOf(task: Options["task"]): "images" | "text" {
  return task === "generated-images" || task === "cifar10" ? "images" : "text";
}

/** Of a task whose data is on disk: how its folder is known. Null where it is generated. */
export function filesOf(task: Options["task"]): string | null {
  switch (task) {
    case "cifar10":
      return "the folder of data_batch_1.bin";
    case "ptb":
      return "the folder of train.txt, valid.txt and test.txt";
    case "wikitext2":
      return "the folder of wiki.train.tokens, wiki.valid.tokens and wiki.test.tokens";
    default:
      return null;
  }
}
