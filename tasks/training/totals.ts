/**
 * Sums over a run, on one rank and then over all of them.
 *
 * @module
 */

import type { Communicator } from "../../runtime/communicator.ts";
import { loadNumber, type StateDict, type Stateful } from "../run/checkpoint.ts";
import type { CompressionTraffic } from "../rounds/averaging.ts";
import type { RunEnding } from "../rounds/round.ts";
import type { Summary } from "../run/metrics.ts";
import { relayedBytes } from "./hosts_of.ts";

/** What counts of a step. */
export interface CountedStep {
  readonly loss: number;
  /** Whether it was clipped, 0 or 1, or which share of it was, where parts are clipped by themselves. */
  readonly clipped: number;
  readonly stepMs: number;
  /** Seconds of the step that went into exchanges. */
  readonly syncSeconds: number;
  /** Whether it was not taken after all. @default {false} */
  readonly skipped?: boolean;
}

/** What a rank has seen and sent in a run. */
export interface RunTraffic {
  readonly samples: number;
  readonly bytesSent: number;
  /** What the end has added; null where a run ended without one. */
  readonly ending: RunEnding | null;
  /** What went compressed; null if nothing did. */
  readonly compressed: CompressionTraffic | null;
}

/** The part of a summary that is summed up. */
export type Totals = Pick<
  Summary,
  | "trainLoss"
  | "trainSeconds"
  | "stepsPerSecond"
  | "samplesPerSecond"
  | "communicationShare"
  | "totalBytesSent"
  | "peakBytesSent"
  | "bytesBetweenHosts"
  | "relayed"
  | "compression"
  | "clipRate"
  | "skippedSteps"
  | "maxDrift"
  | "driftBound"
>;

const NOTHING = {
  taken: 0,
  seconds: 0,
  syncSeconds: 0,
  clipped: 0,
  skipped: 0,
  tailLoss: 0,
  tailSteps: 0,
  /** Most bytes sent in the rounds of one step. */
  peakBytes: 0,
  rounds: 0,
  maxDrift: 0,
  /** −1 where nothing is proven. */
  driftBound: -1,
};

type Sum = keyof typeof NOTHING;

/** Where a checkpoint keeps the latest losses. */
const LOSSES = "tally.losses";

/** The step after which the last tenth of `steps` begins. */
const tailBegins = (steps: number) => steps - Math.max(1, steps / 10);

/** One rank's sums. */
export class RunningTotals implements Stateful {
  readonly #clips: boolean;
  readonly #steps: number;
  readonly #sums = { ...NOTHING };
  /** Losses of the latest steps, if the run may stop early: at least the last tenth of those done. */
  readonly #latest: { readonly t: number; readonly loss: number }[] | null;

  /**
   * @param clips whether the algorithm clips at all
   * @param steps of the run; the training loss is averaged over their last tenth
   * @param mayStop whether it may have fewer: then over the last tenth of those
   */
  constructor(clips: boolean, steps: number, mayStop = false) {
    this.#clips = clips;
    this.#steps = steps;
    this.#latest = mayStop ? [] : null;
  }

  /**
   * Adds a step.
   *
   * @param t steps done with it; where ranks are at different steps, in the mean
   */
  step(t: number, { loss, clipped, stepMs, syncSeconds, skipped = false }: CountedStep): void {
    const sums = this.#sums;
    sums.taken++;
    sums.seconds += stepMs / 1000;
    sums.syncSeconds += syncSeconds;
    sums.clipped += clipped;
    if (skipped) sums.skipped++;
    this.#latest?.push({ t, loss });
    this.#forget(t);
    if (skipped || t <= tailBegins(this.#steps)) return;
    sums.tailLoss += loss;
    sums.tailSteps++;
  }

  /** Forgets losses that are before the last tenth of `t` steps, now and then. */
  #forget(t: number): void {
    const latest = this.#latest;
    if (!latest || latest.length < 2 * (t - tailBegins(t)) + 16) return;
    latest.splice(0, latest.findIndex((each) => each.t > tailBegins(t)));
  }

  /**
   * The run has ended with step `t`, counted as in {@linkcode RunningTotals.step}, before its steps were over.
   */
  stop(t: number): void {
    const sums = this.#sums,
      isCounted = (each: { t: number; loss: number }) =>
        each.t > tailBegins(t) && Number.isFinite(each.loss);
    const tail = this.#latest?.filter(isCounted) ?? [];
    sums.tailLoss = tail.reduce((sum, { loss }) => sum + loss, 0);
    sums.tailSteps = tail.length;
  }

  /** Adds a round. */
  round(drift: number, bound: number | null): void {
    const sums = this.#sums;
    sums.rounds++;
    sums.maxDrift = Math.max(sums.maxDrift, drift);
    sums.driftBound = Math.max(sums.driftBound, bound ?? -1);
  }

  /** Notes what the rounds after a step have sent, in bytes; the most that is told counts. */
  exchange(bytes: number): void {
    this.#sums.peakBytes = Math.max(this.#sums.peakBytes, bytes);
  }

  /** The sums. */
  save(): Promise<StateDict> {
    const entries = Object.entries({ ...this.#sums, steps: this.#steps });
    const numbers = Object.fromEntries(entries.map(([name, sum]) => [`tally.${name}`, sum]));
    const latest = this.#latest;
    if (!latest || latest.length === 0) return Promise.resolve({ tensors: [], numbers });
    // Steps follow each other: rounds by the clock have no checkpoints.
    numbers["tally.latest"] = latest[0].t;
    const data = Float32Array.from(latest, ({ loss }) => loss);
    const tensors = [{ name: LOSSES, dims: [data.length], data }];
    return Promise.resolve({ tensors, numbers });
  }

  /** Goes on summing from there; a run that has become longer has another last tenth. */
  restore(state: StateDict): Promise<void> {
    const names = Object.keys(this.#sums) as Sum[];
    for (const name of names) {
      // Checkpoints of earlier versions do not have all.
      const isLater = name === "peakBytes" || name === "skipped";
      if (isLater && !(`tally.${name}` in state.numbers)) continue;
      this.#sums[name] = loadNumber(state, `tally.${name}`);
    }
    if (loadNumber(state, "tally.steps") !== this.#steps) {
      this.#sums.tailLoss = 0;
      this.#sums.tailSteps = 0;
    }
    const latest = this.#latest, losses = state.tensors.find(({ name }) => name === LOSSES);
    if (latest && losses) {
      const from = loadNumber(state, "tally.latest");
      latest.splice(0, Infinity, ...Array.from(losses.data, (loss, i) => ({ t: from + i, loss })));
    }
    return Promise.resolve();
  }

  /** Sums over the ranks, with what the end of the run has added. Collective. */
  async total(comm: Communicator, traffic: RunTraffic): Promise<Totals> {
    const mine = this.#sums, { hosts } = comm.network, relay = relayedBytes(comm);
    const { compressed, ending } = traffic, ended = ending?.ended ?? [];
    const [sums, relayed] = await sumOver(comm, this.#addends(comm, traffic), relay.sent);
    const peakBytesSent = await mostOf(comm, mine.peakBytes);
    const maxDrift = await mostOf(
      comm,
      Math.max(mine.maxDrift, ...ended.map(({ drift }) => drift)),
    );
    const driftBound = Math.max(mine.driftBound, ...ended.map(({ bound }) => bound ?? -1));
    const { steps, seconds, clipped, skipped, tailLoss, tailSteps } = sums;
    const trainSeconds = seconds / comm.size;
    const perSecond = (count: number) => trainSeconds > 0 ? count / trainSeconds : 0;
    return {
      trainLoss: tailSteps > 0 ? tailLoss / tailSteps : null,
      trainSeconds,
      stepsPerSecond: perSecond(steps / comm.size),
      samplesPerSecond: perSecond(sums.samples),
      communicationShare: seconds > 0 ? sums.syncSeconds / seconds : 0,
      totalBytesSent: sums.bytesSent,
      peakBytesSent,
      ...new Set(hosts).size > 1 ? { bytesBetweenHosts: sums.betweenHosts } : {},
      ...relayed.length > 0
        ? { relayed: relay.pairs.map((hosts, i) => ({ hosts, bytes: relayed[i] })) }
        : {},
      ...compressed
        ? {
          compression: {
            codec: compressed.codec,
            ratio: sums.plainBytes > 0 ? sums.averageBytes / sums.plainBytes : 1,
            residualNorm: Math.sqrt(sums.residualSquares / comm.size),
          },
        }
        : {},
      clipRate: this.#clips && steps > 0 ? clipped / steps : null,
      ...skipped > 0 ? { skippedSteps: skipped } : {},
      maxDrift: mine.rounds + ended.length > 0 ? maxDrift : null,
      driftBound: driftBound < 0 ? null : driftBound,
    };
  }

  /** What this rank adds to the sums. */
  #addends({ network }: Communicator, { samples, bytesSent, ending, compressed }: RunTraffic) {
    const { taken, seconds, syncSeconds, clipped, skipped, tailLoss, tailSteps } = this.#sums;
    const endSeconds = ending?.seconds ?? 0;
    return {
      ...{ samples, steps: taken, clipped, skipped, tailLoss, tailSteps },
      seconds: seconds + endSeconds,
      syncSeconds: syncSeconds + endSeconds,
      bytesSent,
      betweenHosts: network.betweenHosts.sent,
      averageBytes: compressed?.bytesSent ?? 0,
      plainBytes: compressed?.plainBytes ?? 0,
      residualSquares: compressed?.residualSquares ?? 0,
    };
  }
}

/** Sums numbers over the ranks, by their names, and some without. Collective. */
async function sumOver<T extends Record<string, number>>(
  comm: Communicator,
  named: T,
  others: readonly number[],
): Promise<[sums: T, others: Float64Array]> {
  const names = Object.keys(named), sums = Float64Array.of(...Object.values(named), ...others);
  await comm.allreduce(sums, "sum");
  const entries = names.map((name, i) => [name, sums[i]]);
  return [Object.fromEntries(entries), sums.subarray(names.length)];
}

/** The largest that a rank has. Collective. */
async function mostOf(comm: Communicator, own: number): Promise<number> {
  const most = Float64Array.of(own);
  await comm.allreduce(most, "max");
  return most[0];
}
