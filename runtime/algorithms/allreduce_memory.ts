import { elementsOf } from "../base/datatypes.ts";
import { yieldToEventLoop } from "../base/request.ts";
import type { CollectiveCall } from "../engine/call.ts";
import { ALIGNMENT } from "../reduction/workspace.ts";
import { type SharedArena, STAGING_BUFFERS } from "../shared_memory/arena.ts";
import { others } from "./blocks.ts";
import { chunks, type Range, segments } from "./partition.ts";
import type { ReductionArguments } from "./reduction_arguments.ts";
import { platform } from "../base/platform.ts";

/** How long a rank goes on before it yields to its event loop, in ms. */
const YIELD_MS = 100;
/** How often a rank looks in vain for the others, yielding in between, before it looks rarely. */
const MANY_LOOKS = 50;
/** How often it looks then, in ms. */
const RARELY_MS = 5;

/**
 * Allreduce between ranks that have memory in common. The buffers are divided into segments that
 * fit into the cache, and each of these into chunks, one for each rank. In step i, a rank copies
 * its segment i into a staging buffer for all to see, folds its chunk of everybody's segment i−1,
 * and takes the results of segment i−2 from their owners. Before a step it waits until all have
 * finished the one before, so there is slack: whoever is late in a step holds nobody up who still
 * has something to do in it. The direct algorithm in S+2 steps for S segments; each buffer is read
 * from and written to main memory once.
 *
 * @returns false if some rank cannot use its memory at the moment; then nothing has been done
 */
export async function memoryAllreduce(
  call: CollectiveCall,
  reduction: ReductionArguments,
  segmentBytes = Infinity,
): Promise<boolean> {
  const { group: { id, size, members: [counter], localPeers } } = call, { arena } = localPeers;
  const cuts = divide(reduction, size, arena.stagingBytes, segmentBytes);
  if (cuts.length === 0) return false;
  const reservation = await localPeers.reserve(id, call);
  let used = null;
  try {
    const staged = reservation && new StagedSegments(call, reduction, cuts, reservation.first);
    staged?.stage(0);
    const base = await agreedStart(call, counter, staged !== null);
    if (staged === null || base === null) return false;
    const last = cuts.length + 1, finished = (step: number) => base + size * step | 0;
    used = { count: cuts.length, end: { counter, count: finished(last) } };
    using _waits = call.expectingAll();
    let yielded = platform.now();
    for (let step = 1; step <= last; step++) {
      if (step > 1) await reached(call, arena, counter, finished(step - 1));
      if (step < cuts.length) staged.stage(step);
      if (step <= cuts.length) staged.reduce(step - 1);
      if (step > 1) staged.collect(step - 2);
      arena.arrive(counter, finished(step));
      if (platform.now() - yielded < YIELD_MS) continue;
      await yieldToEventLoop();
      call.check();
      yielded = platform.now();
    }
    return true;
  } finally {
    reservation?.release(used);
  }
}

/** A piece of the buffer. */
interface Segment extends Range {
  /** What each rank reduces of it, from the segment's start. */
  readonly chunks: readonly Range[];
}

/** Divides a buffer into segments that fit into staging buffers; into none if it is empty, or nothing fits. */
function divide(
  { type, fold, count }: ReductionArguments,
  size: number,
  stagingBytes: number,
  segmentBytes: number,
): Segment[] {
  // What the kernel sums at once has one owner, as has what belongs together.
  const unit = fold.width * (ALIGNMENT / type.bytes);
  const most = Math.floor(stagingBytes / type.bytes / unit);
  if (most === 0) return [];
  const wished = Math.floor(segmentBytes * size / type.bytes / unit);
  return segments({ start: 0, end: count }, Math.max(1, Math.min(most, wished)) * unit)
    .map((range) => ({ ...range, chunks: chunks(range.end - range.start, size, unit) }));
}

/** What a rank does with the segments of a buffer, each in one of everybody's staging buffers. */
class StagedSegments {
  readonly #call: CollectiveCall;
  readonly #reduction: ReductionArguments;
  readonly #segments: readonly Segment[];
  readonly #first: number;

  /** @param first the staging buffer of the first segment; the others follow around */
  constructor(
    call: CollectiveCall,
    reduction: ReductionArguments,
    cuts: readonly Segment[],
    first: number,
  ) {
    this.#call = call;
    this.#reduction = reduction;
    this.#segments = cuts;
    this.#first = first;
  }

  /** Copies segment `s` to where all see it. */
  stage(s: number): void {
    const { group: { rank }, stats } = this.#call, { type, bytes } = this.#reduction;
    const { start, end } = this.#segments[s];
    const segment = bytes.subarray(start * type.bytes, end * type.bytes);
    this.#staging(s, rank).set(segment);
    stats.bytesSent += segment.length - this.#ownBytes(s);
  }

  /** Folds this rank's chunk of everybody's segment `s`. */
  reduce(s: number): void {
    const { group: { rank, size, members, localPeers }, stats } = this.#call;
    const { type, fold } = this.#reduction;
    const inputs = members.map((_, member) => elementsOf(type, this.#staged(s, member, rank)));
    localPeers.arena.workspace.fold(fold, inputs, inputs[rank]);
    stats.bytesReceived += this.#ownBytes(s) * (size - 1);
    stats.bytesSent += this.#ownBytes(s) * (size - 1);
  }

  /** Takes the results of segment `s` from their owners. */
  collect(s: number): void {
    const { group, stats } = this.#call, { type, bytes } = this.#reduction;
    const segment = this.#segments[s];
    for (const owner of [group.rank, ...others(group)]) {
      const result = this.#staged(s, owner, owner);
      bytes.set(result, (segment.start + segment.chunks[owner].start) * type.bytes);
      if (owner !== group.rank) stats.bytesReceived += result.length;
    }
  }

  /** Where a member has put an owner's chunk of a segment. */
  #staged(s: number, member: number, owner: number): Uint8Array<ArrayBuffer> {
    const { type } = this.#reduction, { start, end } = this.#segments[s].chunks[owner];
    return this.#staging(s, member).subarray(start * type.bytes, end * type.bytes);
  }

  #staging(s: number, member: number): Uint8Array<ArrayBuffer> {
    const { members, localPeers } = this.#call.group;
    return localPeers.arena.staging(members[member], (this.#first + s) % STAGING_BUFFERS);
  }

  #ownBytes(s: number): number {
    const { start, end } = this.#segments[s].chunks[this.#call.group.rank];
    return (end - start) * this.#reduction.type.bytes;
  }
}

/**
 * Says whether this rank's memory is free, and hears whether everybody's is.
 *
 * @returns where the counter stands from which all begin; null if some memory is not free
 */
async function agreedStart(
  call: CollectiveCall,
  counter: number,
  isFree: boolean,
): Promise<number | null> {
  const { arena } = call.group.localPeers;
  const answer = await call.exchange(Uint8Array.of(isFree ? 1 : 0), (all) => {
    const free = all.every(([one]) => one === 1);
    return new Uint8Array(Int32Array.of(free ? 1 : 0, arena.arrivals(counter)).buffer);
  });
  const [free, base] = new Int32Array(answer.slice().buffer);
  return free === 0 ? null : base;
}

/**
 * Waits until a counter has reached a number: at first asleep, but never long without a look
 * around.
 */
async function reached(
  call: CollectiveCall,
  arena: SharedArena,
  counter: number,
  count: number,
): Promise<void> {
  for (let looks = 0; !arena.reached(counter, count); looks++) {
    if (call.mayBlock && arena.sleepUntil(counter, count)) return;
    if (looks < MANY_LOOKS) await yieldToEventLoop();
    else await new Promise((resolve) => platform.setTimeout(resolve, RARELY_MS));
    call.check();
    // Who leaves has done its part first, or will never do it.
    const left = arena.reached(counter, count) ? null : call.missed();
    if (left !== null) throw left;
  }
}
