/**
 * Tokenizers that are made from a training text, as Hugging Face `tokenizer.json` files.
 *
 * @module
 */

import { BYTE_LETTERS, WORD_PATTERN } from "./byte_letters.ts";
import { learnBytePairs } from "./byte_pairs.ts";
import type { TokenizerSpec } from "./spec.ts";
import { END_OF_LINE, UNKNOWN, Vocabulary } from "./vocabulary.ts";
import { WordSplitter } from "./word_splitter.ts";
import { wholeWords } from "./whole_words.ts";

/** The text, in pieces that cut no character. */
export type TextPieces = AsyncIterable<string>;

/** Pairs are learnt from so many characters at the beginning of a text, which bounds memory and time. */
const LEARNT_FROM = 2 ** 28;

/**
 * The file of a tokenizer: a pure function of the text, which is read only where something is learnt from it.
 *
 * @throws RangeError when the text is too short for so many symbols
 */
export async function learnTokenizer(
  spec: Exclude<TokenizerSpec, { kind: "file" }>,
  text: TextPieces,
): Promise<string> {
  const { kind } = spec;
  const file = kind === "bytes"
    ? byteLevel(BYTE_LETTERS, [])
    : kind === "char"
    ? await learnCharacters(text)
    : kind === "words"
    ? await learnWords(text, spec.size)
    : await learnPairs(text, spec.size);
  return JSON.stringify(file) + "\n";
}

/** What all files have; `parts` are the ones that differ. */
function tokenizerFile(parts: Record<string, unknown>): Record<string, unknown> {
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder: null,
    ...parts,
  };
}

/** Symbols by their numbers, and pairs of them, as in GPT-2's file. */
function byteLevel(symbols: readonly string[], merges: readonly string[]) {
  return tokenizerFile({
    pre_tokenizer: {
      type: "ByteLevel",
      add_prefix_space: false,
      trim_offsets: true,
      use_regex: true,
    },
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(symbols.map((symbol, id) => [symbol, id])),
      merges,
    },
  });
}

/** Whole symbols, and one for all others. */
function wordLevel(symbols: Iterable<string>, parts: Record<string, unknown>) {
  const ids = [...new Set(symbols).add(UNKNOWN)].map((symbol, id) => [symbol, id] as const);
  return tokenizerFile({
    ...parts,
    model: { type: "WordLevel", vocab: Object.fromEntries(ids), unk_token: UNKNOWN },
  });
}

async function learnCharacters(text: TextPieces) {
  const characters = new Set<string>();
  for await (const piece of text) for (const character of piece) characters.add(character);
  // In the order of their code points, whatever the text begins with.
  const symbols = [...characters].sort((a, b) => a.codePointAt(0)! - b.codePointAt(0)!);
  return wordLevel(symbols, {
    pre_tokenizer: {
      type: "Split",
      pattern: { Regex: "[\\s\\S]" },
      behavior: "Isolated",
      invert: false,
    },
    decoder: { type: "Fuse" },
  });
}

async function learnWords(text: TextPieces, size: number | null) {
  const vocabulary = new Vocabulary(), counts: number[] = [];
  const splitter = new WordSplitter((word) => {
    const id = vocabulary.add(word);
    counts[id] = (counts[id] ?? 0) + 1;
  });
  for await (const piece of text) splitter.take(piece);
  splitter.end();
  const always = [END_OF_LINE, UNKNOWN];
  const words = counts.map((_, id) => vocabulary.word(id));
  const room = size === null ? Infinity : size - always.length;
  const kept = new Set(
    words.filter((word) => !always.includes(word))
      .sort((a, b) => counts[vocabulary.id(b)!] - counts[vocabulary.id(a)!])
      .slice(0, room),
  );
  // Numbered in the order of their first appearance.
  const known = words.filter((word) => kept.has(word) || always.includes(word));
  return wordLevel([...known, END_OF_LINE], {
    normalizer: {
      type: "Replace",
      pattern: { Regex: "\\r\\n|\\r|\\n" },
      content: ` ${END_OF_LINE} `,
    },
    pre_tokenizer: { type: "WhitespaceSplit" },
  });
}

async function learnPairs(text: TextPieces, size: number) {
  const counts = new Map<string, number>();
  let read = 0;
  for await (const piece of wholeWords(text)) {
    for (const [word] of piece.matchAll(WORD_PATTERN)) {
      counts.set(word, (counts.get(word) ?? 0) + 1);
    }
    read += piece.length;
    if (read >= LEARNT_FROM) break;
  }
  // As Hugging Face numbers them: by the letters' code points.
  const letters = [...BYTE_LETTERS].sort((a, b) => a.charCodeAt(0) - b.charCodeAt(0));
  const numberOf = BYTE_LETTERS.map((letter) => letters.indexOf(letter));
  const encoder = new TextEncoder();
  const words = counts.entries().map(([word, count]) =>
    [Array.from(encoder.encode(word), (byte) => numberOf[byte]), count] as const
  );
  const { merges } = learnBytePairs(words, size), found = 256 + merges.length;
  if (found < size) {
    throw new RangeError(
      `the training text has not so many symbols: no pair of symbols occurs twice after ${found}; ` +
        (found > 256 ? `give bpe:${found} or less, or more text` : "give more text, or bytes"),
    );
  }
  const symbols = letters;
  const lines = merges.map(([left, right]) => {
    symbols.push(symbols[left] + symbols[right]);
    return `${symbols[left]} ${symbols[right]}`;
  });
  return byteLevel(symbols, lines);
}
