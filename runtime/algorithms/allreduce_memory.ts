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
  { type, fold, bytes, count }: ReductionArguments,
  segmentBytes = Infinity,
): Promise<boolean> {
  const { group, stats } = call, { rank, size, members, localPeers } = group;
  const { arena } = localPeers;
  // What the kernel sums at once has one owner, as has what belongs together.
  const unit = fold.width * (ALIGNMENT / type.bytes);
  const most = Math.floor(arena.stagingBytes / type.bytes / unit);
  if (most === 0 || count === 0) return false;
  const wished = Math.floor(segmentBytes * size / type.bytes / unit);
  const cuts = segments({ start: 0, end: count }, Math.max(1, Math.min(most, wished)) * unit);
  const parts = cuts.map(({ start, end }) => chunks(end - start, size, unit));
  const ownBytes = (s: number) => (parts[s][rank].end - parts[s][rank].start) * type.bytes;

  const staging = await localPeers.reserve(group.id, call), [counter] = members;
  let used = null;
  const stagingOf = (s: number, member: number) =>
    arena.staging(members[member], (staging!.first + s) % STAGING_BUFFERS);
  /** Where a member has put a chunk of a segment. */
  const staged = (s: number, member: number, { start, end }: Range) =>
    stagingOf(s, member).subarray(start * type.bytes, end * type.bytes);
  const stage = (s: number) => {
    const { start, end } = cuts[s];
    const segment = bytes.subarray(start * type.bytes, end * type.bytes);
    stagingOf(s, rank).set(segment);
    stats.bytesSent += segment.length - ownBytes(s);
  };
  const reduce = (s: number) => {
    const inputs = members.map((_, member) => elementsOf(type, staged(s, member, parts[s][rank])));
    arena.workspace.fold(fold, inputs, inputs[rank]);
    stats.bytesReceived += ownBytes(s) * (size - 1);
    stats.bytesSent += ownBytes(s) * (size - 1);
  };
  const collect = (s: number) => {
    for (const owner of [rank, ...others(group)]) {
      const result = staged(s, owner, parts[s][owner]);
      bytes.set(result, (cuts[s].start + parts[s][owner].start) * type.bytes);
      if (owner !== rank) stats.bytesReceived += result.length;
    }
  };

  try {
    if (staging !== null) stage(0);
    const answer = await call.exchange(Uint8Array.of(staging === null ? 0 : 1), (all) => {
      const free = all.every(([one]) => one === 1);
      return new Uint8Array(Int32Array.of(free ? 1 : 0, arena.arrivals(counter)).buffer);
    });
    const [free, base] = new Int32Array(answer.slice().buffer);
    if (free === 0) return false;
    const last = cuts.length + 1, finished = (step: number) => base + size * step | 0;
    used = { count: cuts.length, end: { counter, count: finished(last) } };
    using _waits = call.expectingAll();
    let yielded = platform.now();
    for (let step = 1; step <= last; step++) {
      if (step > 1) await reached(call, arena, counter, finished(step - 1));
      if (step < cuts.length) stage(step);
      if (step <= cuts.length) reduce(step - 1);
      if (step > 1) collect(step - 2);
      arena.arrive(counter, finished(step));
      if (platform.now() - yielded < YIELD_MS) continue;
      await yieldToEventLoop();
      call.check();
      yielded = platform.now();
    }
    return true;
  } finally {
    staging?.release(used);
  }
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
