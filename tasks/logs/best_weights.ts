/**
 * The weights that did best on the validation set, as a run's summary tells of them.
 *
 * @module
 */

/** Weights that a run has kept as `best.safetensors`. What the log does not tell is null. */
export interface KeptWeights {
  /** The step after which they were evaluated. */
  readonly step: number;
  /** Share of the test set that they classify right. */
  readonly accuracy: number | null;
  /** Their perplexity on the test text. */
  readonly perplexity: number | null;
  /** Root of their mean squared error on the test set. */
  readonly rmse: number | null;
  /** Their mean loss on the same. */
  readonly loss: number | null;
}

/** Those of a summary, which may be anything that a file holds; null where it tells of none. */
export function keptWeights(summary: object | null): KeptWeights | null {
  const best: unknown = (summary as { best?: unknown } | null)?.best;
  if (typeof best !== "object" || best === null) return null;
  const known = best as Record<string, unknown>;
  const number = (name: string) => {
    const value = known[name];
    return typeof value === "number" ? value : null;
  };
  const step = number("step");
  if (step === null) return null;
  return {
    step,
    accuracy: number("testAccuracy"),
    perplexity: number("testPerplexity"),
    rmse: number("testRmse"),
    loss: number("testLoss"),
  };
}
