/**
 * From measurements to the wall clock of a run.
 *
 * A run of T steps takes
 *
 *     Σ_t  s(t) + [gradients are exchanged at t] A(p) + [weights are averaged at t] (r + A(w))
 *
 * where s is the time of a step without its exchanges, on the slowest rank, while all ranks share the
 * machine and begin together after a pause, see `measuring/in_turn.ts`; r a round's own work; p and w the floats
 * of the gradients and of what is averaged. A is the time of an allreduce: measured, for the ranks' own network,
 * between the lengths on the straight line a + bn; for another network what the same machine needs for it through
 * sockets (copies, sums, waking up), plus what the α–β model says of that network, see `allreduce_cost.ts`.
 * Communication is everything but the mean rank's steps: the faster ranks wait for the slowest. If the last step
 * is no round of all ranks, a round of all ranks follows it, the mean that a run comes to.
 *
 * With `--fragments`, w is what a part has. With `--overlap` steps go on while averages travel, one after the
 * other; an average is waited for where it is taken over, and at the end of the run. Control variates are one
 * more A(p) when they are renewed; those of the start are sent before the clock starts. Where ranks wait for a
 * mean in which they take no part, it is taken for one of all ranks.
 *
 * With `--compress`, gradients and weights are as many bytes as the codec makes of them, sent directly, and
 * running statistics travel with the weights as they are; what codecs work is measured, on the CPU. SparseLoCo
 * sends what the codec leaves to each of the others, and averages running statistics by themselves.
 *
 * Start-up, evaluations, checkpoints and the delivery of metrics are left out, as they are in a
 * summary's `trainSeconds`.
 *
 * @module
 */

import type { NetworkCost } from "../../runtime/collectives/allreduce_cost.ts";
import type { Codec } from "../../runtime/compression/codec.ts";
import type { Algorithm } from "../../optimizers/mod.ts";
import { ExchangeCosts, type Scale } from "./exchange_cost.ts";
import { exchangesOf, partsOf } from "./exchanges.ts";
import type { Measured } from "./measured.ts";
import { PredictedRun } from "./predicted_run.ts";

/** What a run is expected to come to. */
export interface Prediction {
  /** Rounds of averaging. */
  readonly rounds: number;
  /** Steps from one average of the same weights to the next, in the mean over the run. */
  readonly meanInterval: number;
  /** Wall clock of the training. */
  readonly seconds: number;
  /** Share of it that goes into exchanges, waiting included; from 0 to 1. */
  readonly communicationShare: number;
  /** Seconds in which averages travel while steps go on. */
  readonly hiddenSeconds: number;
  /** Payload bytes that all ranks send for the exchanges. */
  readonly bytesSent: number;
  /** Most payload bytes that one rank sends for the rounds after one step. */
  readonly peakBytesSent: number;
}

/** The run that is predicted, where it is not the one that was measured. */
export interface PredictOptions {
  /** The network that it will have. @default {null: the one that was measured} */
  readonly network?: NetworkCost | null;
  /**
   * Ranks that take part in a round, and in averages of gradients that replace each rank's.
   * @default {those that were measured}
   */
  readonly participants?: number;
  /** Its ranks and their hosts, where those are more than what was measured. */
  readonly scale?: Scale;
  /** How gradients and weights travel; an algorithm that has a codec of its own takes that. @default {null: as they are} */
  readonly codec?: Codec | null;
}

/**
 * Predicts a run.
 *
 * @param measured must know a step of every way in which the algorithm exchanges gradients, and its parts
 * @param steps of each rank
 */
export function predict(
  measured: Measured,
  algorithm: Algorithm,
  steps: number,
  {
    network = null,
    participants = measured.ranks,
    scale = { ranks: measured.ranks, hosts: measured.ranks },
    codec = null,
  }: PredictOptions = {},
): Prediction {
  const { ranks } = scale, { parameters } = measured;
  const parts = partsOf(measured, algorithm);
  const exchanges = exchangesOf(
    algorithm,
    { parameters, parts, participants, ranks, codec },
    new ExchangeCosts(measured, network, scale),
  );
  const run = new PredictedRun(measured, algorithm, exchanges);
  for (let t = 1; t <= steps; t++) run.step(t);
  run.receiveAll();
  // The mean that a run comes to is no round of these.
  const meanInterval = run.rounds > 0 ? steps * parts.length / run.rounds : steps;
  if (ranks > 1) run.meet(steps, participants === ranks || algorithm.undrawn === "waits");
  const { rounds, seconds, communicationShare, hiddenSeconds, bytesSent, peakBytesSent } = run;
  return {
    rounds,
    meanInterval,
    seconds,
    communicationShare,
    hiddenSeconds,
    bytesSent,
    peakBytesSent,
  };
}
