/**
 * Which token comes next, drawn from a network's logits.
 *
 * @module
 */

import type { Random } from "../../runtime/base/random.ts";

/** How tokens are drawn. */
export interface SamplingOptions {
  /** What the logits are divided by; 0: always the most probable token. */
  readonly temperature: number;
  /** Only so many of the most probable tokens can be drawn; null: all. */
  readonly topK: number | null;
}

/**
 * Draws a token with probability softmax(logits / temperature), or among the `topK` most probable (Fan, Lewis
 * and Dauphin 2018). Of equal logits the first counts as the larger.
 *
 * @param logits one for each token; none is changed
 * @param random is asked for one number, unless the temperature is 0
 * @throws RangeError when the largest logit is no number, as of weights that have diverged
 */
export function drawToken(
  logits: Float32Array,
  { temperature, topK }: SamplingOptions,
  random: Random,
): number {
  const most = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  if (!Number.isFinite(most)) {
    throw new RangeError(`there is no most probable token: the largest logit is ${most}`);
  }
  if (temperature === 0) return logits.indexOf(most);
  const among = mostProbable(logits, topK ?? logits.length);
  const weights = among.map((token) => Math.exp((logits[token] - most) / temperature));
  let left = random.uniform() * weights.reduce((sum, weight) => sum + weight, 0);
  for (const [i, weight] of weights.entries()) {
    left -= weight;
    if (left < 0) return among[i];
  }
  return among.at(-1)!; // the sum was rounded
}

/** The `count` largest logits' tokens, in the order of their numbers. */
function mostProbable(logits: Float32Array, count: number): number[] {
  const all = Array.from(logits, (_, token) => token);
  if (count >= logits.length) return all;
  const least = logits.toSorted().at(-count)!;
  let ties = count - logits.reduce((larger, logit) => larger + Number(logit > least), 0);
  return all.filter((token) => logits[token] > least || logits[token] === least && ties-- > 0);
}
