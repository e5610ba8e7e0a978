/**
 * From measurements to the wall clock of a run.
 *
 * A run of T steps takes
 *
 *     Σ_t  s(t) + [gradients are exchanged at t] A(p) + [weights are averaged at t] (r + A(w))
 *
 * where s is the time of a step without its exchanges, on the slowest rank, while all ranks share the
 * machine; r a round's own work; p and w the floats of the gradients and of what is averaged. A is the
 * time of an allreduce: measured, for the ranks' own network, between the lengths on the straight line
 * a + bn; for another network what the same machine needs for it (copies, sums, waking up), plus what
 * the α–β model says of that network, see `allreduce_cost.ts`. Communication is everything but the mean
 * rank's steps: the faster ranks wait for the slowest. With `--overlap`, A(w) counts as far as it is
 * longer than the steps of a round. If the last step is no round of all ranks, a round of all ranks
 * follows it, the mean that a run comes to. With `--fragments` a round is a P-th of w, with a `--delay` an
 * average is hidden by so many steps at most. Control variates are one more A(p) when they are renewed; where
 * ranks wait for a mean in which they take no part, it is taken for one of all ranks.
 *
 * With `--compress`, gradients and weights are as many bytes as the codec makes of them, sent directly, and
 * running statistics are averaged by themselves; what encoding takes is left out.
 *
 * Start-up, evaluations, checkpoints and the delivery of metrics are left out, as they are in a
 * summary's `trainSeconds`.
 *
 * @module
 */

import {
  allreduceCost,
  allreduceSeconds,
  allreduceTraffic,
  type NetworkCost,
} from "../../runtime/collectives/allreduce_cost.ts";
import type { Codec } from "../../runtime/compression/codec.ts";
import type { Algorithm } from "../../optimizers/mod.ts";
import type { Measured, TimedAllreduce } from "./measured.ts";

/** What a run is expected to come to. */
export interface Prediction {
  /** Rounds of averaging. */
  readonly rounds: number;
  /** Wall clock of the training. */
  readonly seconds: number;
  /** Share of it that goes into exchanges, waiting included; from 0 to 1. */
  readonly communicationShare: number;
  /** Payload bytes that all ranks send for the exchanges. */
  readonly bytesSent: number;
}

/** Where a run is to be: as many ranks on each host, or every rank behind a link of its own. */
export interface Scale {
  readonly ranks: number;
  readonly hosts: number;
}

/**
 * Predicts a run.
 *
 * @param measured must know a step of every way in which the algorithm exchanges gradients
 * @param network the network that the run will have; null for the one that was measured
 * @param participants ranks that take part in a round, and in averages of gradients that replace each rank's
 * @param scale the ranks of the run and their hosts, where those are more than what was measured
 * @param codec how gradients and weights travel; null: as they are
 */
export function predict(
  measured: Measured,
  algorithm: Algorithm,
  steps: number,
  network: NetworkCost | null,
  participants: number = measured.ranks,
  { ranks, hosts }: Scale = { ranks: measured.ranks, hosts: measured.ranks },
  codec: Codec | null = null,
): Prediction {
  const { parameters, shared, round } = measured;
  const allreduce = (floats: number, among: number, by: Codec | null = null) => {
    if (among === 1 || floats === 0) return 0;
    const own = timeOf(measured.allreduce, floats), far = hostsOf(among);
    if (network === null) return own;
    if (by === null) return own + allreduceSeconds(network, among, 4 * floats, far);
    return own + allreduceCost("direct", network, among, by.bytes(floats), far).seconds;
  };
  /** As many hosts as take part, or a host a rank. */
  const hostsOf = (among: number) => hosts === ranks ? among : Math.min(hosts, among);
  const { controls, undrawn, overlap, fragments } = algorithm, waits = undrawn === "waits";
  // Weights that are equal anyway are not sent.
  // Parts are taken to be as large as each other.
  const parts = fragments?.count ?? 1, delay = overlap?.delay ?? null;
  const trained = algorithm.alike ? 0 : parameters, statistics = shared - parameters;
  /** What is averaged in a round of a part, one after the other. */
  const averaged: [number, Codec | null][] = codec
    ? [[trained / parts, codec], [statistics / parts, null]]
    : [[(trained + statistics) / parts, null]];
  const weights = averaged.reduce(
    (sum, [floats, by]) => sum + allreduce(floats, by ? ranks : participants, by),
    0,
  );
  /** A mean of so many floats among some ranks, which goes to all if they wait for it. */
  const exchange = (floats: number, among: number, forAll: boolean, by: Codec | null = null) => {
    if (floats === 0) return;
    if (by) {
      const all = forAll ? ranks : among;
      seconds += allreduce(floats, all, by);
      bytesSent += by.bytes(floats) * (all - 1) * (among + all) / all;
      return;
    }
    const others = forAll && waits ? ranks - among : 0;
    seconds += allreduce(floats, others > 0 ? ranks : among);
    bytesSent += allreduceTraffic(among, 4 * floats, hostsOf(among)) + others * 4 * floats;
  };
  let working = 0, seconds = 0, rounds = 0, bytesSent = 0, meanwhile = 0;
  for (let t = 1; t <= steps; t++) {
    const plan = algorithm.exchange(t), step = measured.step[plan.gradients];
    if (!step) {
      throw new RangeError(`no step that exchanges gradients to ${plan.gradients} was timed`);
    }
    working += step.mean;
    seconds += step.slowest;
    meanwhile += step.slowest;
    if (plan.gradients !== "none" && plan.gradients !== "collect") {
      const drawn = plan.gradients === "replace" || waits;
      const forAll = plan.gradients === "replace" && (waits || !codec);
      exchange(parameters, drawn ? participants : ranks, forAll, codec);
    }
    const due = plan.weights === "none" ? 0 : fragments?.due(t).length ?? 1;
    if (due > 0) {
      rounds += due;
      // An average that is waited for later travels while the steps go on.
      const hides = delay === null ? meanwhile : Math.min(meanwhile, delay * step.slowest);
      seconds += round.slowest - Math.min(due * weights, overlap ? hides : 0);
      meanwhile = 0;
      for (let i = 0; i < due; i++) {
        for (const [floats, by] of averaged) exchange(floats, participants, true, by);
      }
      if (controls && rounds % controls.every === 0) {
        exchange(parameters, participants, true, codec);
      }
    }
  }
  // The mean that a run comes to, where its last step was no round of all ranks.
  const last = algorithm.exchange(steps).weights === "after" || algorithm.alike;
  const met = last && (participants === ranks || waits) ? fragments?.due(steps).length ?? 1 : 0;
  if (ranks > 1 && met < parts) {
    const apart = parts - met, floats = shared / parts;
    rounds += apart;
    seconds += round.slowest + apart * allreduce(floats, ranks);
    bytesSent += apart * allreduceTraffic(ranks, 4 * floats, hosts);
  }
  const communicationShare = seconds > 0 ? 1 - working / seconds : 0;
  return { rounds, seconds, communicationShare, bytesSent };
}

/** The time of an allreduce of any length: on the line through the shortest and the longest. */
function timeOf(timed: readonly TimedAllreduce[], floats: number): number {
  const exact = timed.find((each) => each.floats === floats);
  if (exact) return exact.seconds;
  const [short, long] = [timed[0], timed.at(-1)!];
  const slope = Math.max(0, (long.seconds - short.seconds) / (long.floats - short.floats));
  return Math.max(0, long.seconds + slope * (floats - long.floats));
}
