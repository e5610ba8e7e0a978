/**
 * The exchanges of a run, and what each of them costs.
 *
 * @module
 */

import type { Codec } from "../../runtime/compression/codec.ts";
import { codecOf } from "../../runtime/compression/registry.ts";
import type { Algorithm } from "../../optimizers/mod.ts";
import { type ExchangeCost, type ExchangeCosts, FREE, inTurn } from "./exchange_cost.ts";
import type { GradientSync, Measured, MeasuredPart } from "./measured.ts";

/** What exchanges depend on beside the algorithm. */
interface Sent {
  /** Floats of the weights that are trained. */
  readonly parameters: number;
  /** See {@linkcode partsOf}. */
  readonly parts: readonly MeasuredPart[];
  /** Ranks that take part in a round. */
  readonly participants: number;
  /** Ranks of the run. */
  readonly ranks: number;
  /** How gradients and weights travel; null: as they are. */
  readonly codec: Codec | null;
}

/** What each exchange of a run costs. */
export interface Exchanges {
  /** Around a step. */
  readonly gradients: Readonly<Record<GradientSync, ExchangeCost>>;
  /** In a round of each part. */
  readonly averages: readonly ExchangeCost[];
  /** Of each part at the end, where ranks stand apart. */
  readonly endings: readonly ExchangeCost[];
  /** Of control variates, before the first step and after a round. */
  readonly start: ExchangeCost;
  readonly renewal: ExchangeCost;
}

/** What the exchanges of an algorithm cost. */
export function exchangesOf(
  { controls, sends, undrawn }: Algorithm,
  { parameters, parts, participants, ranks, codec }: Sent,
  costs: ExchangeCosts,
): Exchanges {
  const waits = undrawn === "waits", by = sends ? codecOf(sends.compress) : codec;
  const drawn = { among: participants, forAll: waits };
  // Corrections are of those who are drawn, where the others wait.
  const ofAll = costs.mean(parameters, { among: waits ? participants : ranks, codec: by });
  return {
    gradients: {
      none: FREE,
      collect: FREE,
      replace: costs.mean(parameters, { ...drawn, codec: by }),
      norm: ofAll,
      correct: ofAll,
    },
    averages: parts.map(({ trained, statistics }) => {
      if (!by || trained === 0) return costs.mean(trained + statistics, drawn);
      if (sends) return inTurn([costs.gather(trained, by), costs.mean(statistics, drawn)]);
      const exact = statistics;
      return costs.mean(trained, { among: participants, forAll: true, codec: by, exact });
    }),
    endings: parts.map(({ trained, statistics }) =>
      costs.mean(trained + statistics, { among: ranks })
    ),
    start: controls && controls.start > 0 ? costs.mean(parameters, { among: ranks }) : FREE,
    renewal: costs.mean(parameters, {
      // As many as can have taken part since the last time.
      among: Math.min(ranks, participants * (controls?.every ?? 1)),
      forAll: true,
      codec: by,
    }),
  };
}

/**
 * The parts whose averages travel by themselves.
 *
 * @throws RangeError if weights in so many parts were not measured
 */
export function partsOf(
  { parameters, shared, parts }: Measured,
  { alike, fragments, overlap }: Algorithm,
): MeasuredPart[] {
  const count = fragments?.count ?? 1;
  const whole = [{ trained: parameters, statistics: shared - parameters }];
  const found = count === 1 ? whole : parts?.[count];
  if (!found) throw new RangeError(`weights in ${count} parts were not measured`);
  return found.map(({ trained, statistics }) => ({
    // Weights that are equal anyway are not sent, and running statistics never come late.
    trained: alike ? 0 : trained,
    statistics: overlap ? 0 : statistics,
  }));
}
