/**
 * What exchanges take without steps: allreduces, messages, and the work of codecs.
 *
 * @module
 */

import type { NetworkCost } from "../../../runtime/collectives/allreduce_cost.ts";
import type { Communicator } from "../../../runtime/communicator.ts";
import { type CodecCost, measureCodec } from "../../../runtime/compression/cost.ts";
import { codecOf } from "../../../runtime/compression/registry.ts";
import type { TimedAllreduce } from "../measured.ts";
import { median } from "./in_turn.ts";

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

/**
 * Times allreduces among the first ranks, while the others wait. Collective.
 *
 * @param participants how many ranks
 * @param lengths floats of each, in increasing order; those that come again are timed once
 * @returns the same on every rank
 */
export async function timeAllreduces(
  comm: Communicator,
  participants: number,
  lengths: readonly number[],
): Promise<TimedAllreduce[]> {
  const takesPart = comm.rank < participants;
  const group = (await comm.split(takesPart ? 0 : 1, comm.rank))!;
  const timed: TimedAllreduce[] = [];
  for (const floats of new Set(lengths)) {
    const seconds = takesPart ? await timeAllreduce(group, floats) : 0;
    timed.push({ floats, seconds: await maximum(comm, seconds) });
  }
  group.free();
  return timed;
}

/** Seconds of an allreduce of so many floats. Collective. */
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
  return settled(times);
}

/**
 * Between rank 0 and the first of another host, or rank 1 where there is none, while the others wait: half the
 * round trip of an empty message, and what a message that takes its time adds for each byte. Collective.
 *
 * @returns the same on every rank; null for a single one
 */
export async function pingPong(comm: Communicator): Promise<NetworkCost | null> {
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

/** Half a round trip in seconds; the other rank is told what rank 0 has found. */
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
  return settled(times);
}

/** The median of a few, after one to warm up; of a slow one the first is enough. */
function settled(times: readonly number[]): number {
  return median(times.length > 1 ? times.slice(1) : times);
}

/** The largest value of all ranks. Collective. */
async function maximum(comm: Communicator, value: number): Promise<number> {
  const largest = Float64Array.of(value);
  await comm.allreduce(largest, "max");
  return largest[0];
}

/**
 * What codecs cost on the slowest rank, while all are at work: the medians of a few times. Collective.
 *
 * @param names of codecs; "none" is left out
 * @returns the same on every rank
 */
export async function measureCodecs(
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
