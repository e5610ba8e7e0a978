/**
 * A small run in proportion: about the given share of a run's arithmetic, by fewer epochs, less data and
 * a smaller network, each by the share's cube root.
 *
 * @module
 */

import { RESNET_DEPTHS } from "../../models/mod.ts";
import type { ArrayDataSet, ArraySplits } from "../data/arrays/array_data_set.ts";
import type { ImageDataSet } from "../data/images/image_data_set.ts";
import { firstTokens, type Tokens, type TokenSplits } from "../data/text/tokens.ts";
import type { Options } from "./table.ts";
import { filesOf } from "./defaults.ts";

/** What each of epochs, data and network is multiplied by. */
function cubeRoot(scale: number): number {
  return Math.cbrt(scale);
}

/**
 * The options of a run in proportion: epochs and the epochs of decay, generated samples, and a built-in
 * network; one from a file stays. A ResNet gets the depth nearest to the share of its own; the
 * sizes of an LSTM, of a GPT and of an MLP shrink with the square root, since its work grows with their square. Batch, step sizes and ranks stay.
 *
 * @param options as they would be at full size
 * @param given those that stay as they are
 */
export function scaleOptions(options: Options, given: Readonly<Partial<Options>>): Options {
  if (options.scale === 1) return options;
  const share = cubeRoot(options.scale), side = Math.sqrt(share);
  const whole = (value: number, least: number) => Math.max(least, Math.round(value * share));
  const width = (value: number) => Math.max(Math.min(value, 8), Math.round(value * side));
  const small: Partial<Options> = {
    epochs: options.epochs * share,
    decayAt: options.decayAt.map((epoch) => epoch * share),
    model: networkOf(options.model, share),
    ...filesOf(options.task) !== null ? {} : {
      trainSize: whole(options.trainSize, 10),
      testSize: whole(options.testSize, 10),
    },
    ...options.model !== "awd-lstm" ? {} : {
      embedding: width(options.embedding),
      hidden: width(options.hidden),
    },
    ...options.model !== "mlp" ? {} : { width: width(options.width) },
    ...options.model !== "gpt" ? {} : {
      // Each head gets narrower, by pairs of features.
      width: 2 * options.heads * Math.max(1, Math.round(width(options.width) / options.heads / 2)),
    },
  };
  const kept = Object.keys(small).filter((name) => given[name as keyof Options] !== undefined);
  for (const name of kept) delete small[name as keyof Options];
  return { ...options, ...small };
}

/** A shallower network of the same family. */
function networkOf(model: Options["model"], share: number): Options["model"] {
  const depth = /^resnet(\d+)$/.exec(model)?.[1];
  if (!depth) return model;
  const wanted = Number(depth) * share;
  const distance = (depth: number) => Math.abs(depth - wanted);
  const nearest = RESNET_DEPTHS.toSorted((a, b) => distance(a) - distance(b))[0];
  return `resnet${nearest}` as Options["model"];
}

/** The first part of a labelled set, whose order is taken to be random. */
export function partOfImages(set: ImageDataSet, scale: number): ImageDataSet {
  if (scale === 1) return set;
  const count = Math.max(1, Math.round(set.count * cubeRoot(scale)));
  const pixels = set.pixels.subarray(0, count * set.pixels.length / set.count);
  return { ...set, count, pixels, labels: set.labels.subarray(0, count) };
}

/** The first part of each split of arrays, whose order is drawn. */
export function partOfArrays(splits: ArraySplits, scale: number): ArraySplits {
  if (scale === 1) return splits;
  const part = (set: ArrayDataSet): ArrayDataSet => ({
    ...set,
    count: Math.max(1, Math.round(set.count * cubeRoot(scale))),
  });
  const { train, test, valid } = splits;
  return {
    ...splits,
    train: part(train),
    test: part(test),
    ...valid ? { valid: part(valid) } : {},
  };
}

/** The first part of each split of a text. */
export function partOfText(splits: TokenSplits, scale: number): TokenSplits {
  if (scale === 1) return splits;
  const part = (tokens: Tokens) =>
    firstTokens(tokens, Math.max(2, Math.round(tokens.length * cubeRoot(scale))));
  const { train, valid, test } = splits;
  return { train: part(train), valid: part(valid), test: part(test) };
}
