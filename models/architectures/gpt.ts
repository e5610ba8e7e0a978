/**
 * GPT-2: Radford et al., Language Models are Unsupervised Multitask Learners, 2019. A decoder of blocks that
 * normalise before attention and before their MLP, with one matrix for embedding and output.
 *
 * @module
 */

import { checkDropout, dropoutMask, type FloatTensor, type MaskKey } from "./dropout.ts";
import { type GptConfig, type GptOptions, POSITIONS } from "./gpt_options.ts";
import { GptBlocks } from "./gpt_blocks.ts";
import type { BuildOptions, Model, ModelGraph } from "../model.ts";
import { checkSmoothing, LayerBuilder, smoothedCrossEntropy } from "./layers.ts";

/** Options of {@linkcode Gpt.build}. */
export interface GptBuildOptions extends BuildOptions {
  /** Tokens in a window, up to the context. */
  readonly length: number;
}

/** Options of {@linkcode Gpt.predict}. */
export interface GptPredictOptions {
  /** Windows side by side. */
  readonly batchSize: number;
  /** Tokens in a window, up to the context. @default {the context} */
  readonly length?: number;
}

/** A GPT: its graphs and what they are fed. */
export interface Gpt extends Model<GptBuildOptions> {
  /** Every option, as resolved. */
  readonly config: GptConfig;
  /** Every dropout mask of a training step: a pure function of its arguments. */
  masks(batchSize: number, key: MaskKey, length: number): Record<string, FloatTensor>;
  /** The output's weight is the embedding's. */
  readonly ties: Readonly<Record<string, string>>;
  /** What is not counted among the weights of a file, or is called otherwise: see {@linkcode gpt}. */
  weightName(name: string): string | null;
  /**
   * The graph that predicts from one token more: inputs `input` int32 `[1, 1]` and `position` int32 `[]`,
   * output `logits` `[1, 1, vocabulary]`, and of role "carry" the keys and values of the positions before,
   * `transformer.h.<l>.attn.keys` and `.values`, `[heads, context, width / heads]`.
   */
  decoder(): Pick<ModelGraph, "graph" | "variables">;
  /** `input` to `logits`, over windows as long as the context if no length is said. */
  predict(options: GptPredictOptions): Pick<ModelGraph, "graph" | "variables">;
}

/** The causal masks that Hugging Face's files hold beside the weights. */
const BUFFER = /^transformer\.h\.\d+\.attn\.(masked_)?bias$/;

/**
 * The GPT-2 language model.
 *
 * Inputs `input` and `target`, int32 `[batch, length]`; in evaluation a negative target counts nowhere. With
 * dropout also the masks that {@linkcode Gpt.masks} makes.
 * Variables are named and shaped as in Hugging Face's GPT2LMHeadModel, matrices `[inputs, outputs]`:
 * `transformer.wte.weight` `[vocabulary, width]`, `transformer.wpe.weight` `[context, width]` if positions are
 * learned, for each block `transformer.h.<l>.` with `ln_1`, `attn.c_attn`, `attn.c_proj`, `ln_2`, `mlp.c_fc` and
 * `mlp.c_proj`, and `transformer.ln_f`; each but the first two with `.weight` and `.bias`. In files of weights
 * the prefix `transformer.` may be missing, and the buffers `attn.bias` and `attn.masked_bias` are passed over.
 *
 * Outputs in training: `loss`, the mean cross entropy in nats a token. In evaluation: `loss_sum`, summed over the
 * tokens that count, `count`, how many do, `loss`, their quotient, and `logits` `[batch, length, vocabulary]`.
 *
 * @throws RangeError when an option is out of range, or a window is longer than the context
 */
export function gpt(options: GptOptions): Gpt {
  const config: GptConfig = {
    layers: 6,
    heads: 6,
    width: 384,
    context: 256,
    positions: "learned",
    dropout: 0,
    labelSmoothing: 0,
    ...options,
  };
  checkConfig(config);
  const { heads, width, context, layers, dropout } = config;
  const checkLength = (length: number) => {
    if (length >= 1 && length <= context) return;
    throw new RangeError(
      `a GPT's window is 1 to ${context} tokens long, its context, not ${length}`,
    );
  };
  return {
    name: "gpt",
    config,
    ties: { "lm_head.weight": "transformer.wte.weight" },
    weightName(name) {
      const whole = /^(transformer|lm_head)\./.test(name) ? name : `transformer.${name}`;
      return BUFFER.test(whole) ? null : whole;
    },
    masks(batchSize, key, length) {
      if (dropout === 0) return {};
      const rows = [batchSize, length, width], seen = [batchSize, heads, length, length];
      const names = Array.from({ length: layers }, (_, l) => `transformer.h.${l}.`).flatMap((h) => [
        [`${h}attn.attn_dropout`, seen] as const,
        [`${h}attn.resid_dropout`, rows] as const,
        [`${h}mlp.dropout`, rows] as const,
      ]);
      return Object.fromEntries(
        [["transformer.drop", rows] as const, ...names]
          .map(([name, dims]) => [name, dropoutMask(name, dims, dropout, key)]),
      );
    },
    build(build) {
      checkLength(build.length);
      return buildWindows(config, build);
    },
    decoder: () => buildDecoder(config),
    predict({ batchSize, length = context }) {
      checkLength(length);
      const layers = new LayerBuilder("eval"), g = layers.graph;
      const input = g.input("input", "int32", [batchSize, length]);
      const logits = new GptBlocks(layers, config).windows(input);
      g.output("logits", g.reshape(logits, [batchSize, length, config.vocabulary]));
      return { graph: g, variables: layers.variables };
    },
  };
}

function checkConfig(config: GptConfig): void {
  const { heads, width, positions, dropout } = config;
  for (const key of ["vocabulary", "layers", "heads", "width", "context"] as const) {
    if (Number.isInteger(config[key]) && config[key] >= 1) continue;
    throw new RangeError(`a GPT's ${key} is a whole number from 1, not ${config[key]}`);
  }
  if (width % heads !== 0) {
    throw new RangeError(
      `a GPT's width is divided among its heads: ${width} is no multiple of ${heads}`,
    );
  }
  if (!POSITIONS.includes(positions)) {
    throw new RangeError(`a GPT's positions are ${POSITIONS.join(" or ")}, not ${positions}`);
  }
  if (positions === "rotary" && width / heads % 2 !== 0) {
    throw new RangeError(
      `rotary positions turn pairs of features: a head of ${
        width / heads
      } has an odd number of them`,
    );
  }
  checkDropout("of a GPT", dropout);
  checkSmoothing(config.labelSmoothing);
}

function buildWindows(config: GptConfig, options: GptBuildOptions): ModelGraph {
  const { mode, batchSize, length } = options, layers = new LayerBuilder(mode), g = layers.graph;
  const input = g.input("input", "int32", [batchSize, length]);
  const target = g.reshape(g.input("target", "int32", [batchSize, length]), [-1]);
  const blocks = new GptBlocks(layers, config);
  const logits = blocks.windows(input);
  const smoothing = mode === "train" ? config.labelSmoothing : 0;
  const losses = smoothedCrossEntropy(g, logits, target, smoothing), { variables } = layers;
  if (mode === "train") {
    const loss = g.output("loss", g.mean(losses));
    return { graph: g, loss, outputs: { loss }, variables };
  }
  const counted = g.cast(g.op("GreaterOrEqual", [target, g.scalar(0, "int32")]), "float32");
  const sum = g.sum(g.mul(losses, counted)), count = g.sum(counted);
  const outputs = {
    loss: g.output("loss", g.div(sum, count)),
    loss_sum: g.output("loss_sum", sum),
    count: g.output("count", count),
    logits: g.output("logits", g.reshape(logits, [batchSize, length, config.vocabulary])),
  };
  return { graph: g, loss: outputs.loss, outputs, variables };
}

function buildDecoder(config: GptConfig): Pick<ModelGraph, "graph" | "variables"> {
  const layers = new LayerBuilder("eval"), g = layers.graph;
  const input = g.input("input", "int32", [1, 1]), position = g.input("position", "int32", []);
  const logits = new GptBlocks(layers, config).token(input, position);
  g.output("logits", g.reshape(logits, [1, 1, config.vocabulary]));
  return { graph: g, variables: layers.variables };
}
