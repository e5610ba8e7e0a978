import assert from "node:assert/strict";
import { JsonTokenizer } from "../../../../tasks/data/tokenizers/json_tokenizer.ts";
import { learnTokenizer } from "../../../../tasks/data/tokenizers/learn_tokenizer.ts";
import { parseTokenizer } from "../../../../tasks/data/tokenizers/spec.ts";
import { openTokenizer } from "../../../../tasks/data/tokenizers/tokenizer.ts";
import { wholeWords } from "../../../../tasks/data/tokenizers/whole_words.ts";
import { joined, pieces } from "./_pieces.ts";

const TRAINED = "The cat's mat.\nThe  häuser 😀 sat\r\n\r\n the cat sat on __proto__ 12 times\n";
/** Has what the text above has not. */
const OTHER = "A cat sat — 😀\rThe dog's mat 7\n";

type Learnt = Exclude<ReturnType<typeof parseTokenizer>, { kind: "file" }>;

async function learn(tokenizer: string, text = TRAINED, size = Infinity) {
  const spec = parseTokenizer(tokenizer) as Learnt;
  const file = new TextEncoder().encode(await learnTokenizer(spec, pieces(text, size)));
  return { spec, file, tokenizer: await openTokenizer(spec, file) };
}

for (const kind of ["bytes", "char", "words", "words:6", "bpe:270"]) {
  Deno.test(`${kind}: a text's tokens are what its tokenizer.json says, in whatever pieces it comes`, async () => {
    const { file, tokenizer } = await learn(kind, TRAINED.repeat(3));
    const library = await JsonTokenizer.open(file);
    assert.equal(tokenizer.size, library.size);
    for (const text of [TRAINED, OTHER]) {
      const expected = library.encode(text);
      for (const size of [1, 3, 1000]) {
        assert.deepEqual(await joined(tokenizer.encode(pieces(text, size))), expected, `${size}`);
      }
      assert.ok(expected.every((token) => token < tokenizer.size));
    }
    if (!kind.startsWith("words")) assert.equal(library.decode(library.encode(TRAINED)), TRAINED);
    const again = await learn(kind, TRAINED.repeat(3), 1);
    assert.deepEqual(again.file, file);
  });
}

Deno.test("bytes are their own numbers", async () => {
  const { tokenizer } = await learn("bytes");
  assert.deepEqual(await joined(tokenizer.encode(pieces("aä\n"))), [97, 0xc3, 0xa4, 10]);
});

Deno.test("characters and words of other texts are <unk>", async () => {
  const char = await learn("char", "abca");
  assert.deepEqual(await joined(char.tokenizer.encode(pieces("cabd😀"))), [2, 0, 1, 3, 3]);
  const words = await learn("words", "b a b\nc a b");
  assert.equal(words.tokenizer.words, "b\na\n<eos>\nc\n<unk>\n");
  const tokens = await joined(words.tokenizer.encode(pieces("a d\n")));
  assert.deepEqual(tokens, [1, 4, 2]);
  // b and a are the most frequent, after what is always there.
  const few = await learn("words:4", "c b a b\na b");
  assert.equal(few.tokenizer.words, "b\na\n<eos>\n<unk>\n");
  const own = await learn("words", "a <unk>\n");
  assert.equal(own.tokenizer.words, "a\n<unk>\n<eos>\n");
});

Deno.test("byte pairs that a text does not have are refused, with how many it has", async () => {
  await assert.rejects(learn("bpe:400", "abab abab"), {
    name: "RangeError",
    message:
      "the training text has not so many symbols: no pair of symbols occurs twice after 258; " +
      "give bpe:258 or less, or more text",
  });
  await assert.rejects(learn("bpe:400", "abc"), /after 256; give more text, or bytes/);
});

Deno.test("long texts are cut before white space, and where they are is their own affair", async () => {
  const text = "word  and\n\nanother ".repeat(20_000) + "x".repeat(2 ** 20 - 1) + "😀 end";
  const cut = async (size: number) => await Array.fromAsync(wholeWords(pieces(text, size)));
  const parts = await cut(1000);
  assert.equal(parts.join(""), text);
  assert.deepEqual(await cut(77_777), parts);
  assert.ok(parts.length > 4);
  for (const [i, part] of parts.entries()) {
    assert.ok(part.isWellFormed());
    assert.ok(part.length <= 2 ** 20);
    if (i < parts.length - 1) assert.ok(part.length >= 2 ** 16 - 1);
    if (i > 0 && parts[i - 1].length < 2 ** 20 - 1) assert.match(part, /^\s/);
  }
  const { tokenizer, file } = await learn("bpe:265", text.slice(0, 40_000));
  const whole = (await JsonTokenizer.open(file)).encode(text.slice(0, 300_000));
  assert.deepEqual(await joined(tokenizer.encode(pieces(text.slice(0, 300_000), 999))), whole);
});

Deno.test("a tokenizer is named by its kind and its number of symbols, or by a path", () => {
  assert.deepEqual(parseTokenizer("words:50"), { kind: "words", size: 50 });
  assert.deepEqual(parseTokenizer("gpt2/tokenizer.json"), {
    kind: "file",
    path: "gpt2/tokenizer.json",
  });
  assert.deepEqual(parseTokenizer("https://a.example/t.json").kind, "file");
  for (const wrong of ["bpe", "bpe:256", "bpe:1e3", "bpe:", "words:2", "bytes:9", "char:9"]) {
    assert.throws(() => parseTokenizer(wrong), RangeError, wrong);
  }
});
