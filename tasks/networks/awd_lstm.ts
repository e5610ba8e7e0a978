/**
 * The AWD-LSTM that a run's options describe.
 *
 * @module
 */

import { type AwdLstm, awdLstm } from "../../models/mod.ts";
import type { LanguageModelOptions, Options } from "../options/values.ts";
import type { Decoder } from "../task.ts";

/** The options that make the network. */
type AwdLstmOptions =
  & Omit<
    LanguageModelOptions,
    "bptt" | "averagingTrigger" | "averaging" | "testColumns" | "evalTokens"
  >
  & Partial<Pick<Options, "labelSmoothing">>;

/** A window of one word; the state is zeroed before the first. */
const DECODER: Decoder = {
  context: null,
  feeds: (token, position) => ({
    input: { type: "int32", dims: [1, 1], data: Int32Array.of(token) },
    restart: { type: "float32", dims: [], data: Float32Array.of(position === 0 ? 1 : 0) },
    last: { type: "int32", dims: [], data: Int32Array.of(0) },
  }),
};

/** The AWD-LSTM of a run, for a text of so many different words. */
export function awdLstmOf(
  options: AwdLstmOptions,
  vocabulary: number,
): AwdLstm & { readonly decoder: Decoder } {
  const { embedding, hidden, layers } = options;
  const model = awdLstm({
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
    labelSmoothing: options.labelSmoothing ?? 0,
  });
  return { ...model, decoder: DECODER };
}
