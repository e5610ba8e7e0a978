/** The part of the table of options that is about texts and the networks that read them. */

import { choice, GROUPS, integer, type OptionSpec, real, type Table, text } from "./kinds.ts";
import { parseTokenizer } from "../data/tokenizers/spec.ts";
import { POSITIONS } from "../../models/mod.ts";
import type { GptModelOptions, LanguageModelOptions, TokenizerOptions } from "./values.ts";

const { TEXT, GPT } = GROUPS;

/** The defaults of Merity, Keskar and Socher (ICLR 2018) on Penn Treebank. */
export const LANGUAGE_MODEL: Table<LanguageModelOptions> = {
  embedding: integer({
    flag: "--embedding",
    group: TEXT,
    help: "size of the word vectors and of the last LSTM",
    unit: "floats",
    from: 1,
    default: 400,
    defaultText: "400; 64 on generated-text",
  }),
  hidden: integer({
    flag: "--hidden",
    group: TEXT,
    help: "size of the other LSTMs",
    unit: "floats",
    from: 1,
    default: 1150,
    defaultText: "1150; 128 on generated-text",
  }),
  layers: integer({
    flag: "--layers",
    group: TEXT,
    help: "LSTMs, the gpt's blocks, or the mlp's hidden layers, on top of each other",
    unit: "layers",
    from: 1,
    default: 3,
    defaultText: "3; 2 on generated-text; 6 with gpt, there 2 as well; 2 with mlp",
  }),
  bptt: integer({
    flag: "--bptt",
    group: TEXT,
    help: "mean length of the windows of text that steps learn from, drawn anew for each step; η " +
      "and γ are scaled by length/bptt",
    unit: "tokens",
    from: 5,
    default: 70,
    defaultText: "70; 35 on generated-text",
  }),
  dropoutWord: dropout("--dropout-word", "a word, in all its occurrences", 0.1),
  dropoutInput: dropout("--dropout-input", "an element of the word vectors", 0.4),
  dropoutHidden: dropout(
    "--dropout-hidden",
    "an element between two LSTMs",
    0.25,
    "0.2 on wikitext2",
  ),
  dropoutOutput: dropout("--dropout-output", "an element of the last LSTM's output", 0.4),
  dropoutWeight: dropout("--dropout-weight", "a row of the hidden-to-hidden weights", 0.5),
  activationRegularisation: real({
    flag: "--activation-regularisation",
    group: TEXT,
    help: "α, what the mean square of the last LSTM's output adds to the loss",
    from: 0,
    default: 2,
    defaultText: "2; 0 on generated-text",
  }),
  temporalRegularisation: real({
    flag: "--temporal-regularisation",
    group: TEXT,
    help: "β, what the mean square of its change from token to token adds to the loss",
    from: 0,
    default: 1,
    defaultText: "1; 0 on generated-text",
  }),
  averagingTrigger: orNone(integer({
    flag: "--averaging-trigger",
    group: TEXT,
    help: "evaluations without progress on the validation text after which the weights of all " +
      "further steps are averaged and the average is what is evaluated (NT-ASGD), or none",
    unit: "evaluations",
    from: 1,
    default: null,
    defaultText: "none; the presets of texts have 5",
  })),
  averaging: choice({
    flag: "--averaging",
    group: TEXT,
    help:
      "once averaging has begun, the weights enter the average at each step, as NT-ASGD has it, " +
      "or at each epoch's end, as in the authors' code",
    choices: ["step", "epoch"],
    default: "step",
    defaultText: "step; the presets of texts have epoch",
  }),
  testColumns: integer({
    flag: "--test-columns",
    group: TEXT,
    help:
      "columns side by side in which the test text is evaluated, shared by the ranks; 1 reads " +
      "it in one go, as AWD-LSTM's own code does (validation: 10)",
    unit: "columns",
    from: 1,
    default: 1,
    defaultText: "1; 2 in the presets of texts, 10 on generated-text",
  }),
  evalTokens: integer({
    flag: "--eval-tokens",
    group: TEXT,
    help: "evaluate this many tokens of each held-out text at most",
    unit: "tokens",
    from: 1,
    default: null,
    defaultText: "all of them",
  }),
};

/** How a text of one's own is read. */
export const TOKENIZER: Table<TokenizerOptions> = {
  tokenizer: text({
    flag: "--tokenizer",
    group: TEXT,
    help:
      "what the tokens of --task text are: bytes | char | words | words:N (the N most frequent) | " +
      "bpe:N (pairs of bytes learnt from the training text, N symbols) | the path of a Hugging Face " +
      "tokenizer.json",
    default: "bytes",
    placeholder: "kind",
    normalise: (kind) => (parseTokenizer(kind), kind),
  }),
};

/** The defaults of nanoGPT's smallest network on characters. */
export const GPT_MODEL: Table<GptModelOptions> = {
  heads: integer({
    flag: "--heads",
    group: GPT,
    help: "heads of attention in each block, which share the width",
    unit: "heads",
    from: 1,
    default: 6,
    defaultText: "6; 4 on generated-text",
  }),
  width: integer({
    flag: "--width",
    group: GPT,
    help: "size of the vectors from block to block, a multiple of the heads; of the mlp's layers",
    unit: "floats",
    from: 1,
    default: 384,
    defaultText: "384; 64 on generated-text and with mlp",
  }),
  context: integer({
    flag: "--context",
    group: GPT,
    help: "length of the windows of text that steps learn from, the most the network looks back on",
    unit: "tokens",
    from: 1,
    default: 256,
    defaultText: "256; 64 on generated-text",
  }),
  positions: choice({
    flag: "--positions",
    group: GPT,
    help:
      "how it knows where a token stands; a vector learned for each place, as GPT-2 has it, or " +
      "queries and keys turned by angles that grow with the place",
    choices: POSITIONS,
    default: POSITIONS[0],
  }),
  dropout: real({
    flag: "--dropout",
    group: GPT,
    help:
      "probability with which training drops an element of the embedding, of what each attention " +
      "and each MLP adds, and of the attention's probabilities",
    from: 0,
    below: 1,
    default: 0,
  }),
  vocabulary: integer({
    flag: "--vocabulary",
    group: GPT,
    help:
      "different tokens that a language model (awd-lstm too) knows, if more than there are in the text",
    unit: "tokens",
    from: 1,
    default: null,
    defaultText: "those of the text",
  }),
};

function dropout(
  flag: string,
  what: string,
  value: number,
  elsewhere?: string,
): OptionSpec<number> {
  const notes = [elsewhere, "0 on generated-text"].filter(Boolean).join(", ");
  return real({
    flag,
    group: TEXT,
    help: `probability with which training drops ${what}`,
    from: 0,
    below: 1,
    default: value,
    defaultText: `${value}; ${notes}`,
  });
}

/** The same option, with `none` for its absence: what a preset sets can be taken back. */
function orNone(spec: OptionSpec<number | null>): OptionSpec<number | null> {
  return { ...spec, parse: (text) => text === "none" ? null : spec.parse(text) };
}
