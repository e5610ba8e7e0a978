import assert from "node:assert/strict";
import { JsonTokenizer } from "../../../../tasks/data/tokenizers/json_tokenizer.ts";

/** GPT-2's letter of each byte: printable Latin-1 as it is, the rest from U+0100 on. */
const LETTERS = (() => {
  const letters: string[] = [], rest: number[] = [];
  for (let byte = 0; byte < 256; byte++) {
    const printable = "!".charCodeAt(0) <= byte && byte <= "~".charCodeAt(0) ||
      "¡".charCodeAt(0) <= byte && byte <= "¬".charCodeAt(0) || "®".charCodeAt(0) <= byte;
    if (printable) letters[byte] = String.fromCharCode(byte);
    else rest.push(byte);
  }
  rest.forEach((byte, n) => letters[byte] = String.fromCharCode(256 + n));
  return letters;
})();

const MERGES = ["h e", "l l", "he ll", "hell o", "Ġ w", "o r", "Ġw or", "l d", "Ġwor ld", "Ġ Ġ"]
  .concat(["Ã ¤", "Ċ Ċ", "4 2", "' s"]);
const SYMBOLS = [...LETTERS, ...MERGES.map((merge) => merge.replace(" ", ""))];
const END = { id: SYMBOLS.length, content: "<|endoftext|>", special: true, normalized: false };

/** A file as GPT-2's is, with few merges. */
const GPT2_LIKE = {
  version: "1.0",
  truncation: null,
  padding: null,
  added_tokens: [{ ...END, single_word: false, lstrip: false, rstrip: false }],
  normalizer: null,
  pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true },
  post_processor: { type: "ByteLevel", add_prefix_space: true, trim_offsets: false },
  decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true },
  model: {
    type: "BPE",
    dropout: null,
    unk_token: null,
    continuing_subword_prefix: "",
    end_of_word_suffix: "",
    fuse_unk: false,
    vocab: Object.fromEntries([...SYMBOLS, END.content].map((symbol, id) => [symbol, id])),
    merges: MERGES,
  },
};

const open = (file: unknown) =>
  JsonTokenizer.open(
    new TextEncoder().encode(typeof file === "string" ? file : JSON.stringify(file)),
  );

/** Byte pairs of one word: the first merge of the list that applies, everywhere, again and again. */
function encodeWord(word: string): number[] {
  let symbols = Array.from(new TextEncoder().encode(word), (byte) => LETTERS[byte]);
  while (true) {
    const next = MERGES.find((merge) =>
      symbols.some((symbol, i) => i > 0 && merge === `${symbols[i - 1]} ${symbol}`)
    );
    if (next === undefined) return symbols.map((symbol) => SYMBOLS.indexOf(symbol));
    const joined: string[] = [];
    for (let i = 0; i < symbols.length; i++) {
      const pair = next === `${symbols[i]} ${symbols[i + 1]}`;
      joined.push(pair ? symbols[i] + symbols[++i] : symbols[i]);
    }
    symbols = joined;
  }
}

Deno.test("a tokenizer.json like GPT-2's is read as byte pairs within GPT-2's words", async () => {
  const tokenizer = await open(GPT2_LIKE);
  assert.equal(tokenizer.size, SYMBOLS.length + 1);
  // Each as the pattern of GPT-2 tells them apart.
  const words = [
    "hello",
    " world",
    "'s",
    "  ",
    " end",
    "\n",
    "\n",
    "42",
    " cats",
    "!!",
    " hä",
    "\t",
  ];
  const text = words.join("");
  const expected = words.flatMap(encodeWord);
  assert.deepEqual(tokenizer.encode(text), expected);
  assert.equal(tokenizer.decode(expected), text);
  assert.deepEqual(tokenizer.encode(text), expected, "again, from what is kept of words");
});

Deno.test("a text that is a token of its own is one wherever it stands", async () => {
  const tokenizer = await open(GPT2_LIKE);
  const [hello, world] = [encodeWord("hello"), encodeWord(" world")];
  assert.deepEqual(tokenizer.encode("hello<|endoftext|> world"), [...hello, END.id, ...world]);
  assert.equal(tokenizer.numberOf("<|endoftext|>"), END.id);
});

Deno.test("other kinds of tokenizer.json: WordPiece, Unigram, WordLevel", async () => {
  const base = { ...GPT2_LIKE, added_tokens: [], post_processor: null, decoder: null };
  const piece = await open({
    ...base,
    pre_tokenizer: { type: "BertPreTokenizer" },
    model: {
      type: "WordPiece",
      unk_token: "[UNK]",
      continuing_subword_prefix: "##",
      max_input_chars_per_word: 100,
      vocab: { "[UNK]": 0, "un": 1, "##do": 2, "##ing": 3, ",": 4 },
    },
  });
  assert.deepEqual(piece.encode("undoing, it"), [1, 2, 3, 4, 0]);
  assert.equal(piece.unknown, 0);
  const unigram = await open({
    ...base,
    pre_tokenizer: { type: "Metaspace", replacement: "▁", prepend_scheme: "always" },
    decoder: { type: "Metaspace", replacement: "▁", prepend_scheme: "always" },
    model: {
      type: "Unigram",
      unk_id: 0,
      vocab: [["<unk>", 0], ["▁a", -1], ["b", -2], ["ab", -9], ["▁", -3], ["▁ab", -2.5]],
    },
  });
  // −2.5 is more than −1 − 2.
  assert.deepEqual(unigram.encode("ab a"), [5, 1]);
  assert.equal(unigram.decode([5, 1]), "ab a");
  const level = await open({
    ...base,
    pre_tokenizer: { type: "WhitespaceSplit" },
    model: { type: "WordLevel", unk_token: "<u>", vocab: { a: 0, b: 1, "<u>": 5 } },
  });
  assert.deepEqual([level.size, ...level.encode("b a c")], [6, 1, 0, 5]);
});

Deno.test("what is no tokenizer.json, or of a kind that is not supported, is named", async () => {
  const { model } = GPT2_LIKE;
  const refused: [unknown, RegExp][] = [
    ["{", /it is no tokenizer\.json: .*JSON/],
    ["[]", /it has no model/],
    [
      { ...GPT2_LIKE, model: { ...model, type: "Hash" } },
      /of type Hash, which is not supported; BPE/,
    ],
    [{ ...GPT2_LIKE, pre_tokenizer: { type: "Thai" } }, /Unknown PreTokenizer type: Thai/],
    [{ ...GPT2_LIKE, normalizer: { type: "Rot13" } }, /Unknown Normalizer type: Rot13/],
    [{ ...GPT2_LIKE, decoder: { type: "Rot13" } }, /Unknown Decoder type: Rot13/],
    [
      {
        ...GPT2_LIKE,
        pre_tokenizer: {
          type: "Sequence",
          pretokenizers: [{ type: "Split", pattern: { String: " " }, behavior: "MergedWithNext" }],
        },
      },
      /Split has the behavior MergedWithNext, which is not supported; Isolated and Removed are/,
    ],
    [{ ...GPT2_LIKE, added_tokens: [1] }, /added_tokens are no list/],
    [
      { ...GPT2_LIKE, model: { ...model, vocab: { a: 2 ** 30 } } },
      /a token has the number 1073741824, which is not from 0/,
    ],
  ];
  for (const [file, message] of refused) {
    await assert.rejects(open(file), (error: unknown) => {
      assert.ok(error instanceof RangeError);
      assert.match(error.message, message);
      return true;
    });
  }
  const wordLevel = await open({
    ...GPT2_LIKE,
    added_tokens: [],
    pre_tokenizer: { type: "WhitespaceSplit" },
    model: { type: "WordLevel", unk_token: null, vocab: { a: 0 } },
  });
  assert.throws(() => wordLevel.encode("a b"), /no token for "b", and none for what is unknown/);
});
