/**
 * A small run: local steps, rounds of averaging, checkpoints while it goes on, a log. Whatever happens to its
 * ranks and disks, it is begun again from its last checkpoint until it is through, and ends with the weights of
 * a serial program that shares no code with it.
 */

import {
  type Algorithm,
  celgc,
  drawParticipants,
  overlapped,
  parseSampling,
  slowMo,
} from "../../../optimizers/mod.ts";
import { Random } from "../../../runtime/base/random.ts";
import type { Communicator } from "../../../runtime/communicator.ts";
import type { DeviceState } from "../../../runtime/devices/device.ts";
import { readMetrics } from "../../../tasks/logs/log_tail.ts";
import type { StepRecord } from "../../../tasks/logs/records.ts";
import { WeightAveraging } from "../../../tasks/rounds/averaging.ts";
import { Round } from "../../../tasks/rounds/round.ts";
import { everySteps } from "../../../tasks/rounds/round_clock.ts";
import { loadTensor, type StateDict, type Stateful } from "../../../tasks/run/checkpoint.ts";
import { CheckpointWriter } from "../../../tasks/run/checkpoint_writer.ts";
import { MetricsLog } from "../../../tasks/run/metrics.ts";
import { restoreCheckpoint } from "../../../tasks/run/restore_checkpoint.ts";
import { Violation } from "../_invariants.ts";

/** Floats of the model. */
export const LENGTH = 12;

/** A run to be. */
export interface RunPlan {
  readonly seed: number;
  readonly ranks: number;
  readonly steps: number;
  readonly interval: number;
  readonly participants: number | null;
  /** Steps from one checkpoint to the next. */
  readonly every: number;
  readonly keep: number;
  /** Whether ranks of other hosts than rank 0's keep their files there. */
  readonly local: boolean;
  /** What a round does: averages; or what a serial program does not tell, and the same run in peace does. */
  readonly method: "plain" | "overlap" | "int8" | "slowmo";
}

/** Draws a run. */
export function drawRun(seed: number, ranks: number): RunPlan {
  const random = new Random(seed, "run"), methods = ["overlap", "int8", "slowmo"] as const;
  const other = new Random(seed, "method"), isPlain = other.uniform() < 0.6;
  const method = isPlain ? "plain" : methods[other.integer(methods.length)];
  const steps = 4 + random.integer(9), interval = 1 + random.integer(4);
  const drawn = random.uniform() < 0.3 ? 1 + random.integer(ranks) : null;
  return {
    seed,
    ranks,
    steps,
    interval,
    method,
    participants: isPlain ? drawn : null,
    every: 1 + random.integer(4),
    keep: 1 + random.integer(2),
    local: random.uniform() < 0.3,
  };
}

/** What one step adds to a weight. */
export function gradient(weight: number, rank: number, t: number, i: number): number {
  return Math.fround(Math.sin(weight * 3 + rank * 1.7 + t * 0.31 + i * 0.77));
}

export const initial = (i: number) => Math.fround(Math.cos(i));
export const move = (weight: number, by: number) => Math.fround(weight - Math.fround(0.1 * by));

/** By step, then by rank: the weights as plain arithmetic has them. */
export function serialWeights(run: RunPlan): number[][][] {
  const ranks = Array.from({ length: run.ranks }, (_, rank) => rank);
  let weights = ranks.map(() => Array.from({ length: LENGTH }, (_, i) => initial(i)));
  const history = [weights];
  for (let t = 1, round = 1; t <= run.steps; t++) {
    weights = weights.map((each, rank) => each.map((w, i) => move(w, gradient(w, rank, t, i))));
    if (t % run.interval === 0) {
      const drawn = drawParticipants(
        run.seed,
        round++,
        run.ranks,
        run.participants ?? run.ranks,
        parseSampling("uniform"),
      );
      const mean = Array.from({ length: LENGTH }, (_, i) => {
        const sum = drawn.reduce((sum, rank) => sum + weights[rank][i], 0);
        return Math.fround(Math.fround(sum) / drawn.length);
      });
      weights = weights.map((each, rank) => drawn.includes(rank) ? mean.slice() : each);
    }
    history.push(weights);
  }
  return history;
}

/** What rounds are made of. */
function algorithmOf({ interval, method }: RunPlan): Algorithm {
  switch (method) {
    case "overlap":
      return overlapped(celgc({ interval }));
    case "slowmo":
      return slowMo({ interval, outerLearningRate: 0.9, outerMomentum: 0.5 });
    default:
      return celgc({ interval });
  }
}

/** What is known of a run outside of it. */
export interface RunRecord {
  /** By step, then by rank: weights; filled by a run in peace, where no serial program tells. */
  readonly history: number[][][];
  /** The newest step whose checkpoint some rank has heard to be complete. */
  complete: number;
  /** What each rank ended with; null before that. */
  readonly results: (Float32Array | null)[];
}

/** A model's weights in plain memory. */
export class Weights implements Stateful {
  readonly values = Float32Array.from({ length: LENGTH }, (_, i) => initial(i));

  get state(): DeviceState {
    return {
      specs: [{ name: "w", dims: [LENGTH] }],
      length: LENGTH,
      range: () => ({ offset: 0, length: LENGTH }),
      read: (into = new Float32Array(LENGTH)) => Promise.resolve(set(into, this.values)),
      write: (flat) => Promise.resolve(void this.values.set(flat)),
      edit: async (change) => await change(this.values),
      prefetch() {},
      follow: () => null,
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  }

  step(rank: number, t: number): void {
    for (const [i, w] of this.values.entries()) this.values[i] = move(w, gradient(w, rank, t, i));
  }

  save(): Promise<StateDict> {
    const data = this.values.slice();
    return Promise.resolve({ tensors: [{ name: "w", dims: [LENGTH], data }], numbers: {} });
  }

  restore(state: StateDict): Promise<void> {
    this.values.set(loadTensor(state, "w", LENGTH));
    return Promise.resolve();
  }
}

const set = (into: Float32Array, values: Float32Array) => (into.set(values), into);

/** The folder of the run on rank 0's host, and that of checkpoints on others. */
export const RUN = "/run", LOCAL = "/local", LOG = `${RUN}/metrics.jsonl`;

/** One rank of a run that begins, or goes on from a checkpoint. */
export async function train(
  comm: Communicator,
  run: RunPlan,
  from: number | null,
  record: RunRecord,
  isInPeace = false,
): Promise<void> {
  const { rank, network: { hosts } } = comm, here = hosts[rank] === hosts[0], { history } = record;
  const folders = { directory: here ? RUN : "", local: run.local && !here ? LOCAL : null };
  const options = { run: `run-${run.seed}`, keep: run.keep };
  const algorithm = algorithmOf(run), weights = new Weights();
  const averaging = new WeightAveraging(comm, run.method === "int8" ? "int8" : "none");
  const clock = everySteps(algorithm, run.steps);
  const round = new Round({
    comm,
    algorithm,
    clock,
    averaging,
    weights: weights.state,
    parameterCount: LENGTH,
    options: {
      seed: run.seed,
      participants: run.participants,
      sampling: "uniform",
      batchNorm: "average",
    },
  });
  const parts: Stateful[] = [weights, averaging, round];
  await round.start();
  if (from !== null) {
    await restoreCheckpoint(comm, folders, from, parts, options);
    expectBits("aCheckpointIsWhatItWas", weights.values, history[from][rank], `step ${from}`);
  }
  using log = rank === 0 ? new MetricsLog(LOG, { append: from !== null }) : null;
  await using writer = new CheckpointWriter(comm, { ...folders, ...options, log });
  let begun: number | null = null;
  const settled = () => {
    if (begun !== null) record.complete = Math.max(record.complete, begun);
  };
  for (let t = (from ?? 0) + 1; t <= run.steps; t++) {
    writer.check();
    comm.step = t;
    weights.step(rank, t);
    round.notice(1, 1);
    if (clock.isDue(t)) await round.run(t, { learningRate: 0.1, clipThreshold: 1 });
    log?.write(stepRecord(t, round.count));
    if (t % run.every !== 0) {
      if (isInPeace) (history[t] ??= [])[rank] = [...weights.values];
      continue;
    }
    await round.arrive();
    if (isInPeace) (history[t] ??= [])[rank] = [...weights.values];
    await writer.settle();
    settled();
    await writer.begin(t, parts, null);
    begun = t;
  }
  // As in the trainer: whoever left a round open would have lost those that leave before it.
  await round.arrive();
  await writer.settle();
  settled();
  record.results[rank] = weights.values;
}

export function stepRecord(t: number, round: number): StepRecord {
  const numbers = { rank: 0, step: t, epoch: t, iteration: t, round, seconds: t, samples: t };
  return {
    type: "step",
    ...numbers,
    bytesSent: 0,
    bytesReceived: 0,
    loss: 1,
    gradNorm: 1,
    clipped: false,
    lr: 0.1,
    clip: 1,
    stepMs: 1,
    syncMs: 1,
  };
}

/** The same bits. */
export function expectBits(
  invariant: string,
  actual: Float32Array,
  expected: readonly number[],
  where: string,
): void {
  for (const [i, value] of expected.entries()) {
    if (Object.is(actual[i], value)) continue;
    throw new Violation(invariant, `${where}: weight ${i} is ${actual[i]}, not ${value}`);
  }
}

/** The run has come to what it comes to undisturbed, and its log tells each step once. */
export function isAsUndisturbed(run: RunPlan, record: RunRecord): void {
  for (const [rank, values] of record.results.entries()) {
    if (values === null) throw new Violation("aRunComesToItsEnd", `rank ${rank} has no result`);
    expectBits("isAsUndisturbed", values, record.history[run.steps][rank], `rank ${rank}`);
  }
  const steps = readMetrics(LOG).map(({ step }) => step);
  const expected = Array.from({ length: run.steps }, (_, i) => i + 1);
  if (`${steps}` !== `${expected}`) throw new Violation("theLogHasEachStepOnce", `${steps}`);
}
