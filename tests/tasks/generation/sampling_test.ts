import assert from "node:assert/strict";
import { Random } from "../../../runtime/base/random.ts";
import { drawToken, type SamplingOptions } from "../../../tasks/generation/sampling.ts";
import { wordTokens } from "../../../tasks/generation/word_tokens.ts";

/** How often each token is drawn. */
function counts(logits: number[], options: SamplingOptions, draws = 20_000): number[] {
  const random = new Random(3, "draws"), found = logits.map(() => 0);
  for (let i = 0; i < draws; i++) found[drawToken(Float32Array.from(logits), options, random)]++;
  return found.map((count) => count / draws);
}

/** Within five standard deviations of what is expected. */
function assertNear(found: number[], expected: number[], draws = 20_000): void {
  for (const [i, p] of expected.entries()) {
    const off = Math.abs(found[i] - p), spread = Math.sqrt(p * (1 - p) / draws);
    assert.ok(off <= 5 * spread, `${found} instead of ${expected}`);
  }
}

Deno.test("tokens are drawn with the probabilities of softmax(logits / temperature)", () => {
  const p = [0.5, 0.05, 0.2, 0.25], logits = p.map((x) => Math.log(x) + 7);
  assertNear(counts(logits, { temperature: 1, topK: null }), p);
  const squares = p.map((x) => x * x), sum = squares.reduce((a, b) => a + b);
  const bold = { temperature: 0.5, topK: null };
  assertNear(counts(logits, bold), squares.map((x) => x / sum));
  assertNear(counts(logits, { temperature: 1, topK: 2 }), [2 / 3, 0, 0, 1 / 3]);
  assert.deepEqual(counts(logits, { temperature: 0, topK: null }, 10), [1, 0, 0, 0]);
  assert.deepEqual(counts(logits, { temperature: 2, topK: 1 }, 10), [1, 0, 0, 0]);
  // Of equal logits the first are taken, and no more than asked for.
  assert.deepEqual(counts([1, 2, 2, 2], { temperature: 0, topK: null }, 10), [0, 1, 0, 0]);
  assertNear(counts([1, 2, 2, 2], { temperature: 1, topK: 2 }), [0, 0.5, 0.5, 0]);
  const wide = counts([0, 3e38, -3e38], { temperature: 1, topK: 9 }, 10);
  assert.deepEqual(wide, [0, 1, 0]);
});

Deno.test("logits that are no numbers are refused, at every temperature", () => {
  const random = new Random(1, "draws");
  for (const logits of [[NaN, 1], [1, NaN], [Infinity, 1], [-Infinity, -Infinity]]) {
    for (const temperature of [0, 1]) {
      const draw = () => drawToken(Float32Array.from(logits), { temperature, topK: null }, random);
      assert.throws(draw, /the largest logit is (NaN|-?Infinity)/);
    }
  }
  const without = [0, -Infinity, 0];
  assertNear(counts(without, { temperature: 1, topK: null }), [0.5, 0, 0.5]);
});

Deno.test("a prompt's lines end as the text's do, its last line goes on", () => {
  const { encode, decoder, first, size } = wordTokens("<eos>\nthe\ncat\nsat\n");
  const tokens = (prompt: string) => encode(prompt).tokens;
  assert.deepEqual([size, first], [4, 0]);
  assert.deepEqual(tokens(""), []);
  assert.deepEqual(tokens("the cat"), [1, 2]);
  assert.deepEqual(tokens("  the\tcat \n sat "), [1, 2, 0, 3]);
  assert.deepEqual(tokens("the cat\n"), [1, 2, 0]);
  assert.deepEqual([1, 2, 0, 3].map(decoder([0])), ["the", " cat", "\n", "sat"]);
  assert.equal(decoder([2])(1), " the");
});

Deno.test("a word that the text does not have is <unk>, or refused where there is none", () => {
  const rare = wordTokens("the\n<unk>\n").encode("the dog the dog cat");
  assert.deepEqual(rare, { tokens: [0, 1, 0, 1, 1], unknown: ["dog", "cat"] });
  assert.throws(() => wordTokens("the\n<eos>\n").encode("the dog"), {
    name: "OptionError",
    message:
      `--prompt: "dog" is not among the 2 words of the run's text, which has no <unk> either: ` +
      "take words of its vocabulary.txt",
  });
});
