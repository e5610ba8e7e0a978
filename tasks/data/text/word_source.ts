/**
 * A source of words whose entropy rate is known exactly: a finite set of states, each of which emits a
 * word at random, and the word decides the next state. Because state and word determine the next state
 * (a unifilar source, Shannon 1948, section 7), the past decides the state, and the entropy rate is the
 * mean over the stationary distribution of the entropy of what each state emits. No predictor can do
 * better on average than its exponential, the source's perplexity.
 *
 * @module
 */

import type { Random } from "../../../runtime/base/random.ts";

/** A word that a state may emit. */
export interface Emission {
  /** Number of the word. */
  readonly word: number;
  /** How probable it is; a state's probabilities sum to 1. */
  readonly probability: number;
  /** The state that follows. */
  readonly next: number;
}

/** A random source of words; it begins in state 0. */
export class WordSource {
  readonly #states: readonly (readonly Emission[])[];
  /** For each state, running sums of its probabilities. */
  readonly #sums: readonly Float64Array[];
  /** For each state, its emissions by word. */
  readonly #byWord: readonly Map<number, Emission>[];

  /** Share of time spent in each state in the long run; sums to 1. */
  readonly stationary: Float64Array;
  /** Entropy of a word given all words before it, in nats. */
  readonly entropyRate: number;

  /**
   * A source with these states.
   *
   * @param states what each state emits
   * @throws {RangeError} when probabilities are not positive or do not sum to 1, a state emits a word
   * twice or leads nowhere, or not every state can be reached from every other
   */
  constructor(states: readonly (readonly Emission[])[]) {
    this.#states = states;
    this.#byWord = states.map((emissions, s) => {
      const byWord = new Map(emissions.map((emission) => [emission.word, emission]));
      const sum = emissions.reduce((total, { probability }) => total + probability, 0);
      const wrong = byWord.size !== emissions.length
        ? "emits a word twice"
        : !emissions.every(({ probability }) => probability > 0)
        ? "has a probability that is not positive"
        : Math.abs(sum - 1) > 1e-9
        ? `has probabilities that sum to ${sum}`
        : !emissions.every(({ next }) => states[next] !== undefined)
        ? "leads to a state that does not exist"
        : null;
      if (wrong !== null) throw new RangeError(`not a source of words: state ${s} ${wrong}`);
      return byWord;
    });
    this.#sums = states.map((emissions) => {
      let sum = 0;
      return Float64Array.from(emissions, ({ probability }) => sum += probability);
    });
    this.stationary = stationaryDistribution(states);
    this.entropyRate = states.reduce((rate, emissions, s) => {
      const entropy = emissions.reduce((h, { probability: p }) => h - p * Math.log(p), 0);
      return rate + this.stationary[s] * entropy;
    }, 0);
  }

  /** The first `count` words of a run of the source. */
  sample(random: Random, count: number): Int32Array {
    const words = new Int32Array(count);
    let state = 0;
    for (let i = 0; i < count; i++) {
      const sums = this.#sums[state], u = random.uniform();
      // The first running sum above u; the last one may have lost a little to rounding.
      let low = 0, high = sums.length - 1;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (sums[middle] > u) high = middle;
        else low = middle + 1;
      }
      const { word, next } = this.#states[state][low];
      words[i] = word;
      state = next;
    }
    return words;
  }

  /**
   * What the words after the first cost a predictor that knows the source, in nats a word: the least
   * that can be expected of any predictor on this very text. `words` begins where the source begins.
   *
   * @throws {RangeError} when the source cannot have emitted the words, or there are fewer than 2
   */
  meanNats(words: Int32Array): number {
    if (words.length < 2) {
      throw new RangeError(`2 words are needed to predict one, found ${words.length}`);
    }
    let state = 0, nats = 0;
    for (let i = 0; i < words.length; i++) {
      const emission = this.#byWord[state].get(words[i]);
      if (emission === undefined) {
        throw new RangeError(`the source cannot emit word ${words[i]} at place ${i}`);
      }
      if (i > 0) nats -= Math.log(emission.probability);
      state = emission.next;
    }
    return nats / (words.length - 1);
  }
}

/**
 * The distribution π with π = πP and Σπ = 1, by elimination without subtractions (Grassmann, Taksar,
 * Heyman 1985), which loses no digits.
 */
function stationaryDistribution(states: readonly (readonly Emission[])[]): Float64Array {
  const n = states.length;
  const p = states.map((emissions) => {
    const row = new Float64Array(n);
    for (const { next, probability } of emissions) row[next] += probability;
    return row;
  });
  for (let k = n - 1; k > 0; k--) {
    let out = 0;
    for (let j = 0; j < k; j++) out += p[k][j];
    if (out === 0) {
      throw new RangeError(`not a source of words: the states before ${k} are never reached again`);
    }
    for (let i = 0; i < k; i++) {
      p[i][k] /= out;
      for (let j = 0; j < k; j++) p[i][j] += p[i][k] * p[k][j];
    }
  }
  const pi = new Float64Array(n);
  pi[0] = 1;
  let total = 1;
  for (let k = 1; k < n; k++) {
    for (let i = 0; i < k; i++) pi[k] += pi[i] * p[i][k];
    if (pi[k] === 0) {
      throw new RangeError(`not a source of words: state ${k} is never reached`);
    }
    total += pi[k];
  }
  return pi.map((weight) => weight / total);
}
