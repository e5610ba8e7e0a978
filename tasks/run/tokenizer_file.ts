/**
 * The tokenizer of a run on a text of the user's own: made from its training part, or read from a file.
 *
 * @module
 */

import { findTextParts, readTextPart } from "../data/text/text_parts.ts";
import { learnTokenizer } from "../data/tokenizers/learn_tokenizer.ts";
import { parseTokenizer, TOKENIZER_WORDS } from "../data/tokenizers/spec.ts";
import { openTokenizer } from "../data/tokenizers/tokenizer.ts";
import { readLocation } from "../networks/onnx_model.ts";
import { asOptionError } from "../options/as_option_error.ts";
import { OptionError } from "../options/kinds.ts";
import type { Options } from "../options/values.ts";

/** The options that a text of one's own has. */
export type OwnTextOptions = Pick<
  Options,
  "data" | "tokenizer" | "validFraction" | "testFraction"
>;

/**
 * The `tokenizer.json` of a run: as the options name it, or made from the training part of the text.
 *
 * @throws OptionError when that cannot be, or the text is too short for so many symbols
 * @throws DataError when the text is not as it should be
 */
export async function makeTokenizer(
  options: OwnTextOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  const spec = parseTokenizer(options.tokenizer);
  if (spec.kind === "file") {
    const file = await readFile(spec.path);
    await asOptionError(`--tokenizer ${spec.path}`, () => openTokenizer(spec, file));
    return file;
  }
  const text = async function* () {
    yield* readTextPart((await findTextParts(options.data!, options)).train);
  };
  const file = await asOptionError(
    `--tokenizer ${options.tokenizer}`,
    () => learnTokenizer(spec, text()),
  );
  return new TextEncoder().encode(file);
}

/** A file that `--tokenizer` names. */
async function readFile(path: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return await readLocation(path, "--tokenizer");
  } catch (cause) {
    if (!(cause instanceof OptionError)) throw cause;
    throw new OptionError(
      `${cause.message}; give ${TOKENIZER_WORDS.join(", ")}, or the path of a tokenizer.json`,
      { cause },
    );
  }
}
