/**
 * The AWD-LSTM that a run's options describe.
 *
 * @module
 */

import { type AwdLstm, awdLstm } from "../../models/mod.ts";
import type { LanguageModelOptions } from "../options/values.ts";

/** The options that make the network. */
type AwdLstmOptions = Omit<
  LanguageModelOptions,
  "bptt" | "averagingTrigger" | "averaging" | "testColumns" | "evalTokens"
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
