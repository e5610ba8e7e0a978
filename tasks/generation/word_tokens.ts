/**
 * Prompts and generated texts of runs whose tokens are words.
 *
 * @module
 */

import { tokenize } from "../data/text/text_corpus.ts";
import { END_OF_LINE, UNKNOWN, Vocabulary } from "../data/tokenizers/vocabulary.ts";
import { OptionError } from "../options/kinds.ts";
import type { TextTokens } from "./text_tokens.ts";

/**
 * Words between white space, with one token for the end of each line. A word that the text does not have becomes
 * `<unk>` where the text has that, else it is refused.
 *
 * @param lines the words of a run, one a line in the order of their numbers
 */
export function wordTokens(lines: string): TextTokens {
  const vocabulary = new Vocabulary();
  for (const word of lines.split("\n")) if (word !== "") vocabulary.add(word);
  const unknownWord = vocabulary.id(UNKNOWN), endOfLine = vocabulary.id(END_OF_LINE);
  return {
    size: vocabulary.size,
    first: endOfLine ?? 0,
    encode(prompt) {
      const own = new Vocabulary(), ids = tokenize(prompt, own);
      // A text's last line has an end; a prompt's goes on, unless the prompt says otherwise.
      const open = ids.length > 0 && !/[\r\n]\s*$/.test(prompt);
      const words = Array.from(open ? ids.subarray(0, -1) : ids, (id) => own.word(id));
      const unknown = [...new Set(words.filter((word) => vocabulary.id(word) === undefined))];
      if (unknown.length > 0 && unknownWord === undefined) {
        throw new OptionError(
          `--prompt: ${unknown.map((word) => JSON.stringify(word)).join(", ")} ` +
            `${
              unknown.length === 1 ? "is" : "are"
            } not among the ${vocabulary.size} words of the run's ` +
            `text, which has no ${UNKNOWN} either: take words of its vocabulary.txt`,
        );
      }
      return { tokens: words.map((word) => vocabulary.id(word) ?? unknownWord!), unknown };
    },
    decoder(after) {
      let begins = after.at(-1) === endOfLine;
      return (token) => {
        const space = begins ? "" : " ";
        begins = token === endOfLine;
        return begins ? "\n" : space + vocabulary.word(token);
      };
    },
  };
}
