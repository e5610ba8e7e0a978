/**
 * The GPT that a run's options describe.
 *
 * @module
 */

import { gpt } from "../../models/mod.ts";
import { counted } from "../../runtime/base/words.ts";
import type {
  GptModelOptions,
  LanguageModelOptions,
  ModelName,
  NetworkFile,
  Options,
} from "../options/values.ts";
import type { TrainableModel } from "../task.ts";

/** The options that make the network. */
type GptNetworkOptions =
  & Omit<GptModelOptions, "vocabulary">
  & Pick<LanguageModelOptions, "layers">
  & Partial<Pick<Options, "labelSmoothing">>;

/** The GPT of a run, for so many different tokens. */
export function gptOf(options: GptNetworkOptions, vocabulary: number): TrainableModel {
  const { layers, heads, width, context, positions, dropout, labelSmoothing = 0 } = options;
  const model = gpt({
    vocabulary,
    layers,
    heads,
    width,
    context,
    positions,
    dropout,
    labelSmoothing,
  });
  return {
    ...model,
    decoder: {
      context,
      graph: () => model.decoder(),
      feeds: (token, position) => ({
        input: { type: "int32", dims: [1, 1], data: Int32Array.of(token) },
        position: { type: "int32", dims: [], data: Int32Array.of(position) },
      }),
    },
  };
}

/** How long the windows are that a network is fed: as the GPT's options say, or as those of all others. */
export function windowLength(
  { model, context, bptt }: { model: ModelName | NetworkFile; context: number; bptt: number },
): number {
  return model === "gpt" ? context : bptt;
}

/**
 * How many tokens a network is to know that learns a text of so many different ones.
 *
 * @throws RangeError when there are more than the option says
 */
export function vocabularyOf(
  { vocabulary }: Pick<GptModelOptions, "vocabulary">,
  words: number,
): number {
  if (vocabulary === null || vocabulary >= words) return vocabulary ?? words;
  throw new RangeError(
    `--vocabulary ${vocabulary} is less than the ${counted(words, "word")} of the text`,
  );
}
