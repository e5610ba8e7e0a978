import assert from "node:assert/strict";
import { Random } from "../../../../runtime/base/random.ts";
import { generateText } from "../../../../tasks/data/text/generated_text.ts";
import { WordSource } from "../../../../tasks/data/text/word_source.ts";

Deno.test("the entropy rate of sources that can be worked out by hand is right", () => {
  // No two 1s in a row, else a fair coin: 2/3 of the time in the state that has a choice.
  const golden = new WordSource([
    [{ word: 0, probability: 0.5, next: 0 }, { word: 1, probability: 0.5, next: 1 }],
    [{ word: 0, probability: 1, next: 0 }],
  ]);
  assert(Math.abs(golden.entropyRate - 2 / 3 * Math.log(2)) < 1e-15);
  assert.deepEqual([...golden.stationary].map((p) => p.toFixed(12)), [
    "0.666666666667",
    "0.333333333333",
  ]);
  // A strict alternation is periodic and certain.
  const alternating = new WordSource([
    [{ word: 0, probability: 1, next: 1 }],
    [{ word: 1, probability: 1, next: 0 }],
  ]);
  assert.equal(alternating.entropyRate, 0);
  assert.deepEqual([...alternating.sample(new Random(1), 5)], [0, 1, 0, 1, 0]);
  // A die of unequal faces, without memory.
  const faces = [0.5, 0.25, 0.125, 0.125];
  const die = new WordSource([faces.map((probability, word) => ({ word, probability, next: 0 }))]);
  assert(Math.abs(die.entropyRate - 1.75 * Math.log(2)) < 1e-15);
  assert(Math.abs(die.meanNats(Int32Array.from([0, 1, 2])) - 2.5 * Math.log(2)) < 1e-15);
});

Deno.test("what is no source of words is refused", () => {
  const step = (word: number, probability: number, next = 0) => ({ word, probability, next });
  assert.throws(
    () => new WordSource([[step(0, 0.5)]]),
    /state 0 has probabilities that sum to 0\.5/,
  );
  assert.throws(() => new WordSource([[step(0, 0.5), step(0, 0.5)]]), /emits a word twice/);
  assert.throws(() => new WordSource([[step(0, 1), step(1, 0)]]), /not positive/);
  assert.throws(() => new WordSource([[step(0, 1, 4)]]), /does not exist/);
  assert.throws(
    () => new WordSource([[step(0, 1, 0)], [step(0, 1, 0)]]),
    /state 1 is never reached/,
  );
  assert.throws(() => new WordSource([[step(0, 1, 1)], [step(0, 1, 1)]]), /never reached again/);
  const coin = new WordSource([[step(0, 0.5), step(1, 0.5)]]);
  assert.throws(() => coin.meanNats(Int32Array.from([0, 2])), /cannot emit word 2 at place 1/);
  assert.throws(() => coin.meanNats(new Int32Array(1)), /found 1/);
});

const long = generateText({ seed: 8, train: 400_000, valid: 2_000, test: 50_000 });

Deno.test("the source's own loss on a long text agrees with the entropy rate", () => {
  const size = 4_000, blocks: number[] = [];
  for (let start = 0; start + size <= 400_000; start += size) {
    // A block begins in an unknown state: take the difference of two prefixes' sums instead.
    const until = (end: number) =>
      end < 2 ? 0 : long.source.meanNats(long.train.subarray(0, end)) * (end - 1);
    blocks.push((until(start + size) - until(start)) / size);
  }
  const mean = blocks.reduce((a, b) => a + b, 0) / blocks.length;
  const variance = blocks.reduce((a, b) => a + (b - mean) ** 2, 0) / (blocks.length - 1);
  const error = Math.sqrt(variance / blocks.length);
  assert(error < 0.01, `standard error ${error}`);
  assert(Math.abs(mean - long.entropyRate) < 5 * error, `${mean} against ${long.entropyRate}`);
  assert.equal(long.bestPerplexity, Math.exp(long.entropyRate));
});

/**
 * Held-out perplexity of interpolated n-gram models (Witten and Bell 1991) that know nothing of the
 * grammar: an estimate from above that falls towards the bound as the context grows.
 */
function ngramPerplexities(
  train: Int32Array,
  test: Int32Array,
  size: number,
  orders: number,
): number[] {
  const contexts = Array.from({ length: orders }, () => new Map<string, Map<number, number>>());
  const key = (text: Int32Array, i: number, order: number) => text.subarray(i - order, i).join();
  for (let i = orders; i < train.length; i++) {
    for (let order = 0; order < orders; order++) {
      const context = key(train, i, order);
      let counts = contexts[order].get(context);
      if (!counts) contexts[order].set(context, counts = new Map());
      counts.set(train[i], (counts.get(train[i]) ?? 0) + 1);
    }
  }
  const totals = contexts.map((order) =>
    new Map([...order].map(([k, counts]) => [k, [...counts.values()].reduce((a, b) => a + b, 0)]))
  );
  const nats = new Float64Array(orders);
  for (let i = orders; i < test.length; i++) {
    let p = 1 / size;
    for (let order = 0; order < orders; order++) {
      const context = key(test, i, order), counts = contexts[order].get(context);
      if (counts) {
        const total = totals[order].get(context)!;
        p = ((counts.get(test[i]) ?? 0) + counts.size * p) / (total + counts.size);
      }
      nats[order] -= Math.log(p);
    }
  }
  return [...nats].map((n) => Math.exp(n / (test.length - orders)));
}

Deno.test("models that do not know the grammar stay above the bound and come near it", () => {
  const perplexities = ngramPerplexities(
    long.train,
    long.test.subarray(0, 20_000),
    long.vocabulary.size,
    5,
  );
  const [unigram, bigram] = perplexities, best = Math.min(...perplexities);
  assert(unigram > 4 * bigram && best < 0.9 * bigram, `${perplexities}`);
  assert(best > 1.1 * long.bestPerplexity, `${best} against the bound ${long.bestPerplexity}`);
  assert(best < 1.6 * long.bestPerplexity, `${best} far above the bound ${long.bestPerplexity}`);
});

/** The kind of a word, by its spelling alone. */
function kindOf(word: string): string {
  if (/^(the|every|this)$/.test(word)) return "one";
  if (/^(some|these|many)$/.test(word)) return "many";
  if (/^(near|with|under)$/.test(word)) return "preposition";
  if (/^(at|and|<eos>)$/.test(word)) return word;
  return word.endsWith("ly") ? "adjective" : /e[tn]$/.test(word) ? "verb" : "noun";
}

Deno.test("the entropy of the text, counted by what a reader can tell, is the entropy rate", () => {
  const text = [...long.train].map((id) => long.vocabulary.word(id)), kinds = text.map(kindOf);
  // Clause by clause: the kinds of words so far, adjectives left out, and the subject.
  const subjectOf: (string | undefined)[] = [], soFar: string[] = [];
  let clause: string[] = [], subject: string | undefined;
  const verbs: [subject: string, stem: string][] = [];
  for (let i = 0; i < text.length; i++) {
    soFar.push(clause.join(" "));
    subjectOf.push(subject);
    if (kinds[i] === "<eos>" || kinds[i] === "and") clause = [];
    else if (kinds[i] !== "adjective") clause.push(kinds[i]);
    if (kinds[i] === "noun" && clause.length === 2) subject = text[i];
    if (kinds[i] === "verb") verbs.push([subject!, text[i].slice(0, -2)]);
  }
  // Topics: nouns that share a verb. A singular and its plural are joined by the verb's stem.
  const parent = new Map<string, string>();
  const root = (word: string): string => {
    const up = parent.get(word) ?? word;
    return up === word ? word : root(up);
  };
  for (const [noun, stem] of verbs) parent.set(root(`noun ${noun}`), root(`verb ${stem}`));
  const topics = new Set(verbs.map(([noun]) => root(`noun ${noun}`)));
  assert.equal(topics.size, 4, "four topics");
  const counts = new Map<string, Map<string, number>>();
  let n = 0;
  for (let i = 0; i < text.length; i++) {
    if (subjectOf[i] === undefined) continue;
    const context = `${soFar[i]} | ${root(`noun ${subjectOf[i]}`)}`;
    if (!counts.has(context)) counts.set(context, new Map());
    const words = counts.get(context)!;
    words.set(text[i], (words.get(text[i]) ?? 0) + 1);
    n++;
  }
  // Entropy of the counts, with Miller's correction (1955) for counting a finite text.
  let entropy = 0;
  for (const words of counts.values()) {
    const total = [...words.values()].reduce((a, b) => a + b, 0);
    for (const count of words.values()) entropy -= count / n * Math.log(count / total);
    entropy += (words.size - 1) / (2 * n);
  }
  assert(Math.abs(entropy - long.entropyRate) < 0.015, `${entropy} against ${long.entropyRate}`);
});

Deno.test("a generated text is a pure function of seed and split, over one vocabulary", () => {
  const a = generateText({ seed: 3, train: 500, valid: 200, test: 300 });
  const longer = generateText({ seed: 3, train: 900, valid: 200, test: 300 });
  assert.deepEqual(longer.train.subarray(0, 500), a.train);
  assert.deepEqual(longer.test, a.test);
  assert.notDeepEqual(a.test.subarray(0, 200), a.valid);
  assert.notDeepEqual(generateText({ seed: 4, train: 500 }).train, a.train);
  for (const split of [a.train, a.valid, a.test]) {
    assert(split.every((id) => id >= 0 && id < a.vocabulary.size));
  }
  assert(a.vocabulary.id("<eos>") !== undefined);
  assert.throws(() => generateText({ valid: 1 }), /at least 2, not 1/);
});

Deno.test("verbs agree with their subject across a phrase, and the topic decides the verb", () => {
  const text = [...long.train].map((id) => long.vocabulary.word(id));
  const prepositions = new Set(["near", "with", "under"]);
  const many = (determiner: string) => ["some", "these", "many"].includes(determiner);
  let checked = 0, mismatched = 0;
  const verbOfNoun = new Map<string, Set<string>>();
  for (let i = 0; i < 100_000; i++) {
    if (i > 0 && text[i - 1] !== "<eos>" && text[i - 1] !== "and") continue;
    let at = i + 1;
    while (text[at].endsWith("ly")) at++;
    const noun = text[at++];
    let attractor: boolean | null = null;
    if (prepositions.has(text[at])) {
      attractor = many(text[at + 1]);
      at += 2;
      while (text[at].endsWith("ly")) at++;
      at++;
    }
    const verb = text[at];
    assert.equal(verb.endsWith(many(text[i]) ? "en" : "et"), true, text.slice(i, at + 1).join(" "));
    checked++;
    if (attractor !== null && attractor !== many(text[i])) mismatched++;
    if (!verbOfNoun.has(noun)) verbOfNoun.set(noun, new Set());
    verbOfNoun.get(noun)!.add(verb.slice(0, -2));
  }
  assert(
    checked > 10_000 && mismatched > 1000,
    `${checked} clauses, ${mismatched} with an attractor`,
  );
  for (const verbs of verbOfNoun.values()) assert(verbs.size <= 6);
});
