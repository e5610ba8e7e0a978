/**
 * The options of a run by their names in code, for those who read or write them there. What each
 * defaults to, how it is spelled on the command line and what it may be is in the table, `options.ts`;
 * the compiler holds the two together.
 *
 * @module
 */

import type {
  AlgorithmName,
  ClipBy,
  Interval,
  NoDecay,
  OptimizerName,
  ScheduleName,
  Weigh,
} from "../../optimizers/mod.ts";

/** The presets, as in `--preset`. */
export const PRESET_NAMES = [
  "cifar10-resnet56",
  "cifar10-resnet32",
  "cifar10-resnet56-large-batch",
  "ptb-awd-lstm",
  "wikitext2-awd-lstm",
  "ptb-heterogeneous",
  "ptb-partial-participation",
  "diloco",
  "gpt-nano",
  "gpt2-small",
] as const;

/** One of the presets. */
export type PresetName = typeof PRESET_NAMES[number];

/** The tasks, as in `--task`. */
export const TASK_NAMES = [
  "generated-images",
  "cifar10",
  "cifar100",
  "images",
  "arrays",
  "generated-text",
  "ptb",
  "wikitext2",
  "text",
] as const;

/** One of the tasks. */
export type TaskName = typeof TASK_NAMES[number];

/** The built-in networks, as in `--model`. */
export const MODEL_NAMES = [
  "resnet8",
  "resnet20",
  "resnet32",
  "resnet44",
  "resnet56",
  "resnet110",
  "mlp",
  "awd-lstm",
  "gpt",
] as const;

/** One of the built-in networks. */
export type ModelName = typeof MODEL_NAMES[number];

/** What goes with texts and the networks that read them. */
export interface LanguageModelOptions {
  /** Size of the word vectors and of the last LSTM. */
  embedding: number;
  /** Size of the other LSTMs. */
  hidden: number;
  /** LSTMs, blocks of a GPT, or hidden layers of an MLP, on top of each other. */
  layers: number;
  /** Mean length of the windows of text that steps learn from, in tokens. */
  bptt: number;
  /** Probability with which a word is dropped in all its occurrences. */
  dropoutWord: number;
  /** Probability with which an element of the word vectors is dropped. */
  dropoutInput: number;
  /** Probability with which an element between two LSTMs is dropped. */
  dropoutHidden: number;
  /** Probability with which an element of the last LSTM's output is dropped. */
  dropoutOutput: number;
  /** Probability with which a row of the hidden-to-hidden weights is dropped. */
  dropoutWeight: number;
  /** α, weight of activation regularisation in the loss. */
  activationRegularisation: number;
  /** β, weight of temporal activation regularisation in the loss. */
  temporalRegularisation: number;
  /** Evaluations without progress after which weights are averaged over the steps; null: never. */
  averagingTrigger: number | null;
  /** How often, once that has begun, the weights enter the average: at each step, or at each epoch's end. */
  averaging: "step" | "epoch";
  /** Columns in which the test text is evaluated. */
  testColumns: number;
  /** Tokens of each held-out text that are evaluated; null: all. */
  evalTokens: number | null;
}

/** How a text of one's own is read. */
export interface TokenizerOptions {
  /** What the tokens of a text of one's own are, such as `bytes`, `bpe:4096` or the path of a `tokenizer.json`. */
  tokenizer: string;
}

/** What makes the GPT, beside its layers. */
export interface GptModelOptions {
  /** Heads of attention in each block. */
  heads: number;
  /** Size of the vectors from block to block, or of an MLP's hidden layers. */
  width: number;
  /** Tokens in a window. */
  context: number;
  /** How the network knows where in its window a token stands. */
  positions: "learned" | "rotary";
  /** Probability with which an element is dropped. */
  dropout: number;
  /** Different tokens that a language model knows; null: those of the text. */
  vocabulary: number | null;
}

/** The path or URL of a network's file. */
export type NetworkFile =
  | `${string}.onnx`
  | `http://${string}`
  | `https://${string}`
  | `file:${string}`;

/** What goes with a network from a file, and the weights to begin with. */
export interface InputFileOptions {
  /**
   * A loss by name, or `output:NAME`, one the file computes; null: its output `loss`, else cross entropy, or the
   * squared error where amounts are predicted.
   */
  loss: string | null;
  /** Lengths of the file's symbolic dimensions, `name=n,name=n`; null: those of the task's data. */
  dims: string | null;
  /** Path or URL of a safetensors file, or folder of a run, to begin with; null: random weights. */
  weights: string | null;
}

/** How images, and other data of one's own, are read. */
export interface ImageOptions {
  /** Width and height of the images of one's own, in pixels; null: those of the network's file, else 32. */
  imageSize: number | null;
  /** How training images are changed by chance, such as `flip,crop`. */
  augment: string;
  /** Share of the data that is the test set where they have none of their own. */
  testFraction: number;
}

/** How arrays of one's own are read. */
export interface ArrayTaskOptions {
  /** Names of the arrays or columns that are fed, with commas; null: by what they are called. */
  inputs: string | null;
  /** Name of what is predicted, or several with commas; null: by what it is called. */
  target: string | null;
  /** What gets the mean 0 and the deviation 1, measured from the training data. */
  standardise: "inputs" | "all" | "none";
}

/** What a step makes of a gradient, and how that changes over a run. */
export interface SteppingOptions {
  /** The update rule of a step. */
  optimizer: OptimizerName;
  /** Momentum μ; 0 keeps no buffer. */
  momentum: number;
  /** Dampening of the momentum, from 0 to 1. */
  dampening: number;
  /** Whether the momentum is Nesterov's. */
  nesterov: boolean;
  /** Weight decay λ. */
  weightDecay: number;
  /** Which parameters weight decay leaves alone. */
  noDecay: NoDecay;
  /** How much of its mean of gradients Adam keeps from step to step, β₁. */
  beta1: number;
  /** How much of its mean of their squares, β₂. */
  beta2: number;
  /** What keeps Adam's division by the root of that finite, ε. */
  eps: number;
  /** Whether a round averages what the update rule keeps, such as momenta, as well as the weights. */
  averageStates: boolean;
  /** How the learning rate changes over the run. */
  schedule: ScheduleName;
  /** Steps over which the learning rate rises to its schedule; 0: none. */
  warmup: number;
  /** What the learning rate comes down to (linear, cosine, wsd). */
  lrMin: number;
  /** Mini-batches whose mean gradient a step is taken along, K. */
  accumulate: number;
  /** How much of each label goes to all classes alike in training, ε. */
  labelSmoothing: number;
  /** Decay of the exponential moving average of the weights that is evaluated; null: the weights are. */
  ema: number | null;
  /** Epochs at which the learning rate decays (step). */
  decayAt: readonly number[];
  /** What it is multiplied by there. */
  decayFactor: number;
  /** Whether the clipping threshold decays with it. */
  decayClip: boolean;
}

/** When ranks average their weights, in which parts, and when they take the averages over. */
export interface AveragingOptions {
  /** I, in steps: how many lie between two rounds of averaging; or its schedule, see `optimizers/rounds/interval.ts`. */
  interval: Interval;
  /** Seconds between two rounds that go by the clock; null: every `interval` steps. With it `interval` is 1. */
  syncEvery: number | null;
  /** What ranks count for in rounds by the clock: all alike, or each for the samples it has learnt from. */
  weigh: Weigh;
  /** Whether each epoch ends with a round as well. */
  syncEpochs: boolean;
  /** The side of the step on which a round averages. */
  average: "after" | "before";
  /** Parts in which the weights are averaged, each at a step of its own. */
  fragments: number;
  /** Whether the average of a round travels while steps go on, and is taken over later. */
  overlap: boolean;
  /** Steps after which it is; null: when the next is due. */
  delay: number | null;
  /** How much of the rank's own weights stays then; null: they keep what they have learnt meanwhile. */
  mix: number | null;
}

/** What an experiment is: the options that decide its numbers. */
export interface Experiment
  extends
    AveragingOptions,
    LanguageModelOptions,
    GptModelOptions,
    TokenizerOptions,
    InputFileOptions,
    ImageOptions,
    ArrayTaskOptions,
    SteppingOptions {
  /** What becomes of a step that is not finite. */
  onNan: "stop" | "skip" | "rollback";
  /** An experiment of the paper, which the other options given take precedence over; null: none. */
  preset: PresetName | null;
  /** About which share of the work is done, by fewer epochs, less data and a smaller network. */
  scale: number;
  /** What is learnt. */
  task: TaskName;
  /** The network. */
  model: ModelName | NetworkFile;
  /** How the ranks learn together. */
  algorithm: AlgorithmName;
  /** Learning rate η. */
  lr: number;
  /** Clipping threshold γ. */
  clip: number;
  /** The norm that clips. */
  clipBy: ClipBy;
  /** Learning rate of the step that a round takes (slowmo, diloco, amplified-scaffold, sparseloco); null: the algorithm's own. */
  outerLr: number | null;
  /** Momentum from round to round (slowmo, diloco); null: the algorithm's own. */
  outerMomentum: number | null;
  /** Rounds of a period (amplified-scaffold); null: those that the sampling has. */
  period: number | null;
  /** What is left after a round of what a rank owes, β (sparseloco). */
  residualDecay: number;
  /** What holds local steps back towards the start of their round, μ (fedprox). */
  proximalMu: number;
  /** Samples a rank takes in one step. */
  batchSize: number;
  /** What is done about batch norm's running statistics. */
  batchNorm: "average" | "local" | "recalibrate";
  /** Processes, N. */
  ranks: number;
  /** Ranks that average in each round; null: all. */
  participants: number | null;
  /** How they are drawn, such as `uniform` or `periodic:2,5`. */
  sampling: string;
  /** How weights and gradients travel, such as `none`, `int8` or `topk:0.01`. */
  compress: string;
  /** How the ranks share the training data, such as `iid` or `dirichlet:0.5`. */
  partition: string;
  /** Training samples to generate (generated tasks). */
  trainSize: number;
  /** Test samples to generate (generated tasks). */
  testSize: number;
  /** Passes over the training data, by all ranks together. */
  epochs: number;
  /** Steps after which to stop; null: when the epochs are over. */
  maxSteps: number | null;
  /** Epochs between evaluations. */
  evalEvery: number;
  /** Training samples on which each evaluation measures the averaged weights (not of texts); 0: none. */
  trainEval: number;
  /** Share of the training samples, or of a text of one's own, that is held out for validation; 0: the test set is scored all along. */
  validFraction: number;
  /** Evaluations without a lower validation loss after which a run stops; null: it does not. */
  patience: number | null;
  /** Decides everything that is drawn. */
  seed: number;
}

/** What becomes of a run that loses ranks. */
export interface RecoveryOptions {
  /** Whether it ends, starts again from its last checkpoint, or goes on without them. */
  onFailure: "stop" | "restart" | "shrink";
  /** Fewest and most ranks where it goes on without some, such as `2..4`; null: any. */
  elastic: string | null;
  /** How often it starts again without having come further. */
  maxRestarts: number;
  /** Seconds that ranks wait for one that is late before they leave it out; null: as long as it takes. */
  maxWait: number | null;
  /** Folder of the run that is run again, with the ranks that it had when; null: none. */
  replay: string | null;
}

/** Where an experiment runs, and what it reads. */
export interface ExecutionOptions extends RecoveryOptions {
  /** Where the graph runs. */
  device: "auto" | "webgpu" | "cpu" | "wasm";
  /** Threads of each rank on the cpu device. */
  threads: number;
  /** Folder of the data set; null: none. */
  data: string | null;
  /** Whether to fetch the data set if it is not there. */
  download: boolean;
  /** Addresses that are tried before the public ones. */
  mirror: readonly string[];
  /** Whether rank 0's host sends its data set's files to the other hosts. */
  sendData: boolean;
  /** Whether each host keeps its ranks' parts of checkpoints. */
  checkpointLocal: boolean;
  /** Steps between two checkpoints, or a time such as `10min`; null: none are written. */
  checkpointEvery: number | string | null;
  /** How many checkpoints are kept. */
  keep: number;
  /** Folder of the run to go on with; null: a new one. */
  resume: string | null;
  /** Seconds within which a run that a scheduler ends has to write its checkpoint. */
  grace: number;
  /** Exit code of a run that a scheduler has ended, and that can go on. */
  preemptedCode: number;
  /** In which form the numbers are logged beside `metrics.jsonl`; null: none. */
  log: "tensorboard" | null;
  /** Whether the run's end is followed by `trace.json`. */
  trace: boolean;
  /** Steps of rank 0 whose kernels the trace has; null: none. */
  traceKernels: number | null;
  /** Whether the command line prints the summary as JSON. */
  json: boolean;
}

/** How processes are started: these go with any program, not only with training. */
export interface ProcessOptions {
  /** Environment variables of the ranks. */
  env: Readonly<Record<string, string>>;
  /** Folder in which the ranks run; null: this process's. */
  cwd: string | null;
  /** What the ranks may do beside talking to each other, as Deno's flags without `--allow-`. */
  allow: readonly string[];
  /** Which ranks get what comes in on the launcher's standard input; that of the others is empty. */
  stdin: "rank0" | "all" | "none";
  /** What the ranks talk over. */
  transport: "auto" | "tcp" | "unix" | "mpi";
  /** Address of this host on which the ranks listen to each other. */
  listen: string;
  /** Longest silence, in seconds, of a rank that others wait for. */
  timeout: number;
  /** The access link that every rank is to be behind, such as `100mbit,20ms`; null: none. */
  link: string | null;
  /** Connections between two ranks of different hosts. */
  connections: number;
  /** PEM file of this host's certificate, for TLS between the ranks; null: none. */
  tlsCert: string | null;
  /** PEM file of its private key. */
  tlsKey: string | null;
  /** PEM file of the authority that the ranks trust. */
  tlsCa: string | null;
  /** Folder for the run's files; null: `runs/<time>-<name>`. */
  out: string | null;
  /** Whether the command line prints nothing but errors. */
  quiet: boolean;
}

/** Which hosts the ranks run on. */
export interface HostOptions {
  /** All ranks, those of other hosts included, which join with an invitation; null: those of this host. */
  world: number | null;
  /** Hosts to reach by ssh, and their ranks, such as `a:4,b:4`; null: none. */
  hosts: string | null;
  /** File that lists them, in Open MPI's format; null: none. */
  hostfile: string | null;
  /** Port of this host's launcher, its ranks take those that follow; null: any. */
  port: number | null;
  /** File to write the invitation to; null: one in the folder for temporary files. */
  invitation: string | null;
}

/** Every option with a value. */
export interface Options extends Experiment, ExecutionOptions, ProcessOptions, HostOptions {}

/** An option's name in code. */
export type OptionName = keyof Options;
