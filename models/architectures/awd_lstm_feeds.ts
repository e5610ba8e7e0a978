/**
 * What an AWD-LSTM's graphs are fed: windows of text, and the dropout masks of a step.
 *
 * @module
 */

import type { HostTensor } from "../../runtime/devices/device.ts";
import type { AwdLstmConfig } from "./awd_lstm_options.ts";
import { dropoutMask, keptRows, type MaskKey } from "./dropout.ts";

/** Inputs by name. */
export type TensorFeeds = Record<string, HostTensor>;

/** How the inputs of a weight's kept rows are named: the weight's name and this. */
export const ROWS_SUFFIX = { rows: ".rows", positions: ".positions", scale: ".scale" } as const;

/** A stretch of text, one column for each sample of the batch. */
export interface TextStretch {
  /** Word numbers, row-major `[length, batch]`. */
  readonly input: Int32Array;
  /** The words that follow. */
  readonly target: Int32Array;
}

/** How a stretch of text is fed. */
export interface StretchOptions {
  /** Columns. */
  readonly batchSize: number;
  /** Steps of the graph; a shorter stretch is filled up with steps that count nowhere. */
  readonly length: number;
  /** Whether the carried state is zeroed first. */
  readonly restart: boolean;
  /** For evaluation: 1 where a prediction counts, 0 where not, of the stretch's size. */
  readonly mask?: Float32Array;
}

/** Every dropout mask of a training step: a pure function of its arguments. */
export function dropoutMasks(
  { vocabulary, embedding, hidden, layers, dropout, weightDrop }: AwdLstmConfig,
  batchSize: number,
  key: MaskKey,
): TensorFeeds {
  const feeds: TensorFeeds = {};
  const mask = (name: string, dims: readonly number[], probability: number) => {
    if (probability > 0) feeds[name] = dropoutMask(name, dims, probability, key);
  };
  mask("encoder.dropout", [vocabulary], dropout.word);
  mask("input.dropout", [1, batchSize, embedding], dropout.input);
  for (let layer = 0; layer < layers; layer++) {
    const last = layer === layers - 1, size = last ? embedding : hidden;
    const weight = `rnns.${layer}.weight_hh_l0`;
    if (!last) mask(`rnns.${layer}.dropout`, [1, batchSize, size], dropout.hidden);
    if (weightDrop === "elements") {
      mask(`${weight}.dropout`, [4 * size, size], dropout.weight);
    } else if (dropout.weight > 0) {
      const { rows, positions, scale } = keptRows(weight, 4 * size, dropout.weight, key);
      feeds[weight + ROWS_SUFFIX.rows] = rows;
      feeds[weight + ROWS_SUFFIX.positions] = positions;
      feeds[weight + ROWS_SUFFIX.scale] = scale;
    }
  }
  mask("output.dropout", [1, batchSize, embedding], dropout.output);
  return feeds;
}

/** Makes feeds of texts for one model's graphs. The tensors are the caller's. */
export class AwdLstmFeeds {
  readonly #config: AwdLstmConfig;

  /**
   * Feeds for a model.
   *
   * @param config the model's, with every option resolved
   */
  constructor(config: AwdLstmConfig) {
    this.#config = config;
  }

  /** A stretch of text for a training graph, whose loss is the mean over its tokens. */
  training(text: TextStretch, options: StretchOptions): TensorFeeds {
    const { batchSize, length, restart } = options;
    const steps = stepsOf(text, options), tokens = steps * batchSize;
    const weight = new Float32Array(length * batchSize).fill(1 / tokens, 0, tokens);
    const feeds = stretch(text, steps, weight, batchSize, length, restart);
    if (this.#config.temporal) {
      const pairs = new Float32Array(length * batchSize);
      pairs.fill(1 / (tokens - batchSize), batchSize, tokens);
      feeds.pair_weight = { type: "float32", dims: [length, batchSize], data: pairs };
    }
    return feeds;
  }

  /** A stretch of text for an evaluation graph, which sums over the tokens that count. */
  evaluation(text: TextStretch, options: StretchOptions): TensorFeeds {
    const { batchSize, length, restart, mask } = options;
    const steps = stepsOf(text, options), tokens = steps * batchSize;
    const weight = new Float32Array(length * batchSize);
    if (mask) weight.set(mask);
    else weight.fill(1, 0, tokens);
    return stretch(text, steps, weight, batchSize, length, restart);
  }
}

function stepsOf({ input, target }: TextStretch, { batchSize, length, mask }: StretchOptions) {
  const steps = input.length / batchSize;
  const fits = Number.isInteger(steps) && steps >= 1 && steps <= length &&
    target.length === input.length && (mask?.length ?? input.length) === input.length;
  if (fits) return steps;
  throw new RangeError(
    `cannot feed ${input.length} words with ${target.length} targets to a graph of ${length} steps ` +
      `and ${batchSize} columns: need as many targets as words, in full rows, at most ${length} of them`,
  );
}

function stretch(
  { input, target }: TextStretch,
  steps: number,
  weight: Float32Array,
  batchSize: number,
  length: number,
  restart: boolean,
): TensorFeeds {
  const dims = [length, batchSize];
  const filled = (words: Int32Array) => {
    const data = new Int32Array(length * batchSize);
    data.set(words);
    return { type: "int32", dims, data } as const;
  };
  return {
    input: filled(input),
    target: filled(target),
    weight: { type: "float32", dims, data: weight },
    restart: { type: "float32", dims: [], data: Float32Array.of(Number(restart)) },
    last: { type: "int32", dims: [], data: Int32Array.of(steps - 1) },
  };
}
