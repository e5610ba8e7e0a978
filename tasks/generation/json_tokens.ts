/**
 * Prompts and generated texts of runs whose tokens a `tokenizer.json` describes.
 *
 * @module
 */

import { JsonTokenizer } from "../data/tokenizers/json_tokenizer.ts";
import { asOptionError } from "../options/as_option_error.ts";
import { OptionError } from "../options/kinds.ts";
import type { TextTokens } from "./text_tokens.ts";

/** Tokens at the end of a text that can together be less than a character. */
const MOST_OPEN = 3;

/** The token of a line's end, else the first. */
function endOfLine(tokenizer: JsonTokenizer): number {
  try {
    return tokenizer.encode("\n")[0] ?? 0;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return 0;
  }
}

/**
 * The tokens of a run.
 *
 * @param file the run's `tokenizer.json`
 * @param what it is, for errors
 * @throws OptionError when it is not as it should be
 */
export async function jsonTokens(file: Uint8Array, what: string): Promise<TextTokens> {
  const tokenizer = await asOptionError(what, () => JsonTokenizer.open(file));
  return {
    size: tokenizer.size,
    first: endOfLine(tokenizer),
    encode(prompt) {
      const tokens = asOptionError("--prompt", () => tokenizer.encode(prompt));
      const { unknown } = tokenizer;
      if (unknown === null || !tokens.includes(unknown)) return { tokens, unknown: [] };
      const strange = [...new Set(prompt)].filter((each) =>
        tokenizer.encode(each).includes(unknown)
      );
      return { tokens, unknown: strange };
    },
    decoder(after) {
      /** Tokens whose text is out, as far as those that follow depend on them; and those whose text is not. */
      let context = after.slice(-MOST_OPEN), open: number[] = [];
      return (token) => {
        if (token >= tokenizer.size) throw new OptionError(`${what} has no token ${token}`);
        open.push(token);
        const text = tokenizer.decode([...context, ...open]);
        if (text.endsWith("\ufffd") && open.length <= MOST_OPEN) return "";
        const known = tokenizer.decode(context).length;
        context = open;
        open = [];
        return text.slice(known);
      };
    },
  };
}
