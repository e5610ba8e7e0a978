import { Random } from "../../../runtime/base/random.ts";

/** How long sequences are drawn. */
export interface SequenceLengthOptions {
  /**
   * Mean length in tokens (back-propagation through time goes that far).
   * @default {70}
   */
  readonly bptt?: number;
  /**
   * No sequence is longer; the draw is cut there.
   * @default {Infinity}
   */
  readonly longest?: number;
}

/**
 * The random length of step `step`'s sequence, in tokens: N(bptt, 5) in 95 % of the steps, N(bptt/2, 5)
 * in the others, rounded towards zero, at least 5 (Merity, Keskar, Socher: Regularizing and Optimizing
 * LSTM Language Models, ICLR 2018, section 5). A pure function of (seed, step), so the same on all
 * ranks.
 *
 * @throws {RangeError} when `bptt` or `longest` is below 1
 */
export function sequenceLength(
  seed: number,
  step: number,
  options: SequenceLengthOptions = {},
): number {
  const { bptt = 70, longest = Infinity } = options;
  if (!(bptt >= 1 && longest >= 1)) {
    throw new RangeError(
      `a sequence length is at least 1: found a mean of ${bptt} and a limit of ${longest}`,
    );
  }
  const random = new Random(seed, "bptt", step);
  const mean = random.uniform() < 0.95 ? bptt : bptt / 2;
  return Math.min(longest, Math.max(5, Math.trunc(mean + 5 * random.normal())));
}
