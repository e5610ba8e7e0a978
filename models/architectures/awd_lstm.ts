/**
 * AWD-LSTM: Merity, Keskar and Socher, Regularizing and Optimizing LSTM Language Models, ICLR 2018. An
 * embedding, a stack of LSTMs and a decoder that shares the embedding's weights, under five kinds of
 * dropout.
 *
 * Weight drop takes whole rows of the hidden-to-hidden matrices, as in the code of CELGC's authors, so the
 * recurrence is computed with the rows that are left; the paper's, of single elements, can be asked for.
 *
 * @module
 */

import { AwdLstmFeeds, dropoutMasks, ROWS_SUFFIX, type TensorFeeds } from "./awd_lstm_feeds.ts";
import type { AwdLstmConfig, AwdLstmDropout, AwdLstmOptions } from "./awd_lstm_options.ts";
import { checkDropout, type MaskKey, rowCapacity } from "./dropout.ts";
import type { Graph, Value } from "../graph.ts";
import { checkSmoothing, filled, LayerBuilder, smoothedCrossEntropy, uniform } from "./layers.ts";
import type { Target } from "../lowering/mod.ts";
import type { BuildOptions, Model, ModelGraph } from "../model.ts";
import { LSTM_OUTPUTS } from "../ops/layers/recurrent.ts";

/** Options of {@linkcode AwdLstm.build}. */
export interface AwdLstmBuildOptions extends BuildOptions {
  /** Steps of the window, or the most there can be: see {@linkcode AwdLstm.bucket}. */
  readonly length: number;
}

/** An AWD-LSTM: its graphs and what they are fed. */
export interface AwdLstm extends Model<AwdLstmBuildOptions> {
  /** Every option, as resolved. */
  readonly config: AwdLstmConfig;
  /** Makes what the graphs are fed of a text. */
  readonly feeds: AwdLstmFeeds;
  /** Every dropout mask of a training step: a pure function of its arguments. */
  masks(batchSize: number, key: MaskKey): TensorFeeds;
  /** One graph takes windows of every length, where shapes are not fixed. */
  readonly anyLength: true;
  /** The decoder's weight is the encoder's. */
  readonly ties: Readonly<Record<string, string>>;
  /** The output that tells how well a training step predicts: the loss without regularisation. */
  readonly logged: "cross_entropy";
  /**
   * The length of the graph that takes a window of `length` steps. On WebGPU shapes are fixed, so there is a
   * graph for every {@linkcode BUCKET} steps. Elsewhere one graph takes every window: it is always the
   * same length, and is to be encoded with the axis symbolic.
   */
  bucket(target: Target, length: number): number;
}

const DROPOUT: AwdLstmDropout = { word: 0.1, input: 0.4, hidden: 0.25, output: 0.4, weight: 0.5 };

/** Lengths of graphs with fixed shapes are multiples of this. */
const BUCKET = 10;

/** The length a graph is built at whose length does not matter. */
const ANY_LENGTH = 70;

/**
 * The AWD-LSTM language model.
 *
 * Inputs `input` and `target`, int32 `[length, batch]`, and others that {@linkcode AwdLstm.feeds} and
 * {@linkcode AwdLstm.masks} make.
 * Variables as in the authors' PyTorch code: `encoder.weight` `[vocabulary, embedding]`, for each layer
 * `rnns.<l>.weight_ih_l0`, `.weight_hh_l0`, `.bias_ih_l0`, `.bias_hh_l0`, and `decoder.bias`; the decoder's
 * weight is the encoder's. State carried from window to window, of role "carry": `rnns.<l>.hidden` and
 * `rnns.<l>.cell`, `[batch, size]`.
 *
 * Outputs in training: `loss`, the mean cross entropy in nats a token plus both regularisation terms, and
 * `cross_entropy` without them. In evaluation: `loss_sum`, the cross entropy summed over the tokens that
 * count, `count`, how many do, `loss`, their quotient, and `logits` `[length, batch, vocabulary]`.
 *
 * @throws RangeError when an option is out of range
 */
export function awdLstm(options: AwdLstmOptions): AwdLstm {
  const config: AwdLstmConfig = {
    embedding: 400,
    hidden: 1150,
    layers: 3,
    weightDrop: "rows",
    activation: 2,
    temporal: 1,
    labelSmoothing: 0,
    ...options,
    dropout: { ...DROPOUT, ...options.dropout },
  };
  for (const key of ["vocabulary", "embedding", "hidden", "layers"] as const) {
    if (!Number.isInteger(config[key]) || config[key] < 1) {
      throw new RangeError(`an AWD-LSTM's ${key} is a whole number from 1, not ${config[key]}`);
    }
  }
  for (const [name, probability] of Object.entries(config.dropout)) checkDropout(name, probability);
  checkSmoothing(config.labelSmoothing);
  return {
    name: "awd-lstm",
    config,
    feeds: new AwdLstmFeeds(config),
    masks: (batchSize, key) => dropoutMasks(config, batchSize, key),
    anyLength: true,
    ties: { "decoder.weight": "encoder.weight" },
    logged: "cross_entropy",
    build: (build) => new Builder(config, build).build(),
    bucket: (target, length) =>
      target === "webgpu" ? Math.ceil(length / BUCKET) * BUCKET : ANY_LENGTH,
  };
}

/** Sizes of the LSTMs: hidden, …, hidden, embedding. */
function layerSizes({ layers, hidden, embedding }: AwdLstmConfig): number[] {
  return Array.from({ length: layers }, (_, i) => i < layers - 1 ? hidden : embedding);
}

class Builder {
  readonly layers: LayerBuilder;
  readonly g: Graph;

  constructor(readonly config: AwdLstmConfig, readonly options: AwdLstmBuildOptions) {
    this.layers = new LayerBuilder(options.mode);
    this.g = this.layers.graph;
  }

  build(): ModelGraph {
    const { g, config, options: { batchSize, length } } = this;
    const { vocabulary, embedding, dropout } = config;
    const input = g.input("input", "int32", [length, batchSize]);
    const target = g.input("target", "int32", [length, batchSize]);
    const weight = g.input("weight", "float32", [length, batchSize]);
    const restart = g.greater(g.input("restart", "float32", []), 0);
    const last = g.input("last", "int32", []);
    const words = this.layers.variable(
      "encoder.weight",
      [vocabulary, embedding],
      "parameter",
      uniform(0.1),
    );

    let x = g.op("Gather", [words, input], { axis: 0 });
    if (this.drops("word")) {
      const mask = g.input("encoder.dropout", "float32", [vocabulary]);
      x = g.mul(x, g.unsqueeze(g.op("Gather", [mask, input], { axis: 0 }), [2]));
    }
    x = this.locked("input.dropout", x, dropout.input);
    let raw = x;
    for (const [layer, size] of layerSizes(config).entries()) {
      raw = this.lstm(`rnns.${layer}`, x, size, restart, last);
      const final = layer === config.layers - 1;
      x = final
        ? this.locked("output.dropout", raw, dropout.output)
        : this.locked(`rnns.${layer}.dropout`, raw, dropout.hidden);
    }

    const bias = this.layers.variable("decoder.bias", [vocabulary], "parameter", filled(0));
    const rows = g.reshape(x, [-1, embedding]);
    const logits = g.op("Gemm", [rows, words, bias], { alpha: 1, beta: 1, transA: 0, transB: 1 });
    const smoothing = this.options.mode === "train" ? config.labelSmoothing : 0;
    const losses = smoothedCrossEntropy(g, logits, g.reshape(target, [-1]), smoothing);
    const sum = weightedSum(g, losses, weight);
    const outputs = this.options.mode === "train"
      ? this.trainingOutputs(sum, x, raw, weight)
      : this.evaluationOutputs(sum, weight, g.reshape(logits, [-1, batchSize, vocabulary]));
    return { graph: g, loss: outputs.loss, outputs, variables: this.layers.variables };
  }

  private drops(which: keyof AwdLstmDropout): boolean {
    return this.options.mode === "train" && this.config.dropout[which] > 0;
  }

  /** Dropout with one mask for all steps (Gal and Ghahramani 2016). */
  private locked(name: string, x: Value, probability: number): Value {
    if (this.options.mode !== "train" || probability === 0) return x;
    const mask = this.g.input(name, "float32", [1, ...x.dims.slice(1)]);
    return this.g.mul(x, mask);
  }

  /** One LSTM with its carried state: `[length, batch, inputs]` to `[length, batch, size]`. */
  private lstm(name: string, x: Value, size: number, restart: Value, last: Value): Value {
    const { g, layers } = this;
    g.scope = `${name}/`;
    const [, batch, inputs] = x.dims;
    const start = uniform(1 / Math.sqrt(size));
    const parameter = (what: string, dims: number[]) =>
      layers.variable(`${name}.${what}`, dims, "parameter", start);
    const byInput = parameter("weight_ih_l0", [4 * size, inputs]);
    const byHidden = parameter("weight_hh_l0", [4 * size, size]);
    const bias = g.add(
      parameter("bias_ih_l0", [4 * size]),
      parameter("bias_hh_l0", [4 * size]),
    );
    const carry = (what: string) =>
      layers.variable(`${name}.${what}`, [batch, size], "carry", filled(0));
    const hidden = carry("hidden"), cell = carry("cell");

    const products = g.op("Gemm", [g.reshape(x, [-1, inputs]), byInput, bias], {
      alpha: 1,
      beta: 1,
      transA: 0,
      transB: 1,
    });
    const [states, cells] = g.opMany(
      "celgc.LSTM",
      [
        g.reshape(products, [-1, batch, 4 * size]),
        ...this.recurrence(name, byHidden, [
          g.where(restart, 0, hidden),
          g.where(restart, 0, cell),
        ]),
      ],
      {},
      LSTM_OUTPUTS,
    );
    layers.update(hidden, g.op("Gather", [states, last], { axis: 0 }));
    layers.update(cell, g.op("Gather", [cells, last], { axis: 0 }));
    g.scope = "";
    return states;
  }

  /** The dropped hidden-to-hidden weights, the states, and what the operator needs to know of the rows. */
  private recurrence(name: string, weight: Value, states: Value[]): Value[] {
    const { g, config: { weightDrop, dropout } } = this;
    if (!this.drops("weight")) return [weight, ...states];
    const key = `${name}.weight_hh_l0`;
    if (weightDrop === "elements") {
      return [g.mul(weight, g.input(`${key}.dropout`, "float32", weight.dims)), ...states];
    }
    const count = weight.dims[0], capacity = rowCapacity(count, dropout.weight);
    const rows = g.input(`${key}${ROWS_SUFFIX.rows}`, "int32", [capacity]);
    const positions = g.input(`${key}${ROWS_SUFFIX.positions}`, "int32", [count]);
    const scale = g.input(`${key}${ROWS_SUFFIX.scale}`, "float32", [capacity]);
    const kept = g.op("celgc.SelectRows", [weight, rows, positions]);
    return [kept, ...states, rows, positions, scale];
  }

  /**
   * Adds activation and temporal activation regularisation (Merity, McCann and Socher 2017): both of the
   * last LSTM's output, the one after dropout, the other before it.
   */
  private trainingOutputs(crossEntropy: Value, dropped: Value, raw: Value, weight: Value) {
    const { g, config: { activation, temporal, embedding } } = this;
    let loss = crossEntropy;
    if (activation) {
      const squares = g.sum(g.mul(dropped, dropped), [2], true);
      loss = g.add(loss, g.mul(weightedSum(g, squares, weight), activation / embedding));
    }
    if (temporal) {
      // The weight of step t is that of the change from t − 1 to t; there is none before the first.
      const pairs = g.input("pair_weight", "float32", weight.dims);
      // A window of one step has no change.
      if (this.options.length > 1) loss = g.add(loss, this.change(raw, pairs));
    }
    return {
      loss: g.output("loss", loss),
      cross_entropy: g.output("cross_entropy", crossEntropy),
    };
  }

  /** Temporal regularisation of a window of at least two steps. */
  private change(raw: Value, pairs: Value): Value {
    const { g, config: { temporal, embedding } } = this;
    const later = g.slice(raw, [0], [1], [INT_MAX]), earlier = g.slice(raw, [0], [0], [-1]);
    const change = g.sub(later, earlier);
    const squares = g.sum(g.mul(change, change), [2], true);
    const each = g.slice(pairs, [0], [1], [INT_MAX]);
    return g.mul(weightedSum(g, squares, each), temporal / embedding);
  }

  private evaluationOutputs(lossSum: Value, weight: Value, logits: Value) {
    const { g } = this;
    const count = g.sum(weight);
    return {
      loss: g.output("loss", g.div(lossSum, count)),
      loss_sum: g.output("loss_sum", lossSum),
      count: g.output("count", count),
      logits: g.output("logits", logits),
    };
  }
}

/** Σ weights · values over all elements, as one product: so no constant holds how many there are. */
function weightedSum(g: Graph, values: Value, weights: Value): Value {
  return g.reshape(g.matmul(g.reshape(weights, [1, -1]), g.reshape(values, [-1, 1])), []);
}

/** Slice's mark for "to the end". */
const INT_MAX = 2 ** 31 - 1;
