/**
 * How the ranks of a round are drawn, `--sampling`: parsed, checked and written back.
 *
 *     uniform          each set of so many ranks is as likely as any other
 *     dirichlet:α      some ranks are drawn more often than others: by probabilities that a symmetric
 *                      Dirichlet distribution gives once for the whole run; the smaller α, the less alike
 *     periodic:A,R     A of the N ranks are there at a time, the next A after R rounds, and round again;
 *                      of those that are there, each set is as likely as any other
 *
 * The names and parameters are those of the authors' code of Crawshaw, Bao and Liu, Federated Learning with
 * Client Subsampling, Data Heterogeneity, and Unbounded Smoothness (EPISODE++), NeurIPS 2023, `sample_clients`.
 *
 * @module
 */

/** How the ranks of a round are drawn. */
export type Sampling =
  | { readonly kind: "uniform" }
  /** By probabilities from a symmetric Dirichlet distribution of this concentration. */
  | { readonly kind: "dirichlet"; readonly alpha: number }
  /** Of `available` ranks that are there, others each `rounds` rounds. */
  | { readonly kind: "periodic"; readonly available: number; readonly rounds: number };

/** Where nothing is said. */
export const UNIFORM: Sampling = { kind: "uniform" };

/**
 * Parses a `--sampling` value.
 *
 * @throws {RangeError} when it is none of the forms or a number in it is out of range
 * @example
 * ```ts
 * import { parseSampling } from "./sampling.ts";
 * const sampling = parseSampling("periodic:2,5");
 * console.assert(sampling.kind === "periodic" && sampling.available === 2);
 * ```
 */
export function parseSampling(text: string): Sampling {
  const [kind, ...values] = text.split(/[:,]/);
  const numbers = values.map((value) =>
    /^\s*\d*\.?\d+(e[+-]?\d+)?\s*$/i.test(value) ? +value : NaN
  );
  if (text === "uniform") return UNIFORM;
  const [first, second] = numbers, spelled = `${kind}:${values}` === text;
  if (spelled && kind === "dirichlet" && numbers.length === 1 && first > 0 && first < Infinity) {
    return { kind, alpha: first };
  }
  const counts = numbers.every((n) => Number.isSafeInteger(n) && n >= 1);
  if (spelled && kind === "periodic" && numbers.length === 2 && counts) {
    return { kind, available: first, rounds: second };
  }
  throw new RangeError(
    `ranks are drawn uniform, dirichlet:ALPHA (above 0) or periodic:A,R (A ranks are there at a time, ` +
      `others after R rounds), not "${text}"`,
  );
}

/** The option value that {@linkcode parseSampling} reads back as `sampling`. */
export function formatSampling(sampling: Sampling): string {
  switch (sampling.kind) {
    case "uniform":
      return "uniform";
    case "dirichlet":
      return `dirichlet:${sampling.alpha}`;
    case "periodic":
      return `periodic:${sampling.available},${sampling.rounds}`;
  }
}

/** How many ranks a round has where that is not said: those that are there, or null, all of them. */
export function participantsBy(sampling: Sampling): number | null {
  return sampling.kind === "periodic" ? sampling.available : null;
}

/** Rounds after which each rank has had its turn: 1 where every rank may be drawn for any round. */
export function periodOf(sampling: Sampling, ranks: number): number {
  return sampling.kind === "periodic" ? sampling.rounds * ranks / sampling.available : 1;
}

/**
 * Checks that ranks can be drawn so.
 *
 * @param count how many of them for a round
 * @throws {RangeError} when they cannot, with what would do
 */
export function checkSampling(sampling: Sampling, ranks: number, count: number): void {
  const rule = formatSampling(sampling);
  if (sampling.kind === "dirichlet" && count >= ranks) {
    throw new RangeError(
      `${rule} draws some ranks more often than others, but all ${ranks} of them take part in each ` +
        "round: give fewer participants",
    );
  }
  if (sampling.kind !== "periodic") return;
  const { available } = sampling;
  if (ranks % available !== 0) {
    throw new RangeError(
      `${rule} needs groups of one size, and ${available} does not divide the ${ranks} ranks`,
    );
  }
  if (count > available) {
    throw new RangeError(
      `with ${rule} ${available} ranks are there at a time, so ${count} cannot take part in a round`,
    );
  }
}
