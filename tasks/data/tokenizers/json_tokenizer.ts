/**
 * A Hugging Face `tokenizer.json`, read by Hugging Face's own library.
 *
 * @module
 */

import { loadTokenizers } from "../../../deps.ts";
import { WORD_PATTERN } from "./byte_letters.ts";
import { UNKNOWN } from "./vocabulary.ts";

type HuggingFace = InstanceType<Awaited<ReturnType<typeof loadTokenizers>>["Tokenizer"]>;

/** What is looked at of a file. */
interface TokenizerFile {
  readonly model: {
    readonly type?: string;
    readonly unk_token?: string | null;
    /** Numbers by token; in a Unigram model the tokens in the order of their numbers. */
    readonly vocab?: Readonly<Record<string, number>> | readonly unknown[];
  };
  readonly normalizer: Part | null;
  readonly pre_tokenizer: Part | null;
  readonly added_tokens: readonly { readonly content: string; readonly id: number }[];
}

/** A normalizer or a pre-tokenizer; one of type `Sequence` has others. */
interface Part {
  readonly type: string;
  readonly behavior?: string;
  readonly invert?: boolean;
  readonly add_prefix_space?: boolean;
  readonly use_regex?: boolean;
  readonly pretokenizers?: readonly Part[];
}

/** Models that the library has. */
const MODELS = ["BPE", "WordPiece", "Unigram", "WordLevel"];
/** What the library does with what a `Split` finds; it takes others for the first. */
const BEHAVIORS = ["isolated", "removed"];
/** More symbols are no vocabulary. */
const MOST_SYMBOLS = 2 ** 24;
/** Words whose tokens are kept. */
const KEPT_WORDS = 2 ** 17;

/** A text as numbers of tokens, and back. */
export class JsonTokenizer {
  /** No token's number reaches it. */
  readonly size: number;
  /** The number of the token for what is unknown, if there is one. */
  readonly unknown: number | null;
  readonly #tokenizer: HuggingFace;
  /** Where words are told apart as GPT-2 does and nothing else happens to them: the tokens of each. */
  readonly #words: Map<string, number[]> | null;
  /** Texts that are one token wherever they stand. */
  readonly #added: readonly string[];

  /**
   * Opens a file.
   *
   * @throws RangeError that names what is wrong with it, or not supported
   */
  static async open(bytes: Uint8Array): Promise<JsonTokenizer> {
    const { Tokenizer } = await loadTokenizers();
    const file = parseFile(bytes), { unk_token = null } = file.model;
    try {
      const tokenizer = new Tokenizer(file, { unk_token });
      return new JsonTokenizer(tokenizer, file);
    } catch (cause) {
      throw new RangeError(`this tokenizer.json is not supported: ${(cause as Error).message}`, {
        cause,
      });
    }
  }

  private constructor(tokenizer: HuggingFace, file: TokenizerFile) {
    this.#tokenizer = tokenizer;
    this.size = sizeOf(file);
    const { unk_token } = file.model;
    this.unknown = (unk_token ? tokenizer.token_to_id(unk_token) : undefined) ?? null;
    this.#added = file.added_tokens.map(({ content }) => content).filter((text) => text !== "");
    const { normalizer, pre_tokenizer: before } = file;
    const plain = normalizer === null && before?.type === "ByteLevel" && !before.add_prefix_space &&
      before.use_regex !== false;
    this.#words = plain ? new Map() : null;
  }

  /**
   * The tokens of a text, without those that only mark its beginning or end.
   *
   * @throws RangeError when there is a character that the file has no token for
   */
  encode(text: string): number[] {
    const words = this.#words;
    if (!words || this.#added.some((added) => text.includes(added))) return this.#encode(text);
    const tokens: number[] = [];
    for (const [word] of text.matchAll(WORD_PATTERN)) {
      let ids = words.get(word);
      if (!ids) {
        ids = this.#encode(word);
        if (words.size >= KEPT_WORDS) words.clear();
        words.set(word, ids);
      }
      for (const id of ids) tokens.push(id);
    }
    return tokens;
  }

  #encode(text: string): number[] {
    const { ids, tokens } = this.#tokenizer.encode(text, { add_special_tokens: false });
    const missing = ids.findIndex((id) => id === undefined);
    if (missing < 0) return ids;
    throw new RangeError(
      `the tokenizer has no token for ${
        JSON.stringify(tokens[missing])
      }, and none for what is unknown`,
    );
  }

  /** The text of tokens that follow each other. */
  decode(tokens: readonly number[]): string {
    return tokens.length === 0
      ? ""
      : this.#tokenizer.decode([...tokens], { clean_up_tokenization_spaces: false });
  }

  /** The number of a token that is written so; null if there is none. */
  numberOf(token: string): number | null {
    return this.#tokenizer.token_to_id(token) ?? null;
  }
}

/** The symbols of a file whose tokens are whole words or characters, and their numbers. Throws RangeError. */
export function symbolsOf(bytes: Uint8Array): Map<string, number> {
  const { model: { vocab } } = parseFile(bytes);
  if (isObject(vocab) && Object.hasOwn(vocab, UNKNOWN)) {
    return new Map(Object.entries(vocab as Record<string, number>));
  }
  throw new RangeError(
    `it is no tokenizer.json of words or characters: it has no token ${UNKNOWN}`,
  );
}

/** Reads a file as far as the library takes it for granted. Throws RangeError. */
function parseFile(bytes: Uint8Array): TokenizerFile {
  let file: Partial<TokenizerFile>;
  try {
    file = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new RangeError(`it is no tokenizer.json: ${(cause as Error).message}`, { cause });
  }
  const model = isObject(file) && isObject(file.model) ? file.model : null;
  if (!model) throw new RangeError("it is no tokenizer.json: it has no model");
  if (model.type !== undefined && !MODELS.includes(model.type)) {
    throw new RangeError(
      `its model is of type ${model.type}, which is not supported; ${MODELS.join(", ")} are`,
    );
  }
  const { added_tokens: added = [] } = file;
  if (!Array.isArray(added) || !added.every((token) => typeof token?.content === "string")) {
    throw new RangeError("it is no tokenizer.json: its added_tokens are no list of tokens");
  }
  const none = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null };
  const whole = { ...none, ...file, model, added_tokens: added } as TokenizerFile;
  sizeOf(whole);
  checkPart(whole.pre_tokenizer);
  return whole;
}

/** One more than the largest number of a token; numbers need not follow each other. Throws RangeError. */
function sizeOf({ model: { vocab }, added_tokens: added }: TokenizerFile): number {
  if (!isObject(vocab) && !Array.isArray(vocab)) throw new RangeError("its model has no vocab");
  const ids = Array.isArray(vocab) ? [vocab.length - 1] : Object.values(vocab as object);
  let most = -1;
  for (const id of [...ids, ...added.map(({ id }) => id)]) {
    if (!(Number.isInteger(id) && id >= 0 && id < MOST_SYMBOLS)) {
      throw new RangeError(
        `a token has the number ${id}, which is not from 0 to ${MOST_SYMBOLS - 1}`,
      );
    }
    most = Math.max(most, id);
  }
  if (most < 0) throw new RangeError("it has no tokens");
  return most + 1;
}

/** Refuses what the library would take for something else. */
function checkPart(part: Part | null): void {
  if (!part) return;
  for (const each of part.pretokenizers ?? []) checkPart(each);
  const { type, behavior = "isolated", invert = false } = part;
  if (type !== "Split" || invert || BEHAVIORS.includes(behavior.toLowerCase())) return;
  throw new RangeError(
    `its pre_tokenizer Split has the behavior ${behavior}, which is not supported; Isolated and Removed are`,
  );
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
