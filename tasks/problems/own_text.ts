/**
 * A text of the user's own as tokens, in a file that ranks read as they need it.
 *
 * @module
 */

import { join } from "node:path";
import { DataError } from "../data/data_error.ts";
import { findTextParts, readTextPart } from "../data/text/text_parts.ts";
import { FileTokens, type TokenSplits, TokenWriter } from "../data/text/tokens.ts";
import { parseTokenizer } from "../data/tokenizers/spec.ts";
import { openTokenizer, type Tokenizer } from "../data/tokenizers/tokenizer.ts";
import { asOptionError } from "../options/as_option_error.ts";
import type { OwnTextOptions } from "../run/tokenizer_file.ts";
import { writing } from "../run/write_error.ts";
import { type OncePerHost, PER_RANK } from "../../runtime/once_per_host.ts";

const SPLITS = ["train", "valid", "test"] as const;

/**
 * The tokenizer that the options name.
 *
 * @param file its `tokenizer.json`
 * @throws OptionError that says what is wrong with the file
 */
export async function tokenizerOf(
  { tokenizer }: Pick<OwnTextOptions, "tokenizer">,
  file: Uint8Array,
): Promise<Tokenizer> {
  return await asOptionError(
    `--tokenizer ${tokenizer}`,
    () => openTokenizer(parseTokenizer(tokenizer), file),
  );
}

/** The tokens of a text, and the file that they are read from. */
export interface OwnText extends TokenSplits, Disposable {}

/** How the ranks of a host come to tokens. */
export interface OwnTextParts {
  /** Who else needs the same. @default {PER_RANK} */
  readonly sharing?: OncePerHost | undefined;
  /** Where the file is made, whose name is gone when all have opened it. @default {a temporary folder} */
  readonly folder?: string | undefined;
}

/**
 * Reads a text once a host, writes its tokens to a file, and opens that on each of the host's ranks. The file has no
 * name then, so that nothing is left of it when the last rank ends. Collective over `sharing`.
 *
 * @throws DataError when the text is not as it should be
 * @throws OptionError when it cannot be said with the tokenizer
 * @throws WriteError when there is no room for the file
 */
export async function openOwnText(
  options: OwnTextOptions,
  tokenizer: Tokenizer,
  { sharing = PER_RANK, folder }: OwnTextParts = {},
): Promise<OwnText> {
  const { data, validFraction, testFraction } = options;
  // Ranks of other launchers on the same host may not read this one's folder.
  const key = JSON.stringify([folder, data, options.tokenizer, validFraction, testFraction]);
  // What this rank makes has no name left when all have opened it, or one of them has failed.
  await using named = new AsyncDisposableStack();
  const made = await sharing.make(key, async () => {
    const own = folder ?? await Deno.makeTempDir({ prefix: "celgc-tokens-" });
    const path = join(own, `.tokens-${crypto.randomUUID()}`);
    named.defer(() => removeIfThere(folder === undefined ? own : path));
    const ends = await writeTokens(path, options, tokenizer);
    return new TextEncoder().encode(JSON.stringify({ path, ends }));
  });
  const { path, ends }: WrittenTokens = JSON.parse(new TextDecoder().decode(made));
  using opened = new DisposableStack();
  const file = opened.use(await Deno.open(path));
  await sharing.arrive();
  await named.disposeAsync();
  opened.move();
  const tokens = ends.map((end, i) =>
    new FileTokens(file, tokenizer.size, [i === 0 ? 0 : ends[i - 1], end])
  );
  const [train, valid, test] = tokens;
  return { train, valid, test, [Symbol.dispose]: () => file.close() };
}

/** Removes a file, or a folder with all that is in it. */
async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** What the rank that has written the tokens tells the others. */
interface WrittenTokens {
  readonly path: string;
  /** Where each split ends. */
  readonly ends: readonly number[];
}

/** Writes the tokens of all splits to a file. Returns where each ends. */
async function writeTokens(
  path: string,
  options: OwnTextOptions,
  tokenizer: Tokenizer,
): Promise<number[]> {
  const data = options.data!, parts = await findTextParts(data, options), ends: number[] = [];
  await writing(path, async () => {
    using file = await Deno.open(path, { write: true, createNew: true });
    const writer = new TokenWriter(file, tokenizer.size);
    for (const split of SPLITS) {
      const before = writer.count;
      await asOptionError(`--tokenizer ${options.tokenizer}`, async () => {
        for await (const tokens of tokenizer.encode(readTextPart(parts[split]))) {
          await writer.write(tokens);
        }
      });
      ends.push(writer.count);
      if (writer.count - before >= 2) continue;
      throw new DataError(
        `cannot learn the text: its ${split} part in ${data} has ${writer.count - before} ` +
          "tokens, and at least 2 are needed: give more text",
        { path: data },
      );
    }
  });
  return ends;
}

/**
 * Refuses a text that is not as it should be: reads it once.
 *
 * @throws DataError that says what is wrong
 */
export async function checkOwnText(options: OwnTextOptions): Promise<void> {
  const parts = await findTextParts(options.data!, options);
  for (const split of SPLITS) {
    for await (const _ of readTextPart(parts[split])) {
      // Reading is what checks.
    }
  }
}
