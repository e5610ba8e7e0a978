/**
 * The weights in P parts, each averaged once a round at a step of its own: the same bytes, a P-th of them at a
 * time.
 *
 *     part p of a round of I steps is averaged after ⌈(p + 1) I / P⌉ of them,     p = 0, …, P − 1
 *
 * so that the last part is averaged where the whole would be, and each part every I steps.
 *
 * Douillard et al., Streaming DiLoCo with overlapping communication, 2025 (arXiv 2501.18512), section 2.1.
 *
 * @module
 */

import type { Algorithm } from "../algorithm.ts";

/**
 * The same algorithm with weights that are averaged in parts.
 *
 * Lemma 1 of the paper holds for each part. Ranks leave a part's round with the same values in it and take I
 * steps to its next, each of a length of at most γ in all weights together, so in the part as well: in the
 * part ‖x̄ − x_i‖ ≤ 2γI. It holds for all weights together too: let c be what the ranks had in common when
 * each part was last averaged; then x_i − c is the sum of at most I steps, from each of which the parts averaged
 * since are left out, which makes none longer.
 *
 * @param count P
 * @throws RangeError for an algorithm whose rounds are not averages after a step, or whose steps refer to
 * where a round began
 */
export function fragmented(algorithm: Algorithm, count: number): Algorithm {
  const { name, interval, rounds, update, exchange, timed, undrawn, sends } = algorithm;
  if (!Number.isSafeInteger(count) || count < 1) {
    throw new RangeError(`the weights are averaged in a number of parts from 1, not ${count}`);
  }
  const least = interval === null || timed ? null : exchange(rounds?.roundOf(1).end ?? interval);
  const plain = least?.weights === "after" && least.gradients !== "replace";
  if (!plain || update.correct || update.transform || undrawn === "waits" || sends) {
    throw new RangeError(
      `the weights of ${name} cannot be averaged in parts: its rounds are no averages after every few ` +
        "steps, or its steps refer to where the round began; those of celgc, local-sgd, slowmo and diloco can",
    );
  }
  const length = interval!;
  const roundOf = (t: number) => {
    if (rounds) return rounds.roundOf(t);
    const begin = t - 1 - (t - 1) % length;
    return { begin, end: begin + length };
  };
  const due = (t: number) => {
    const { begin, end } = roundOf(t), parts: number[] = [];
    for (let p = 0; p < count; p++) {
      if (begin + Math.ceil((p + 1) * (end - begin) / count) === t) parts.push(p);
    }
    return parts;
  };
  return {
    ...algorithm,
    fragments: { count, due },
    exchange: (t) => ({ ...exchange(t), weights: due(t).length > 0 ? "after" : "none" }),
  };
}
