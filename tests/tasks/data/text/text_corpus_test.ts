import assert from "node:assert/strict";
import { DataError } from "../../../../tasks/data/data_error.ts";
import { loadTextCorpus, tokenize } from "../../../../tasks/data/text/text_corpus.ts";
import { Vocabulary } from "../../../../tasks/data/tokenizers/vocabulary.ts";
import { withFolder } from "../../../_helpers/temporary_folder.ts";
import { testWithData } from "../_real_data.ts";
import { PYTHON } from "../../../_helpers/peers/python.ts";

const words = (tokens: Int32Array, vocabulary: Vocabulary) =>
  [...tokens].map((id) => vocabulary.word(id));

Deno.test("words are numbered by first appearance, and every line ends in <eos>", () => {
  const vocabulary = new Vocabulary();
  const tokens = tokenize(" the cat  saw the dog \n\nthe dog\tran", vocabulary);
  assert.deepEqual([...tokens], [0, 1, 2, 0, 3, 4, 4, 0, 3, 5, 4]);
  assert.deepEqual(words(tokens.subarray(0, 6), vocabulary), [
    "the",
    "cat",
    "saw",
    "the",
    "dog",
    "<eos>",
  ]);
  assert.equal(vocabulary.size, 6);
  assert.equal(vocabulary.id("dog"), 3);
  assert.equal(vocabulary.id("cow"), undefined);
  assert.throws(() => vocabulary.word(6), /no word has number 6: the vocabulary has 6/);
  assert.deepEqual([...tokenize("", vocabulary)], []);
  assert.deepEqual(words(tokenize("cow", vocabulary), vocabulary), ["cow", "<eos>"]);
  assert.deepEqual(words(tokenize("\n \r\n\r", vocabulary), vocabulary), [
    "<eos>",
    "<eos>",
    "<eos>",
  ]);
});

let python = true;
try {
  Deno.statSync(PYTHON);
} catch {
  python = false;
}

Deno.test({
  name: "white space and line ends are those of Python's text files and str.split" +
    (python ? "" : ` (skipped: no ${PYTHON})`),
  ignore: !python,
  async fn() {
    // Every code unit that either language might call white space, between letters and at line ends.
    let text = "start";
    for (let code = 0; code < 0x3100; code++) {
      if (code < 0x100 || code >= 0x1600) {
        text += String.fromCharCode(code) + "a" + (code % 50 === 0 ? " \n" : "");
      }
    }
    text += "\ufeffend \r\n x\u00a0y \n\n last\u2028line \x85";
    const path = await Deno.makeTempFile();
    try {
      await Deno.writeTextFile(path, text);
      const script = "import json,sys\nout=[]\n" +
        "for line in open(sys.argv[1], encoding='utf-8'): out += line.split() + ['<eos>']\n" +
        "print(json.dumps(out))";
      const { stdout, success } = await new Deno.Command(PYTHON, { args: ["-c", script, path] })
        .output();
      assert(success);
      const expected = JSON.parse(new TextDecoder().decode(stdout));
      assert(expected.length > 200);
      const vocabulary = new Vocabulary();
      assert.deepEqual(words(tokenize(text, vocabulary), vocabulary), expected);
    } finally {
      await Deno.remove(path);
    }
  },
});

Deno.test("the three layouts are read alike, over one vocabulary", async () => {
  for (const layout of ["SPLIT.txt", "wiki.SPLIT.tokens", "ptb.SPLIT.txt"]) {
    await withFolder(async (folder) => {
      const write = (split: string, text: string) =>
        Deno.writeTextFile(`${folder}/${layout.replace("SPLIT", split)}`, text);
      await write("train", "a b\n");
      await write("valid", "c a\n");
      await write("test", "d c é\n");
      const corpus = await loadTextCorpus(`${folder}/`, "small");
      assert.equal(corpus.name, "small");
      assert.deepEqual([...corpus.train], [0, 1, 2]);
      assert.deepEqual([...corpus.valid], [3, 0, 2]);
      assert.deepEqual([...corpus.test], [4, 3, 5, 2]);
      assert.equal(corpus.vocabulary.word(5), "é");
    });
  }
});

Deno.test("a missing, empty or broken split is named, with what is there and a way out", async () => {
  const refused = (folder: string, ...parts: string[]) =>
    assert.rejects(loadTextCorpus(folder), (error: unknown) => {
      assert(error instanceof DataError);
      for (const part of parts) assert(error.message.includes(part), error.message);
      return true;
    });
  await refused("/no/such/folder", "/no/such/folder", "does not exist", "--download");
  await withFolder(async (folder) => {
    await refused(folder, "no split in", "wiki.train.tokens");
    await Deno.writeTextFile(`${folder}/train.txt`, "a b\n");
    await Deno.writeTextFile(`${folder}/test.txt`, "a b\n");
    await refused(folder, "valid.txt missing", "found only train.txt and test.txt", "--download");
    await Deno.writeTextFile(`${folder}/valid.txt`, "");
    await refused(folder, "valid.txt", "at least 2 tokens, found 0 in 0 bytes");
    await Deno.writeFile(`${folder}/valid.txt`, Uint8Array.from([97, 32, 0xff, 0xfe, 10]));
    await refused(folder, "valid.txt", "UTF-8");
  });
});

testWithData("ptb", "Penn Treebank has its published counts", async (directory) => {
  const { train, valid, test, vocabulary, name } = await loadTextCorpus(directory);
  assert.equal(name, "ptb");
  assert.deepEqual([train.length, valid.length, test.length], [929_589, 73_760, 82_430]);
  assert.equal(vocabulary.size, 10_000);
  assert.equal(vocabulary.id("aer"), 0);
  assert(train.every((id) => id < 10_000) && test.every((id) => id < 10_000));
  assert.equal(train.reduce((n, id) => n + (id === vocabulary.id("<eos>") ? 1 : 0), 0), 42_068);
});

testWithData("wikitext2", "WikiText-2 has its published counts", async (directory) => {
  const { train, valid, test, vocabulary } = await loadTextCorpus(directory);
  // The folder holds the official test split as training text, and the official validation split cut
  // in two; their published counts are 245,569 and 217,646.
  assert.equal(train.length, 245_569);
  assert.equal(valid.length + test.length, 217_646);
  assert.notEqual(vocabulary.id("<unk>"), undefined);
});
