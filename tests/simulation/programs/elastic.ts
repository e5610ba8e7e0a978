/**
 * A small run whose ranks are lost and come while it goes on: local steps, and rounds that are done whole, or again
 * among those that are left, as the trainer does them (`tasks/training/membership/`). It ends with the weights of a
 * serial program that knows the record of its membership and nothing else of it.
 */

import { platform } from "../../../runtime/base/platform.ts";
import { Random } from "../../../runtime/base/random.ts";
import type { Communicator } from "../../../runtime/communicator.ts";
import { membersOf, newcomersAt, type Worlds } from "../../../tasks/data/sampling/worlds.ts";
import { readMetrics } from "../../../tasks/logs/log_tail.ts";
import type { Stateful } from "../../../tasks/run/checkpoint.ts";
import { MetricsLog, pieceAfter } from "../../../tasks/run/metrics.ts";
import { amongMembers } from "../../../tasks/training/membership/among_members.ts";
import { Attendance } from "../../../tasks/training/membership/attendance.ts";
import { capture, type TakenStep } from "../../../tasks/training/membership/carried.ts";
import { LiveMembers } from "../../../tasks/training/membership/live_members.ts";
import type { Crew } from "../../../tasks/training/membership/members.ts";
import { Pieces } from "../../../tasks/training/membership/pieces.ts";
import { Violation } from "../_invariants.ts";
import { FEWER_MS } from "./newcomers.ts";
import {
  expectBits,
  gradient,
  initial,
  LENGTH,
  LOG,
  move,
  stepRecord,
  Weights,
} from "./training.ts";

/** What the loop says of its clock, which nobody reads here. */
const CLOCK: Stateful = {
  save: () => Promise.resolve({ tensors: [], numbers: { "loop.milliseconds": 0 } }),
  restore: () => Promise.resolve(),
};

/** A run to be. */
export interface ElasticPlan {
  readonly seed: number;
  /** Ranks that it begins with. */
  readonly ranks: number;
  readonly steps: number;
  readonly interval: number;
  /** Whether all ranks see the folder of the run, so that the one that writes can be another. */
  readonly logs: boolean;
}

/** Draws a run. */
export function drawElastic(seed: number, ranks: number, logs: boolean): ElasticPlan {
  const random = new Random(seed, "elastic"), interval = 1 + random.integer(3);
  return { seed, ranks, steps: interval * (2 + random.integer(4)), interval, logs };
}

/** What is known of a run outside of it. */
export interface ElasticRecord {
  /** Ranks that others have let in. */
  readonly came: Set<number>;
  /** By rank of the job, what it ended with. */
  readonly finals: Map<number, { readonly worlds: Worlds; readonly weights: Float32Array }>;
  /** Called when a rank begins to let in those that wait. */
  onGrow(rank: number): void;
}

/** Of a run that has not begun. */
export function newElasticRecord(): ElasticRecord {
  return { came: new Set(), finals: new Map(), onGrow() {} };
}

/** One rank of a run. @param stead in whose stead it comes; null for one that begins with the others */
export function elasticOf(plan: ElasticPlan, record: ElasticRecord) {
  const { ranks, steps, interval, seed } = plan, pauseMs = [1, 5, 20][seed % 3];
  return async (given: Communicator, rank: number, stead: number | null): Promise<void> => {
    const firsts = Array.from({ length: ranks }, (_, first) => first);
    const from = given.isNewcomer
      ? { enter: () => Promise.resolve(given), stead }
      : { comm: given, worlds: [{ step: 0, ranks }], firsts, anyCallbacks: false };
    const options = { least: 1, hostsOf: () => Promise.resolve([]), say: () => {} };
    const members = new LiveMembers(from, options), next = members.next.bind(members);
    members.next = (t, since, carried) => {
      record.onGrow(rank);
      return next(t, since, carried);
    };

    const among = async ({ comm, worlds, carried }: Crew) => {
      if (carried?.isFresh) record.came.add(rank);
      const number = membersOf(worlds.at(-1)!)[comm.rank];
      const weights = new Weights(), attendance = new Attendance();
      const parts: Stateful[] = [weights, attendance, CLOCK];
      const redone = carried && pieceAfter(carried.step, carried.taken === null);
      using log = plan.logs && comm.rank === 0
        ? new MetricsLog(LOG, { append: carried !== undefined, redone })
        : null;
      const carry = async (step: number, taken: TakenStep | null) => ({
        ...{ step, taken, state: await capture(parts), open: [], metrics: [], waits: null },
        ...{ watch: { evaluations: 0, last: null, noted: true }, isFresh: false },
        ...{ writes: log !== null, start: 0, lastSave: 0 },
      });
      const pieces = new Pieces({ members, log, attendance, revocable: [], carry });
      if (carried) {
        for (const part of parts) await part.restore(carried.state);
        attendance.note(carried.step, newcomersAt(worlds, carried.step));
      }

      /** What ranks do together after a step. */
      const round = async (t: number) => {
        await comm.allreduce(weights.values);
        for (let i = 0; i < LENGTH; i++) weights.values[i] /= comm.size;
        attendance.note(t, membersOf(worlds.at(-1)!));
        log?.write(stepRecord(t, t / interval));
        await comm.barrier();
      };
      let t = carried?.step ?? 0, taken = carried?.taken ?? null;
      while (taken || t < steps) {
        if (!taken) {
          weights.step(number, ++t);
          taken = { t, meets: t % interval === 0, last: null };
          const ms = comm.size < ranks ? FEWER_MS : pauseMs;
          await new Promise<void>((resolve) => void platform.setTimeout(resolve, ms));
        }
        const step = taken, { meets } = taken;
        await pieces.run(t, step, meets, async () => meets && await round(step.t));
        taken = null;
        await pieces.change(t, meets);
      }
      await pieces.run(t, null, true, () => comm.barrier());
      record.finals.set(rank, { worlds, weights: weights.values });
    };
    await amongMembers(members, among);
  };
}

/** The weights that a record of a run's membership says it must come to. */
function serialWeights({ steps, interval }: ElasticPlan, worlds: Worlds): number[] {
  let mean = Array.from({ length: LENGTH }, (_, i) => initial(i));
  for (let round = interval; round <= steps; round += interval) {
    const { ranks, members = Array.from({ length: ranks }, (_, rank) => rank) } = worlds.findLast(
      ({ step, lost }) => step === 0 || step < round || step === round && lost !== undefined,
    )!;
    const local = members.map((rank) => {
      let weights = mean;
      for (let t = round - interval + 1; t <= round; t++) {
        weights = weights.map((w, i) => move(w, gradient(w, rank, t, i)));
      }
      return weights;
    });
    mean = mean.map((_, i) =>
      Math.fround(Math.fround(local.reduce((sum, each) => sum + each[i], 0)) / members.length)
    );
  }
  return mean;
}

/** Those that come to the end have the same record, and the weights that it tells; the log has each round once. */
export function endsAsItsRecord(
  plan: ElasticPlan,
  { finals }: ElasticRecord,
  finished: readonly number[],
): void {
  const [first] = finished;
  if (first === undefined) return;
  const { worlds } = finals.get(first)!, expected = serialWeights(plan, worlds);
  for (const rank of finished) {
    const final = finals.get(rank)!;
    if (JSON.stringify(final.worlds) !== JSON.stringify(worlds)) {
      throw new Violation(
        "endsAsItsRecord",
        `it is ${JSON.stringify(worlds)} on rank ${first}, ${JSON.stringify(final.worlds)} on ` +
          `rank ${rank}`,
      );
    }
    expectBits("endsAsItsRecord", final.weights, expected, `rank ${rank}`);
  }
}

/** In a process of the host that has the folder. */
export function logHasEachRoundOnce({ steps, interval }: ElasticPlan): void {
  const found = readMetrics(LOG).map(({ step }) => step);
  const expected = Array.from({ length: steps / interval }, (_, i) => (i + 1) * interval);
  if (`${found}` !== `${expected}`) throw new Violation("theLogHasEachStepOnce", `${found}`);
}
