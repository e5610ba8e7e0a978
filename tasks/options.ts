/**
 * The table of options. The command line, `launch()` in code, a run's `config.json` and the axes of a
 * sweep are all read off it; nothing else knows an option's flag, default or range.
 *
 * The defaults are the default job: a small network on generated images.
 *
 * @module
 */

import { formatPartition, parsePartition } from "./data/partition.ts";
import {
  choice,
  closest,
  integer,
  numbers,
  OptionError,
  type OptionSpec,
  pairs,
  real,
  text,
  toggle,
} from "./option.ts";
import type { Experiment, Options, Processes, Surroundings } from "./option_values.ts";
import { PRESET_NAMES } from "./presets.ts";

export type { Options } from "./option_values.ts";

/** A kind for each option of a group. */
export type Table<Values> = { readonly [Name in keyof Values]: OptionSpec<Values[Name]> };

const WHAT = "What to train", HOW = "How to step", WHO = "Ranks", DATA = "Data", RUN = "The run";

/** A file that TLS needs. */
function pem(flag: string, help: string): OptionSpec<string | null> {
  const placeholder = "file", defaultText = "none";
  return text({ flag, group: WHO, help, default: null, defaultText, placeholder });
}

/** What an experiment is: the options that decide its numbers. A sweep's axes are among them. */
export const EXPERIMENT: Table<Experiment> = {
  preset: choice({
    flag: "--preset",
    group: WHAT,
    help: "an experiment of the paper; options given beside it take precedence",
    choices: PRESET_NAMES,
    default: null,
    defaultText: "none",
  }),
  task: choice({
    flag: "--task",
    group: WHAT,
    help: "what is learnt",
    choices: ["generated-images", "cifar10"],
    default: "generated-images",
  }),
  model: choice({
    flag: "--model",
    group: WHAT,
    help: "the network",
    choices: ["resnet8", "resnet20", "resnet32", "resnet44", "resnet56", "resnet110"],
    default: "resnet8",
  }),
  algorithm: choice({
    flag: "--algorithm",
    group: HOW,
    help: "how the ranks learn together",
    choices: [
      "celgc",
      "naive-parallel",
      "single",
      "local-sgd",
      "slowmo",
      "diloco",
      "episode",
    ],
    default: "celgc",
  }),
  interval: integer({
    flag: "--interval",
    group: HOW,
    help: "steps between two rounds of averaging, I",
    unit: "steps",
    from: 1,
    default: 4,
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
  lr: real({
    flag: "--lr",
    group: HOW,
    help: "learning rate η, the longest factor of a gradient",
    over: 0,
    default: 0.5,
  }),
  clip: real({
    flag: "--clip",
    group: HOW,
    help: "clipping threshold γ, the longest plain step",
    over: 0,
    default: 0.8,
  }),
  clipBy: choice({
    flag: "--clip-by",
    group: HOW,
    help: "the norm that clips, of the rank's own gradient, of the ranks' averaged gradient " +
      "(refreshed each round), or the larger",
    choices: ["local", "global-average", "max"],
    default: "local",
  }),
  outerLr: real({
    flag: "--outer-lr",
    group: HOW,
    help: "learning rate of the step that each round takes (slowmo, diloco)",
    over: 0,
    default: null,
    defaultText: "1 with slowmo, 0.7 with diloco",
  }),
  outerMomentum: real({
    flag: "--outer-momentum",
    group: HOW,
    help: "momentum from round to round (slowmo, diloco)",
    from: 0,
    below: 1,
    default: null,
    defaultText: "0.7 with slowmo, 0.9 with diloco",
  }),
  momentum: real({
    flag: "--momentum",
    group: HOW,
    help: "momentum μ",
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
  }),
  decayAt: numbers({
    flag: "--decay-at",
    group: HOW,
    help: "epochs at which the learning rate decays",
    unit: "epochs",
    over: 0,
    defaultText: "never",
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
    help: "multiply the clipping threshold as well, as in the authors' code",
  }),
  batchSize: integer({
    flag: "--batch-size",
    group: HOW,
    help: "samples a rank takes in one step",
    unit: "samples",
    from: 1,
    default: 16,
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
    defaultText: "all",
  }),
  partition: text({
    flag: "--partition",
    group: DATA,
    help: "how the ranks share the training data: iid | whole | proportional:10.64,11.17,… | " +
      "dirichlet:0.5 | shards:K",
    default: "iid",
    placeholder: "rule",
    commas: true,
    normalise: (rule) => formatPartition(parsePartition(rule)),
  }),
  trainSize: integer({
    flag: "--train-size",
    group: DATA,
    help: "training samples to generate (generated tasks)",
    unit: "samples",
    from: 10,
    default: 2000,
  }),
  testSize: integer({
    flag: "--test-size",
    group: DATA,
    help: "test samples to generate (generated tasks)",
    unit: "samples",
    from: 10,
    default: 500,
  }),
  epochs: real({
    flag: "--epochs",
    group: RUN,
    help: "passes over the training data, by all ranks together",
    unit: "epochs",
    over: 0,
    default: 12,
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
  seed: integer({
    flag: "--seed",
    group: RUN,
    help: "decides the initial weights, the order of the samples and everything else drawn",
    from: 0,
    default: 1,
  }),
};

/** Where an experiment runs and what it reads and writes; its numbers do not depend on these. */
export const SURROUNDINGS: Table<Surroundings> = {
  device: choice({
    flag: "--device",
    group: WHO,
    help: "where the graph runs; auto takes a GPU if there is one, else the CPU",
    choices: ["auto", "webgpu", "cpu", "wasm"],
    default: "auto",
  }),
  threads: integer({
    flag: "--threads",
    group: WHO,
    help: "threads of each rank on the cpu device",
    unit: "threads",
    from: 1,
    to: 256,
    default: 1,
  }),
  data: text({
    flag: "--data",
    group: DATA,
    help: "folder of the data set, in its official layout",
    default: null,
    defaultText: "none",
    placeholder: "dir",
  }),
  download: toggle({
    flag: "--download",
    group: DATA,
    help: "fetch the data set into --data (default: data/<task>) if it is not there",
  }),
  json: toggle({
    flag: "--json",
    group: RUN,
    help: "print the summary as JSON on standard output, and nothing else there",
  }),
};

/** How processes are started: these go with any program, not only with training. */
export const PROCESSES: Table<Processes> = {
  env: pairs({
    flag: "--env",
    group: WHO,
    help: "an environment variable of the ranks; may be given several times",
    defaultText: "none",
  }),
  cwd: text({
    flag: "--cwd",
    group: WHO,
    help: "folder in which the ranks run",
    default: null,
    defaultText: "this one",
    placeholder: "dir",
  }),
  timeout: real({
    flag: "--timeout",
    group: WHO,
    help: "longest silence of a rank that others wait for",
    unit: "seconds",
    over: 0,
    default: 60,
  }),
  tlsCert: pem(
    "--tls-cert",
    "PEM file of a certificate; with key and authority, ranks talk over TLS",
  ),
  tlsKey: pem("--tls-key", "PEM file of its private key"),
  tlsCa: pem("--tls-ca", "PEM file of the authority that the ranks trust"),
  out: text({
    flag: "--out",
    group: RUN,
    help: "folder for the run's files; a program's ranks log there only if it is given",
    default: null,
    defaultText: "runs/<time>-<name>",
    placeholder: "dir",
  }),
  quiet: toggle({ flag: "--quiet", group: RUN, help: "print nothing but errors" }),
};

/** Every option, by its name in code. */
export const OPTIONS: Table<Options> = { ...EXPERIMENT, ...SURROUNDINGS, ...PROCESSES };

/** An option's name in code. */
export type OptionName = keyof Options;

/** The value of every option when nothing is said. */
export function defaultOptions(): Options {
  const entries = Object.entries(OPTIONS).map(([name, spec]) => [name, spec.default]);
  return Object.fromEntries(entries) as Options;
}

/**
 * Checks options that come from code or from a file.
 *
 * @throws OptionError naming the first option that is unknown or has a value it cannot have
 */
export function checkOptions(given: Readonly<Record<string, unknown>>): Partial<Options> {
  const checked: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue;
    const spec: OptionSpec<unknown> | undefined = Object.hasOwn(OPTIONS, name)
      ? OPTIONS[name as OptionName]
      : undefined;
    if (!spec) {
      const near = closest(name, Object.keys(OPTIONS));
      throw new OptionError(`unknown option ${name}${near ? ` (did you mean ${near}?)` : ""}`);
    }
    checked[name] = spec.check(value);
  }
  return checked as Partial<Options>;
}
