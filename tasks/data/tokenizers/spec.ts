/**
 * Which tokenizer a text is read with, as in `--tokenizer`.
 *
 * @module
 */

/** A kind of tokenizer. */
export type TokenizerSpec =
  /** Each byte is a symbol. */
  | { readonly kind: "bytes" }
  /** Each code point of the training text is a symbol. */
  | { readonly kind: "char" }
  /** Each word of the training text is one, or as many as are the most frequent. */
  | { readonly kind: "words"; readonly size: number | null }
  /** Byte pairs, learnt from the training text. */
  | { readonly kind: "bpe"; readonly size: number }
  /** As a Hugging Face `tokenizer.json` says. */
  | { readonly kind: "file"; readonly path: string };

/** What is no path. */
export const TOKENIZER_WORDS = ["bytes", "char", "words", "words:N", "bpe:N"] as const;

/** Fewer symbols than this are no byte pairs: one for each byte, and a pair. */
const LEAST_PAIRS = 257;
/** More could not be numbered in what the network takes, and no text has as many. */
const MOST = 2 ** 24;

/**
 * Reads `bytes`, `char`, `words`, `words:N`, `bpe:N`; everything else is the path of a file.
 *
 * @throws RangeError when a number of symbols is none that can be
 */
export function parseTokenizer(text: string): TokenizerSpec {
  const [name, size] = text.split(":", 2), count = Number(size);
  switch (name) {
    case "bytes":
    case "char":
      if (size !== undefined) {
        throw new RangeError(`${name} has a fixed number of symbols: give ${name}`);
      }
      return { kind: name };
    case "words":
      if (size === undefined) return { kind: name, size: null };
      checkCount(text, size, 3, "an end of lines, a word for all others, and a word");
      return { kind: name, size: count };
    case "bpe":
      if (size === undefined) {
        throw new RangeError("bpe needs its number of symbols, such as bpe:4096");
      }
      checkCount(text, size, LEAST_PAIRS, "256 bytes and a pair");
      return { kind: name, size: count };
    default:
      return { kind: "file", path: text };
  }
}

function checkCount(text: string, size: string, least: number, what: string): void {
  const count = Number(size);
  if (/^\d+$/.test(size) && count >= least && count <= MOST) return;
  throw new RangeError(
    `the number of symbols must be a whole number from ${least} (${what}) to ${MOST}, not as in "${text}"`,
  );
}
