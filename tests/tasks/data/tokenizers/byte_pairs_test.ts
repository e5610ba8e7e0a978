import assert from "node:assert/strict";
import { Random } from "../../../../runtime/base/random.ts";
import { learnBytePairs } from "../../../../tasks/data/tokenizers/byte_pairs.ts";

/** The same by counting all pairs anew before each merge. */
function learnPlainly(words: readonly (readonly [readonly number[], number])[], size: number) {
  const texts = words.map(([symbols]) => [...symbols]), merges: [number, number][] = [];
  while (256 + merges.length < size) {
    const counts = new Map<string, number>();
    texts.forEach((text, w) => {
      for (let i = 1; i < text.length; i++) {
        const pair = `${text[i - 1]} ${text[i]}`;
        counts.set(pair, (counts.get(pair) ?? 0) + words[w][1]);
      }
    });
    const best = [...counts].map(([pair, count]) => [...pair.split(" ").map(Number), count])
      .filter(([, , count]) => count >= 2)
      .sort((a, b) => b[2] - a[2] || a[0] - b[0] || a[1] - b[1])[0];
    if (!best) break;
    const [left, right] = best, symbol = 256 + merges.length;
    merges.push([left, right]);
    for (const text of texts) {
      for (let i = 0; i + 1 < text.length; i++) {
        if (text[i] === left && text[i + 1] === right) text.splice(i, 2, symbol);
      }
    }
  }
  return merges;
}

Deno.test("byte pairs are those that counting anew before each merge finds, in whatever order the words come", () => {
  for (let seed = 0; seed < 20; seed++) {
    const random = new Random(seed, "words");
    const words = Array.from({ length: 30 }, () => {
      const length = 1 + Math.floor(9 * random.uniform());
      const symbols = Array.from({ length }, () => 97 + Math.floor(3 * random.uniform()));
      return [symbols, 1 + Math.floor(4 * random.uniform())] as const;
    });
    const expected = learnPlainly(words, 300);
    assert.ok(expected.length > 10);
    assert.deepEqual(learnBytePairs(words, 300).merges, expected, `seed ${seed}`);
    assert.deepEqual(learnBytePairs(words.toReversed(), 300).merges, expected, `seed ${seed}`);
  }
});

Deno.test("a pair that overlaps itself is joined from the left", () => {
  const { merges } = learnBytePairs([[[1, 1, 1, 1, 1], 2]], 259);
  assert.deepEqual(merges, [[1, 1], [256, 1], [256, 257]]);
});

Deno.test("what occurs once is no pair", () => {
  assert.deepEqual(learnBytePairs([[[1, 2, 3], 1]], 300).merges, []);
});
