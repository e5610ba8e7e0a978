/**
 * A text that needs no download, from a small probabilistic grammar whose entropy rate, hence the best
 * perplexity any model can reach, is known exactly.
 *
 * What there is to learn: word classes and their frequencies (Zipf's law); verbs that agree in number
 * with their subject, across a phrase that may hold a noun of the other number; and a topic that
 * lasts over sentences and decides which nouns and verbs occur.
 *
 * @module
 */

import { Random } from "../../../runtime/base/random.ts";
import type { TextCorpus } from "./text_corpus.ts";
import { END_OF_LINE, Vocabulary } from "../tokenizers/vocabulary.ts";
import { type Emission, WordSource } from "./word_source.ts";

/** How much to generate. */
export interface GeneratedTextOptions {
  /**
   * Decides which text the grammar gives; the grammar itself is always the same.
   * @default {1}
   */
  readonly seed?: number;
  /**
   * Tokens to train on.
   * @default {60000}
   */
  readonly train?: number;
  /**
   * Tokens to validate on.
   * @default {6000}
   */
  readonly valid?: number;
  /**
   * Tokens to test on.
   * @default {6000}
   */
  readonly test?: number;
}

/** A generated text and what is known about its source. */
export interface GeneratedText extends TextCorpus {
  /** Entropy of a token given all tokens before it, in nats. */
  readonly entropyRate: number;
  /** The best perplexity that can be expected of any model: exp(entropyRate). */
  readonly bestPerplexity: number;
  /** The source itself; its `meanNats(split)` is the best loss on that very split. */
  readonly source: WordSource;
}

const TOPICS = 4, NOUNS = 12, VERBS = 6, ADJECTIVES = 20;
/** Probability that the next subject is of the same topic as the last. */
const SAME_TOPIC = 0.7;
const ADJECTIVE = 0.25, PHRASE = 0.3, OBJECT = 0.6, CONJUNCTION = 0.15;

/** Probabilities of `count` words by Zipf's law, times `mass`. */
function zipf(count: number, mass = 1): number[] {
  const weights = Array.from({ length: count }, (_, i) => 1 / (i + 1));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => mass * weight / sum);
}

/** Word `index` of an endless list of pronounceable, different words. */
function spell(index: number): string {
  const onsets = "bdfgklmnprstvz", vowels = "aeiou";
  let word = "";
  // 97 has no factor in common with the 70² words of two syllables: a walk over all of them.
  let code = (index * 97 + 41) % (70 * 70);
  for (let syllable = 0; syllable < 2; syllable++, code = Math.floor(code / 70)) {
    word += onsets[code % 14] + vowels[Math.floor(code / 14) % 5];
  }
  return word;
}

/** The grammar as a source of words: its states are made when a word first leads to them. */
function buildGrammar(): { vocabulary: Vocabulary; source: WordSource } {
  const vocabulary = new Vocabulary();
  const stem = (kind: number, i: number) => spell(kind * 100 + i);
  const noun = (topic: number, i: number, many: boolean) => stem(topic, i) + (many ? "s" : "");
  const verb = (topic: number, i: number, many: boolean) =>
    stem(TOPICS + topic, i) + (many ? "en" : "et");

  const states: Emission[][] = [];
  const numbers = new Map<string, number>();
  const pending: (() => void)[] = [];
  /** The number of the state called `name`, whose emissions `fill` lists. */
  const state = (name: string, fill: () => [word: string, probability: number, next: number][]) => {
    let number = numbers.get(name);
    if (number === undefined) {
      const emissions: Emission[] = [];
      number = states.push(emissions) - 1;
      numbers.set(name, number);
      pending.push(() => {
        for (const [word, probability, next] of fill()) {
          emissions.push({ word: vocabulary.add(word), probability, next });
        }
      });
    }
    return number;
  };

  type Rest = { name: string; then: (topic: number, many: boolean) => number };
  /** Determiner, adjectives, noun; `mixed` lets the topic change, `rest` follows. */
  const nounPhrase = (topic: number, mixed: boolean, rest: Rest): number =>
    state(`det ${topic} ${mixed} ${rest.name}`, () => {
      const one = ["the", "every", "this"], many = ["some", "these", "many"];
      const p = zipf(3, 0.5);
      return [...one, ...many].map((word, i) => [word, p[i % 3], head(topic, mixed, i >= 3, rest)]);
    });
  const head = (topic: number, mixed: boolean, many: boolean, rest: Rest): number =>
    state(`head ${topic} ${mixed} ${many} ${rest.name}`, () => {
      const self = head(topic, mixed, many, rest);
      const words: [string, number, number][] = zipf(ADJECTIVES, ADJECTIVE)
        .map((p, i) => [stem(2 * TOPICS, i) + "ly", p, self]);
      for (let t = 0; t < TOPICS; t++) {
        const mass = !mixed
          ? (t === topic ? 1 : 0)
          : t === topic
          ? SAME_TOPIC
          : (1 - SAME_TOPIC) / (TOPICS - 1);
        if (mass === 0) continue;
        zipf(NOUNS, mass * (1 - ADJECTIVE))
          .forEach((p, i) => words.push([noun(t, i, many), p, rest.then(t, many)]));
      }
      return words;
    });
  const clause = (topic: number): number =>
    nounPhrase(topic, true, { name: "subject", then: (t, many) => subject(t, many) });
  const subject = (topic: number, many: boolean): number =>
    state(`subject ${topic} ${many}`, () => {
      // The phrase's own noun says nothing about the verb that comes after it.
      const phrase = nounPhrase(topic, false, {
        name: `phrase ${many}`,
        then: () => predicate(topic, many),
      });
      const prepositions = ["near", "with", "under"];
      return [
        ...zipf(3, PHRASE).map((p, i): [string, number, number] => [prepositions[i], p, phrase]),
        ...verbs(topic, many, 1 - PHRASE),
      ];
    });
  const predicate = (topic: number, many: boolean): number =>
    state(`predicate ${topic} ${many}`, () => verbs(topic, many, 1));
  const verbs = (topic: number, many: boolean, mass: number): [string, number, number][] =>
    zipf(VERBS, mass).map((p, i) => [verb(topic, i, many), p, afterVerb(topic)]);
  const afterVerb = (topic: number): number =>
    state(`after verb ${topic}`, () => {
      const object: Rest = { name: "object", then: () => ending(topic) };
      return [
        ["at", OBJECT, nounPhrase(topic, false, object)],
        ...endings(topic, 1 - OBJECT),
      ];
    });
  const ending = (topic: number): number => state(`ending ${topic}`, () => endings(topic, 1));
  const endings = (topic: number, mass: number): [string, number, number][] => [
    [END_OF_LINE, mass * (1 - CONJUNCTION), clause(topic)],
    ["and", mass * CONJUNCTION, clause(topic)],
  ];

  clause(0);
  for (let fill = pending.shift(); fill !== undefined; fill = pending.shift()) fill();
  return { vocabulary, source: new WordSource(states) };
}

/**
 * Generates the three splits: a pure function of the options.
 *
 * @throws {RangeError} when a number of tokens is no integer of at least 2
 * @example
 * ```ts
 * import { generateText } from "./generated_text.ts";
 * const text = generateText({ seed: 7, train: 1000 });
 * console.assert(text.source.meanNats(text.train) > 0 && text.bestPerplexity > 1);
 * ```
 */
export function generateText(options: GeneratedTextOptions = {}): GeneratedText {
  const { seed = 1, train = 60_000, valid = 6_000, test = 6_000 } = options;
  for (const count of [train, valid, test]) {
    if (!Number.isInteger(count) || count < 2) {
      throw new RangeError(`a number of tokens is an integer of at least 2, not ${count}`);
    }
  }
  const { vocabulary, source } = buildGrammar();
  const split = (name: string, count: number) =>
    source.sample(new Random(seed, "generated-text", name), count);
  return {
    name: "generated-text",
    vocabulary,
    train: split("train", train),
    valid: split("valid", valid),
    test: split("test", test),
    entropyRate: source.entropyRate,
    bestPerplexity: Math.exp(source.entropyRate),
    source,
  };
}
