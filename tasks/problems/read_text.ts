/**
 * The text that a run's options name.
 *
 * @module
 */

import { generateText } from "../data/text/generated_text.ts";
import { loadTextCorpus } from "../data/text/text_corpus.ts";
import type { TokenSplits } from "../data/text/tokens.ts";
import type { Options } from "../options/table.ts";
import { partOfText } from "../options/scale.ts";
import type { InputFiles } from "../run/inputs.ts";
import { makeTokenizer } from "../run/tokenizer_file.ts";
import type { Task } from "../task.ts";
import { openOwnText, type OwnTextParts, tokenizerOf } from "./own_text.ts";

/** A text, and what is known of it. */
export interface ReadText {
  readonly splits: TokenSplits;
  /** How many different tokens it has. */
  readonly size: number;
  /** What a task on it tells. */
  readonly told: Pick<Task, "vocabulary" | "source">;
  /** What it is read from as tokens are asked for; absent if that is memory. */
  readonly opened?: Disposable;
}

/**
 * Loads or generates a text, or opens it to be read.
 *
 * @throws DataError if the data is not as it should be
 * @throws OptionError if a tokenizer is not
 */
export async function readText(
  options: Options,
  { files, ...parts }: OwnTextParts & { readonly files?: InputFiles | undefined },
): Promise<ReadText> {
  const { task, data, scale, seed, trainSize, testSize } = options;
  if (task === "text") {
    const tokenizer = await tokenizerOf(options, files?.tokenizer ?? await makeTokenizer(options));
    const { size, words } = tokenizer, opened = await openOwnText(options, tokenizer, parts);
    const told = words === null ? {} : { vocabulary: words };
    return { splits: partOfText(opened, scale), size, told, opened };
  }
  if (task !== "generated-text") {
    const corpus = await loadTextCorpus(data!, task), { vocabulary } = corpus;
    return {
      splits: partOfText(corpus, scale),
      size: vocabulary.size,
      told: { vocabulary: vocabulary.lines() },
    };
  }
  const sizes = { train: trainSize, valid: testSize, test: testSize };
  const generated = generateText({ seed, ...sizes }), { vocabulary, source } = generated;
  const { entropyRate } = generated;
  const bestPerplexity = Math.exp(source.meanNats(generated.test));
  const told = { vocabulary: vocabulary.lines(), source: { entropyRate, bestPerplexity } };
  return { splits: generated, size: vocabulary.size, told };
}

/**
 * How many different tokens a text has.
 *
 * @throws DataError if the data is not as it should be
 * @throws OptionError if a tokenizer is not
 */
export async function textSize(options: Options, files: InputFiles): Promise<number> {
  const { task, data } = options;
  if (task === "text") return (await tokenizerOf(options, files.tokenizer!)).size;
  const { vocabulary } = task === "generated-text"
    ? generateText({ train: 2, valid: 2, test: 2 })
    : await loadTextCorpus(data!, task);
  return vocabulary.size;
}
