/**
 * From measurements to the wall clock of a run.
 *
 * A run of T steps takes
 *
 *     Σ_t  s(t) + [gradients are exchanged at t] A(p) + [weights are averaged at t] (r + A(w))
 *
 * where s is the time of a step without its exchanges, on the slowest rank, while all ranks share the
 * machine and begin together after a pause, see `in_turn.ts`; r a round's own work; p and w the floats of the gradients and of what is averaged. A is the
 * time of an allreduce: measured, for the ranks' own network, between the lengths on the straight line
 * a + bn; for another network what the same machine needs for it through sockets (copies, sums, waking up), plus
 * what the α–β model says of that network, see `allreduce_cost.ts`. Communication is everything but the mean
 * rank's steps: the faster ranks wait for the slowest. If the last step is no round of all ranks, a round of
 * all ranks follows it, the mean that a run comes to.
 *
 * With `--fragments`, w is what a part has. With `--overlap` steps go on while averages travel, one after the
 * other; an average is waited for where it is taken over, and at the end of the run. Control variates are one
 * more A(p) when they are renewed; those of the start are sent before the clock starts. Where ranks wait for a
 * mean in which they take no part, it is taken for one of all ranks.
 *
 * With `--compress`, gradients and weights are as many bytes as the codec makes of them, sent directly, and
 * running statistics travel with the weights as they are; what codecs work is measured, on the CPU. SparseLoCo sends what the
 * codec leaves to each of the others, and averages running statistics by themselves.
 *
 * Start-up, evaluations, checkpoints and the delivery of metrics are left out, as they are in a
 * summary's `trainSeconds`.
 *
 * @module
 */

import type { NetworkCost } from "../../runtime/collectives/allreduce_cost.ts";
import type { Codec } from "../../runtime/compression/codec.ts";
import { codecOf } from "../../runtime/compression/registry.ts";
import type { Algorithm } from "../../optimizers/mod.ts";
import { takenOver } from "../../optimizers/rounds/overlap.ts";
import { type ExchangeCost, ExchangeCosts, FREE, inTurn, type Scale } from "./exchange_cost.ts";
import type { GradientSync, Measured, MeasuredPart } from "./measured.ts";

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

/**
 * Predicts a run.
 *
 * @param measured must know a step of every way in which the algorithm exchanges gradients, and its parts
 * @param network the network that the run will have; null for the one that was measured
 * @param participants ranks that take part in a round, and in averages of gradients that replace each rank's
 * @param scale the ranks of the run and their hosts, where those are more than what was measured
 * @param codec how gradients and weights travel; null: as they are. An algorithm that has one of its own takes that
 */
export function predict(
  measured: Measured,
  algorithm: Algorithm,
  steps: number,
  network: NetworkCost | null,
  participants: number = measured.ranks,
  scale: Scale = { ranks: measured.ranks, hosts: measured.ranks },
  codec: Codec | null = null,
): Prediction {
  const { round } = measured,
    { ranks } = scale,
    { controls, overlap, fragments, undrawn } = algorithm;
  const parts = partsOf(measured, algorithm),
    costs = new ExchangeCosts(measured, network, scale);
  const exchanges = exchangesOf(algorithm, {
    parameters: measured.parameters,
    parts,
    participants,
    ranks,
    codec,
  }, costs);

  let now = 0, working = 0, hiddenSeconds = 0, rounds = 0, peakBytesSent = 0;
  let bytesSent = exchanges.start.bytes;
  const wait = ({ seconds, bytes }: ExchangeCost) => {
    now += seconds;
    bytesSent += bytes;
  };
  /** When the average of a part that travels will have arrived, and when the link is free again. */
  const arrivals = new Map<number, number>();
  let linkFree = 0;
  const arrive = (part: number) => {
    const arrival = arrivals.get(part);
    if (arrival === undefined) return;
    arrivals.delete(part);
    if (arrival <= now) return;
    hiddenSeconds -= arrival - now;
    now = arrival;
  };
  for (let t = 1; t <= steps; t++) {
    const plan = algorithm.exchange(t), step = measured.step[plan.gradients];
    if (!step) {
      throw new RangeError(`no step that exchanges gradients to ${plan.gradients} was timed`);
    }
    working += step.mean;
    now += step.slowest;
    wait(exchanges.gradients[plan.gradients]);
    const due = plan.weights === "none" ? [] : fragments?.due(t) ?? WHOLE;
    for (const part of takenOver(algorithm, t)) arrive(part);
    let stepBytes = 0;
    for (const part of due) {
      const { seconds, bytes, rankBytes } = exchanges.averages[part];
      rounds++;
      now += round.slowest;
      bytesSent += bytes;
      stepBytes += rankBytes;
      if (!overlap) {
        now += seconds;
        continue;
      }
      arrive(part);
      linkFree = Math.max(now, linkFree) + seconds;
      hiddenSeconds += seconds;
      arrivals.set(part, linkFree);
    }
    peakBytesSent = Math.max(peakBytesSent, stepBytes);
    if (due.length > 0 && controls && rounds % controls.every === 0) wait(exchanges.renewal);
  }
  for (const part of [...arrivals.keys()]) arrive(part);
  const meanInterval = rounds > 0 ? steps * parts.length / rounds : steps;
  // The mean that a run comes to, of parts whose last step was no round of all ranks.
  const last = algorithm.exchange(steps).weights === "after" || algorithm.alike;
  const all = participants === ranks || undrawn === "waits";
  const met = last && all ? fragments?.due(steps) ?? WHOLE : [];
  if (ranks > 1 && met.length < parts.length) {
    now += round.slowest;
    for (const [part, ending] of exchanges.endings.entries()) {
      if (met.includes(part)) continue;
      rounds++;
      wait(ending);
    }
  }
  const communicationShare = now > 0 ? 1 - working / now : 0;
  return {
    rounds,
    meanInterval,
    seconds: now,
    communicationShare,
    hiddenSeconds: Math.max(0, hiddenSeconds),
    bytesSent,
    peakBytesSent,
  };
}

/** What exchanges depend on beside the algorithm. */
interface Sent {
  readonly parameters: number;
  readonly parts: readonly MeasuredPart[];
  readonly participants: number;
  readonly ranks: number;
  readonly codec: Codec | null;
}

/** What each exchange of a run costs. */
interface Exchanges {
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

function exchangesOf(
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

/** All weights, as one part. */
const WHOLE: readonly number[] = [0];

/** The parts whose averages travel by themselves. */
function partsOf(
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
