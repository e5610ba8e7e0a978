/**
 * Long texts as numbers of tokens, piece by piece.
 *
 * @module
 */

import { JsonTokenizer, symbolsOf } from "./json_tokenizer.ts";
import type { TextPieces } from "./learn_tokenizer.ts";
import type { TokenizerSpec } from "./spec.ts";
import { UNKNOWN } from "./vocabulary.ts";
import { wholeWords } from "./whole_words.ts";
import { WordSplitter } from "./word_splitter.ts";

/** A tokenizer that has been read from its file. */
export interface Tokenizer {
  /** Different tokens; no token's number reaches it. */
  readonly size: number;
  /** The words, one a line in the order of their numbers, where the tokens are words. */
  readonly words: string | null;
  /** The tokens of a text, in as many parts as come. What is yielded holds until the next is asked for. */
  encode(text: TextPieces): AsyncIterable<ArrayLike<number>>;
}

/**
 * Opens a tokenizer.
 *
 * @param file its `tokenizer.json`, see `learnTokenizer()`
 * @throws RangeError that says what is wrong with the file
 */
export async function openTokenizer(
  { kind }: TokenizerSpec,
  file: Uint8Array,
): Promise<Tokenizer> {
  switch (kind) {
    case "bytes":
      return { size: 256, words: null, encode: encodeBytes };
    case "char": {
      const symbols = symbolsOf(file);
      return {
        size: symbols.size,
        words: null,
        encode: (text) => encodeCharacters(text, symbols),
      };
    }
    case "words": {
      const symbols = symbolsOf(file);
      const words = [...symbols].sort(([, a], [, b]) => a - b).map(([word]) => `${word}\n`).join(
        "",
      );
      return { size: symbols.size, words, encode: (text) => encodeWords(text, symbols) };
    }
    default: {
      const tokenizer = await JsonTokenizer.open(file);
      return {
        size: tokenizer.size,
        words: null,
        async *encode(text) {
          for await (const piece of wholeWords(text)) yield tokenizer.encode(piece);
        },
      };
    }
  }
}

async function* encodeBytes(text: TextPieces): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder();
  for await (const piece of text) yield encoder.encode(piece);
}

async function* encodeCharacters(
  text: TextPieces,
  symbols: ReadonlyMap<string, number>,
): AsyncGenerator<number[]> {
  const unknown = symbols.get(UNKNOWN)!;
  for await (const piece of text) {
    yield Array.from(piece, (character) => symbols.get(character) ?? unknown);
  }
}

async function* encodeWords(
  text: TextPieces,
  symbols: ReadonlyMap<string, number>,
): AsyncGenerator<number[]> {
  const unknown = symbols.get(UNKNOWN)!;
  let tokens: number[] = [];
  const splitter = new WordSplitter((word) => tokens.push(symbols.get(word) ?? unknown));
  for await (const piece of text) {
    splitter.take(piece);
    yield tokens;
    tokens = [];
  }
  splitter.end();
  yield tokens;
}
