/**
 * The planner's measurements, on every rank at once.
 *
 * @module
 */

import type { Communicator } from "../../runtime/communicator.ts";
import { allreduceSeconds, type NetworkCost } from "../../runtime/collectives/allreduce_cost.ts";
import { type CodecCost, measureCodec } from "../../runtime/compression/cost.ts";
import { codecOf } from "../../runtime/compression/registry.ts";
import { parseLink } from "../../runtime/transport/access_link.ts";
import { gradientSyncs } from "../../optimizers/rounds/gradient_syncs.ts";
import type { Interval } from "../../optimizers/rounds/interval.ts";
import { openDevice } from "../../runtime/devices/open.ts";
import { shareInputs } from "../run/inputs.ts";
import { distance, WeightAveraging } from "../rounds/averaging.ts";
import { fragmentsOf } from "../rounds/fragments.ts";
import { openProblem } from "../problems/open_problem.ts";
import type { Options } from "../options/table.ts";
import { TrainStep } from "../steps/train_step.ts";
import type { TrainParts } from "../training/train.ts";
import { inTurn, median, type Timed } from "./in_turn.ts";
import type { GradientSync, Measured, MeasuredPart, TimedAllreduce } from "./measured.ts";
import { plannedAlgorithm } from "./planned.ts";

/** Longest pause between what is timed, in seconds. */
const MOST_PAUSE = 0.25;
/** Most steps that follow each other without a pause. */
const MOST_STEPS = 32;
/** After this time in ms no more follow. */
const TURN_MS = 500;
/** Most steps that a GPU is given ahead. */
const MOST_AHEAD = 8;
/** Allreduces of one length that are timed, at most. */
const ROUNDS = 5;
/** How often a codec is timed. */
const CODEC_TIMES = 3;
/** Round trips of one length, at most. */
const ROUND_TRIPS = 10;
/** After this time in seconds, allreduces or round trips of one length have been timed enough. */
const EXCHANGES_SECONDS = 0.5;
/** Messages are doubled until they take this long, in seconds, … */
const LONG_SECONDS = 0.05;
/** … from this many bytes, for which a receiver is asked first, … */
const LEAST_BYTES = 128 << 10;
/** … to this many. */
const MOST_BYTES = 4 << 20;

/** What is measured. */
export interface MeasureOptions {
  /** As resolved. */
  readonly options: Options;
  /** The algorithms whose steps are taken, one after the other. */
  readonly algorithms: readonly Options["algorithm"][];
  /** The intervals that will be predicted: steps of every kind that a round of these has are timed. */
  readonly intervals: readonly Interval[];
  /** Numbers of parts that will be predicted. Those that the network has too few parameters for are left out. */
  readonly fragments?: readonly number[];
  /** Codecs that will be predicted, by their names; "none" is none. */
  readonly codecs?: readonly string[];
}

/** What is measured instead of what the options name, and where the files are that they name. */
export interface MeasuredParts extends Pick<TrainParts, "model" | "task" | "folder"> {
  /** Folder that rank 0 reads them from. */
  readonly directory?: string;
}

/**
 * Takes steps of the actual graph on the actual data, with all ranks at work but without exchanging
 * anything, then exchanges without taking steps. Collective.
 *
 * @returns the same on every rank
 */
export async function measure(
  comm: Communicator,
  { options, algorithms, intervals, fragments = [], codecs = [] }: MeasureOptions,
  parts: MeasuredParts = {},
): Promise<Measured> {
  await using stack = new AsyncDisposableStack();
  const device = stack.use(await openDevice(options.device, { threads: options.threads }));
  const { directory = null, ...own } = parts;
  const files = await shareInputs(comm, options, { directory, model: !own.model });
  const named = { ...own, files };
  const { model, task, opened } = await openProblem(options, comm.rank, device.kind, named);
  if (opened) stack.use(opened);
  const alone = (await comm.split(comm.rank))!;
  const averaging = new WeightAveraging(alone);
  const timed: Timed[] = [];
  let trainStep: TrainStep | undefined;
  for (const name of algorithms) {
    // When averages are taken over is nothing to a step.
    const waited = { ...options, overlap: false, delay: null, mix: null };
    const algorithm = plannedAlgorithm(waited, name);
    const gradients = new Set<GradientSync>();
    // Rounds of a schedule are of one step, or have a first, a last and others between them.
    const lengths = intervals.flatMap((each) => typeof each === "number" ? each : [1, 3]);
    for (const interval of new Set(lengths)) {
      const planned = plannedAlgorithm(waited, name, { interval });
      for (const way of gradientSyncs(planned, interval)) gradients.add(way);
    }
    const ways = [...gradients].filter((way) => timed.every((other) => other.way !== way));
    if (ways.length === 0) continue;
    const { batchSize, seed } = options, { rank } = comm, { length = 1 } = task.batch(1);
    const { accumulate } = options;
    const common = { device, model, batchSize, length, accumulate, seed, rank };
    const taken = stack.use(await TrainStep.open({ ...common, algorithm, gradients, averaging }));
    // Steps so short that nothing comes of them, however often the same are taken.
    const size = { learningRate: 1e-9, clipThreshold: 1e-9 };
    for (const way of ways) {
      // As many follow each other as in a round, if they do not take too long.
      const most = way === "none" ? Math.min(algorithm.interval ?? 1, MOST_STEPS) : 1;
      timed.push({
        way,
        most,
        async act(t) {
          if (way === "correct") await taken.correct(t, task.batch(t));
          const began = performance.now();
          let count = 0;
          while (count < most && (count === 0 || performance.now() - began < TURN_MS)) {
            const steps = [];
            for (const end = Math.min(most, count + MOST_AHEAD); count < end; count++) {
              steps.push(await taken.submit(t + count, task.batch(t + count), size, way));
            }
            for (const step of steps) await step.result();
          }
          return count;
        },
      });
    }
    trainStep ??= taken;
  }
  const { weights, parameterCount: parameters } = trainStep!;
  const shared = options.batchNorm === "average" ? weights.length : parameters;
  const before = new Float32Array(parameters);
  timed.push({
    way: "round",
    most: 1,
    async act() {
      await weights.edit((flat) => {
        before.set(flat.subarray(0, parameters));
        for (let i = 0; i < shared; i++) flat[i] /= comm.size;
        distance(before, flat.subarray(0, parameters));
        flat.set(before);
      });
      return 1;
    },
  });
  const { states } = plannedAlgorithm(options, options.algorithm).update.rule;
  const averaged = shared + (options.averageStates ? states.length * parameters : 0);
  const { round, ...step } = await inTurn(comm, timed, pauseMs(options.link, comm.size, averaged));
  alone.free();
  const participants = options.participants ?? comm.size;
  const group = await comm.split(comm.rank < participants ? 0 : 1, comm.rank);
  const lengths = [Math.ceil(parameters / 4), parameters, averaged];
  const allreduce: TimedAllreduce[] = [];
  for (const floats of [...new Set(lengths)]) {
    const seconds = comm.rank < participants ? await timeAllreduce(group!, floats) : 0;
    allreduce.push({ floats, seconds: await maximum(comm, seconds) });
  }
  group!.free();
  const { description } = device, { size: ranks } = comm;
  const { epochs, maxSteps } = options;
  const whole = task.steps?.(epochs) ?? Math.ceil(epochs * task.stepsPerEpoch);
  const steps = Math.min(whole, maxSteps ?? Infinity);
  const run = { steps, epochs: task.epoch(steps) };
  const measured = {
    device: description,
    ranks,
    run,
    parameters,
    shared: averaged,
    parts: measuredParts(trainStep!, options, fragments),
    step,
    round,
  };
  const codecCosts = await measureCodecs(comm, codecs);
  return { ...measured, network: await pingPong(comm), allreduce, codecs: codecCosts };
}

/** How long ranks wait for an average behind a link, up to a limit. */
function pauseMs(link: string | null, ranks: number, floats: number): number {
  if (link === null) return 0;
  const { delayMs, bitsPerSecond } = parseLink(link);
  const network = { latencySeconds: delayMs / 1000, bytesPerSecond: bitsPerSecond / 8 };
  return 1000 * Math.min(MOST_PAUSE, allreduceSeconds(network, ranks, 4 * floats));
}

/** What codecs cost on the slowest rank, while all are at work: the medians of a few times. Collective. */
async function measureCodecs(
  comm: Communicator,
  names: readonly string[],
): Promise<Record<string, CodecCost>> {
  const costs: Record<string, CodecCost> = {};
  for (const name of names) {
    const codec = codecOf(name);
    if (!codec) continue;
    const slowest: number[][] = [];
    while (slowest.length < CODEC_TIMES) {
      await comm.barrier();
      const { encode, add, finish, decode } = measureCodec(codec);
      const own = Float64Array.of(encode, add, finish, decode);
      await comm.allreduce(own, "max");
      slowest.push([...own]);
    }
    const [encode, add, finish, decode] = [0, 1, 2, 3].map((i) =>
      median(slowest.map((each) => each[i]))
    );
    costs[codec.name] = { encode, add, finish, decode };
  }
  return costs;
}

/** How large the parts are of the weights in so many. */
function measuredParts(
  { weights, parameterCount }: TrainStep,
  { batchNorm, fragments: asked }: Options,
  counts: readonly number[],
): Record<number, MeasuredPart[]> {
  const parts: Record<number, MeasuredPart[]> = {};
  const most =
    weights.specs.filter(({ name }) => weights.range(name).offset < parameterCount).length;
  for (const count of [...counts, asked]) {
    // What was asked for has to be possible; of the others, those are told that are.
    if (count === 1 || count > most && count !== asked) continue;
    const whole = { weights, parameterCount, statistics: batchNorm === "average" };
    parts[count] = fragmentsOf(whole, count)
      .map(({ trained, length }) => ({ trained, statistics: length - trained }));
  }
  return parts;
}

/** The median of a few, after one to warm up; of a slow one the first is enough. Collective. */
async function timeAllreduce(comm: Communicator, floats: number): Promise<number> {
  const values = new Float32Array(floats), times: number[] = [];
  let spent = 0;
  while (times.length <= ROUNDS && spent < EXCHANGES_SECONDS) {
    await comm.barrier();
    const start = performance.now();
    await comm.allreduce(values, "sum");
    const seconds = (performance.now() - start) / 1000;
    times.push(seconds);
    spent += await maximum(comm, seconds);
  }
  return median(times.length > 1 ? times.slice(1) : times);
}

/**
 * Between rank 0 and the first of another host, or rank 1 where there is none, while the others wait: half the round trip of an empty message, and what a
 * message that takes its time adds for each byte.
 */
async function pingPong(comm: Communicator): Promise<NetworkCost | null> {
  if (comm.size === 1) return null;
  const result = new Float64Array(2), { hosts } = comm.network;
  const other = Math.max(1, hosts.findIndex((host) => host !== hosts[0]));
  if (comm.rank === 0 || comm.rank === other) {
    const oneWay = (bytes: number) => timeOneWay(comm, other, bytes);
    result[0] = await oneWay(0);
    let bytes = LEAST_BYTES, less = await oneWay(bytes);
    while (less < LONG_SECONDS && bytes < MOST_BYTES) less = await oneWay(bytes *= 2);
    result[1] = bandwidth(bytes, less, await oneWay(2 * bytes), result[0]);
  }
  await comm.bcast(result, 0);
  return { latencySeconds: result[0], bytesPerSecond: result[1] };
}

/**
 * Bytes a second, from the times of a message and of one twice as long: what the second half adds, which
 * leaves the latency out. Where noise makes that next to nothing, an eighth of the longer message's own time
 * counts: what is told is at most four times what that message achieved.
 *
 * @param bytes of the shorter message
 * @param latency seconds of an empty one
 */
export function bandwidth(
  bytes: number,
  seconds: number,
  secondsOfTwice: number,
  latency: number,
): number {
  const own = secondsOfTwice > latency ? secondsOfTwice - latency : secondsOfTwice;
  return bytes / Math.max(secondsOfTwice - seconds, own / 8, Number.EPSILON);
}

/** Half the median round trip in seconds; the other rank is told what rank 0 has found. */
async function timeOneWay(comm: Communicator, other: number, bytes: number): Promise<number> {
  const ball = new Uint8Array(bytes), times: number[] = [], found = new Float64Array(1);
  for (let i = 0, spent = 0; i <= ROUND_TRIPS && spent < EXCHANGES_SECONDS; i++) {
    const start = performance.now();
    if (comm.rank === 0) {
      await comm.send(ball, other);
      await comm.recv(ball, other);
      found[0] = (performance.now() - start) / 1000;
      await comm.send(found, other);
    } else {
      await comm.recv(ball, 0);
      await comm.send(ball, 0);
      await comm.recv(found, 0);
    }
    times.push(found[0] / 2);
    spent += found[0];
  }
  return median(times.length > 1 ? times.slice(1) : times);
}

async function maximum(comm: Communicator, value: number): Promise<number> {
  const largest = Float64Array.of(value);
  await comm.allreduce(largest, "max");
  return largest[0];
}
