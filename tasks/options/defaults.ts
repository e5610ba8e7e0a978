/**
 * What is taken for granted where nothing is said: a text is learnt by another network, with other step
 * sizes, than images are.
 *
 * @module
 */

import { ruleEntry } from "../../optimizers/rule_registry.ts";
import { PRESETS } from "./presets.ts";
import { defaultOptions } from "./table.ts";
import type { Options, TaskName } from "./values.ts";

/** What is known of a task before its data is read. */
export interface TaskEntry {
  /** What kind of data it has. */
  readonly kind: "images" | "arrays" | "text";
  /** Of data on disk: how its folder is known. Null where it is generated. */
  readonly files: string | null;
  /** Whether that may be one file instead. @default {false} */
  readonly takesFile?: boolean;
  /** Whether the data is the user's own, and nowhere to be fetched from. @default {false} */
  readonly own?: true;
  /** Options that it sets; a preset's and those that were given take precedence. */
  readonly defaults: Readonly<Partial<Omit<Options, "preset" | "task">>>;
}

/** Merity, Keskar and Socher (ICLR 2018); step sizes and batch of Liu et al. (NeurIPS 2022). */
const PUBLISHED_TEXT = {
  model: "awd-lstm",
  partition: "rotate",
  lr: 30,
  clip: 7.5,
  weightDecay: 1.2e-6,
} as const satisfies TaskEntry["defaults"];

/** By the task's name. */
export const TASKS: Readonly<Record<TaskName, TaskEntry>> = {
  "generated-images": { kind: "images", files: null, defaults: {} },
  "cifar10": {
    kind: "images",
    files: "a folder or archive of CIFAR-10 in any form",
    takesFile: true,
    defaults: {},
  },
  "cifar100": {
    kind: "images",
    files: "a folder or archive of CIFAR-100 in any form",
    takesFile: true,
    defaults: {},
  },
  "images": {
    kind: "images",
    files: "a folder of images with a folder for each class",
    own: true,
    defaults: {},
  },
  "arrays": {
    kind: "arrays",
    files: "an .npz or .csv file, or a folder of .npy files",
    takesFile: true,
    own: true,
    defaults: { model: "mlp", batchSize: 32, lr: 0.3, clip: 0.3, epochs: 30 },
  },
  "generated-text": {
    kind: "text",
    files: null,
    // Small enough to learn most of the grammar in a minute on two cores.
    defaults: {
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
  },
  "ptb": {
    kind: "text",
    files: "the folder of train.txt, valid.txt and test.txt",
    defaults: { ...PUBLISHED_TEXT, batchSize: 3, epochs: 250 },
  },
  "wikitext2": {
    kind: "text",
    files: "the folder of wiki.train.tokens, wiki.valid.tokens and wiki.test.tokens",
    defaults: { ...PUBLISHED_TEXT, batchSize: 10, epochs: 300, dropoutHidden: 0.2 },
  },
  "text": {
    kind: "text",
    files: "a UTF-8 file or a folder of them",
    takesFile: true,
    own: true,
    defaults: {
      ...PUBLISHED_TEXT,
      model: "gpt",
      batchSize: 10,
      epochs: 20,
      validFraction: 0.05,
      testFraction: 0.05,
    },
  },
};

/** The step of a GPT, whose task has another network of its own. */
const GPT = {
  partition: "iid",
  lr: 0.5,
  clip: 0.5,
  weightDecay: 0,
  layers: 6,
  batchSize: 12,
  epochs: 20,
  decayAt: [],
} as const satisfies TaskEntry["defaults"];

/** Small enough to learn most of the grammar in a few minutes on two cores. */
const SMALL_GPT = {
  ...GPT,
  layers: 2,
  heads: 4,
  width: 64,
  context: 64,
  batchSize: 8,
} as const satisfies TaskEntry["defaults"];

/** What a network sets that is not its task's own. */
function ofModel(model: Options["model"], task: TaskName): TaskEntry["defaults"] {
  if (model === "mlp") return { layers: 2, width: 64 };
  if (model !== "gpt") return {};
  return task === "generated-text" ? SMALL_GPT : GPT;
}

/** What kind of data a task has. */
export const kindOf = (task: TaskName): TaskEntry["kind"] => TASKS[task].kind;

/** Of a task whose data is on disk: how its folder is known. Null where it is generated. */
export const filesOf = (task: TaskName): string | null => TASKS[task].files;

/**
 * The value of every option that is not given: the preset's, else the update rule's, else the network's, else
 * the task's, else the default.
 *
 * @param given of which task, network, preset and optimizer count, and are among what is returned
 */
export function defaultsOf(given: Readonly<Partial<Options>>): Options {
  const preset = given.preset ?? null;
  const presets = preset === null ? {} : PRESETS[preset].options, defaults = defaultOptions();
  const task = given.task ?? presets.task ?? defaults.task;
  const own = TASKS[task].defaults;
  const model = given.model ?? presets.model ?? own.model ?? defaults.model;
  const tasks = { ...defaults, ...own, ...ofModel(model, task) };
  const meant = presets.optimizer ?? defaults.optimizer, optimizer = given.optimizer ?? meant;
  // Step sizes that a preset has for one update rule are none for another.
  const rules = ruleEntry(optimizer).defaults;
  const sized = optimizer === meant ? { ...rules, ...presets } : { ...presets, ...rules };
  return { ...tasks, ...sized, preset, task, optimizer };
}
