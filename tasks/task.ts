/**
 * What the training loop knows of what it trains: a {@linkcode TrainableModel} gives graphs, a {@linkcode Task}
 * gives what they are fed. Whether that is images or text, the loop, the training step, the evaluator and the
 * checkpoints do not know.
 *
 * @module
 */

import type { BuildOptions, MaskKey, Model, ModelGraph } from "../models/mod.ts";
import type { HostTensor } from "../runtime/devices/device.ts";

/** A graph's inputs by name. */
export type Feeds = Readonly<Record<string, HostTensor>>;

/**
 * A model as the trainer takes it; a model whose graphs depend on the batch size alone is one as it is.
 *
 * Its variables are told apart by their role. Parameters and statistics are the weights; what is carried
 * from step to step ("carry", such as the hidden state) is each rank's own: it is never averaged, and
 * belongs to the run's checkpoints.
 */
export interface TrainableModel extends Model<BuildOptions & { readonly length: number }> {
  /**
   * Whether one training graph takes batches of every {@linkcode Batch.length}, because the axes in which
   * they differ can be named instead of given a length. Never asked on WebGPU, whose shapes are fixed:
   * there is a graph for each length.
   *
   * @default {false}
   */
  readonly anyLength?: boolean;
  /**
   * Whether an evaluation's batches must be full: the loss is a mean that counts whatever fills them up.
   * @default {false}
   */
  readonly wholeBatches?: boolean;
  /**
   * The one batch that its graphs can be built for, where something fixes it; evaluations take it too.
   * @default {any}
   */
  readonly fixedBatch?: number;
  /** The output of a training graph that is logged as the step's loss. @default {"loss"} */
  readonly logged?: string;
  /**
   * What a training graph is fed beside the data, such as dropout masks: a pure function.
   *
   * @param length the graph's
   */
  masks?(batchSize: number, key: MaskKey, length: number): Feeds;
  /**
   * The graph for prediction alone, where its inputs and outputs are not called `input` and `logits`.
   * @default {the evaluation graph without what measures}
   */
  predict?(options: PredictOptions): Pick<ModelGraph, "graph" | "variables">;
  /** The trained model as an ONNX file, where it is not to be that graph. */
  encode?(weights: ReadonlyMap<string, Float32Array>): Uint8Array;
  /**
   * What a tensor of a file of weights is called here; null for one that is no weight, such as a buffer.
   * @default {the name it has}
   */
  weightName?(name: string): string | null;
  /** How a text is gone on with, for models that predict the next token. */
  readonly decoder?: Decoder;
  /** Second names of variables in PyTorch's state dict, such as `decoder.weight` of `encoder.weight`. */
  readonly ties?: Readonly<Record<string, string>>;
}

/** A network that predicts the next token of one text from a token and what it carries of those before. */
export interface Decoder {
  /** The most tokens that it looks back on; null: there is no limit. */
  readonly context: number | null;
  /**
   * The graph: its variables are the weights and, of role "carry", what it carries, zero at first.
   * @default {the evaluation graph of one step}
   */
  graph?(): Pick<ModelGraph, "graph" | "variables">;
  /** What the graph is fed of a token beside what is carried; its output `logits` holds one row. */
  feeds(token: number, position: number): Feeds;
}

/** What a graph for prediction is built for. */
export interface PredictOptions {
  /** Samples in a batch. */
  readonly batchSize: number;
  /** Steps of a sequence, for models that have them. @default {1} */
  readonly length?: number;
}

/** What one rank learns from in one step. */
export interface Batch {
  /** The training graph's inputs, but for the model's own {@linkcode TrainableModel.masks}. */
  readonly feeds: Feeds;
  /** Length of the graph that takes it, for models that have one. @default {1} */
  readonly length?: number;
  /** What η and γ are multiplied by in this step. @default {1} */
  readonly scale?: number;
  /** Samples (of a text: tokens) in it. @default {the batch size} */
  readonly samples?: number;
  /**
   * The mini-batches that it is made of, in their order: the step is taken along the mean of their gradients,
   * each with the same weight. As many in every step of a run; the first is the batch's own `feeds`.
   *
   * @default {it is one itself}
   */
  readonly parts?: readonly Batch[];
}

/** A part of the data to evaluate, and how a rank evaluates its share of it. */
export interface Split {
  /** As the records call it; null for the test set where there is no validation set. */
  readonly name: "valid" | "test" | "train" | null;
  /**
   * What the sum of the losses is divided by, over all ranks, if the evaluation graph has no output
   * `count`: how many samples there are.
   */
  readonly samples: number;
  /** Batch size of the evaluation graph on this rank. */
  readonly batchSize: number;
  /** Length of the evaluation graph, for models that have one. @default {1} */
  readonly length?: number;
  /** Of amounts: the mean squared distance of the targets from their mean, against which R² is measured. */
  readonly variance?: number;
  /**
   * This rank's share, in the order in which it is run: what the model carries is zero at first and
   * goes on from each to the next. Owned like {@linkcode Task.batch}'s.
   */
  batches(): Iterable<Feeds>;
}

/**
 * What a classifier of images is fed, `[samples, 3, side, side]`: red, green and blue from 0 to 1, less each
 * channel's mean, over its deviation; and what its scores are of.
 */
export interface ImageInput {
  /** Width and height, in pixels. */
  readonly side: number;
  /** Names of the classes, in the order of the scores. */
  readonly classes: readonly string[];
  /** Mean of each channel. */
  readonly mean: readonly [number, number, number];
  /** Standard deviation of each channel. */
  readonly std: readonly [number, number, number];
}

/** One rank's view of a data set. */
export interface Task {
  /** Size of the training set. */
  readonly trainSamples: number;
  /** Samples that are this rank's to learn from; absent where a batch larger than that is none of note. */
  readonly rankSamples?: number;
  /** Steps in which all ranks together see as many samples as there are; may be a fraction. */
  readonly stepsPerEpoch: number;
  /** Steps that so many epochs take. @default {epochs · stepsPerEpoch, rounded up} */
  steps?(epochs: number): number;
  /** Passes over the training data that are done when every rank has done this many steps. */
  epoch(steps: number): number;
  /**
   * What step `t`, counted from 1, learns from: a pure function of (seed, rank, t). The arrays are the
   * task's; they hold until the second call after this one, so that a step can be fed while the one
   * before it is still on its way.
   */
  batch(t: number): Batch;
  /**
   * Batches for measuring batch norm's statistics: training samples without augmentation. Pure, and
   * owned like those of {@linkcode Task.batch}. Needed only by `--batch-norm recalibrate`.
   */
  calibration?(index: number): Feeds;
  /** What is evaluated: the first all along, all of them when training has ended. */
  readonly splits: readonly Split[];
  /**
   * A fixed part of the training set, evaluated whenever the first split is: under the averaged weights,
   * where a step's loss is that of a mini-batch under one rank's.
   *
   * @default {none}
   */
  readonly trainPart?: Split;
  /** What is evaluated before the first step. @default {the first split} */
  readonly untrained?: Split;
  /** The words of a text, one a line in the order of their numbers: a run keeps them beside its model. */
  readonly vocabulary?: string;
  /** What has become of arrays of one's own, as JSON: a run keeps it beside its model. */
  readonly description?: string;
  /** What images have become before a network sees them: a run keeps it beside its model. */
  readonly images?: ImageInput;
  /** Of amounts: what an error is multiplied by to have the unit of the data. @default {1} */
  readonly unit?: number;
  /** Whether exp(loss) is a measure of its own, the perplexity. @default {false} */
  readonly perplexity?: boolean;
  /** What a predictor that knows the source of the text would reach, where it is known. */
  readonly source?: {
    /** Entropy rate of the source, in nats a token. */
    readonly entropyRate: number;
    /** The least perplexity on the test text that can be expected of any predictor. */
    readonly bestPerplexity: number;
  };
}
