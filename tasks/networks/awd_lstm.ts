/**
 * The AWD-LSTM that a run's options describe, and how the trainer takes it.
 *
 * @module
 */

import { type AwdLstm, awdLstm } from "../../models/mod.ts";
import type { LanguageModelOptions } from "../options/values.ts";
import type { TrainableModel } from "../task.ts";

/** The options that make the network. */
type AwdLstmOptions = Omit<
  LanguageModelOptions,
  "bptt" | "averagingTrigger" | "testColumns" | "evalTokens"
>;

/** The AWD-LSTM of a run, for a text of so many different words. */
export function awdLstmOf(options: AwdLstmOptions, vocabulary: number): AwdLstm {
  const { embedding, hidden, layers } = options;
  return awdLstm({
    vocabulary,
    embedding,
    hidden,
    layers,
    dropout: {
      word: options.dropoutWord,
      input: options.dropoutInput,
      hidden: options.dropoutHidden,
      output: options.dropoutOutput,
      weight: options.dropoutWeight,
    },
    activation: options.activationRegularisation,
    temporal: options.temporalRegularisation,
  });
}

/** An AWD-LSTM as the trainer takes it. */
export function awdLstmModel(model: AwdLstm): TrainableModel {
  return {
    name: model.name,
    anyLength: true,
    ties: { "decoder.weight": "encoder.weight" },
    logged: "cross_entropy",
    build: (options) => model.build(options),
    masks: (batchSize, key) => model.feeds.masks(batchSize, key),
  };
}
