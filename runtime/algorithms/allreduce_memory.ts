import { type SharedArena, SLOTS } from "../shared_memory/arena.ts";
import { elementsOf } from "../base/datatypes.ts";
import type { LocalPeers } from "../shared_memory/local_peers.ts";
import { yieldToEventLoop } from "../base/request.ts";
import { ALIGNMENT } from "../reduction/workspace.ts";
import { others } from "./blocks.ts";
import type { CollectiveCall } from "../engine/call.ts";
import { partition, type Range, segments } from "./partition.ts";
import type { ReductionJob } from "./reducing.ts";

/** How long a rank goes on before it lets its event loop turn once, in ms. */
const TURN_MS = 100;

/**
 * Allreduce between ranks that have memory in common. The buffers are cut into stretches that fit into
 * the cache. In turn i, a rank puts up its i-th stretch for all to see, folds its piece of everybody's
 * stretch i−1, and takes the results of stretch i−2 from their owners. Before a turn it waits until all
 * have finished the one before, so there is slack: whoever is late in a turn holds nobody up who still
 * has something to do in it. The direct algorithm in S+2 turns for S stretches; each buffer is read from
 * and written to main memory once.
 *
 * @returns false if some rank cannot use its memory at the moment; then nothing has been done
 */
export async function memoryAllreduce(
  call: CollectiveCall,
  { type, fold, bytes, count }: ReductionJob,
  neighbours: LocalPeers,
  segmentBytes = Infinity,
): Promise<boolean> {
  const { context, stats } = call, { rank, size, group, shown: first } = context;
  const { arena } = neighbours;
  // What the kernel sums at once has one owner, as has what belongs together.
  const unit = fold.width * (ALIGNMENT / type.bytes);
  const room = Math.floor(arena.slotBytes / type.bytes / unit);
  if (room === 0 || count === 0) return false;
  const wished = Math.floor(segmentBytes * size / type.bytes / unit);
  const cuts = segments({ start: 0, end: count }, Math.max(1, Math.min(room, wished)) * unit);
  const pieces = cuts.map(({ start, end }) => partition(end - start, size, unit));
  const owned = (s: number) => (pieces[s][rank].end - pieces[s][rank].start) * type.bytes;
  /** Where a member has put up a piece of a stretch. */
  const shown = (s: number, member: number, { start, end }: Range) =>
    arena.slot(group[member], (first + s) % SLOTS).subarray(start * type.bytes, end * type.bytes);
  const show = (s: number) => {
    const { start, end } = cuts[s];
    const stretch = bytes.subarray(start * type.bytes, end * type.bytes);
    arena.slot(group[rank], (first + s) % SLOTS).set(stretch);
    stats.bytesSent += stretch.length - owned(s);
  };
  const reduce = (s: number) => {
    const inputs = group.map((_, member) => elementsOf(type, shown(s, member, pieces[s][rank])));
    arena.workspace.fold(fold, inputs, inputs[rank]);
    stats.bytesReceived += owned(s) * (size - 1);
    stats.bytesSent += owned(s) * (size - 1);
  };
  const take = (s: number) => {
    for (const owner of [rank, ...others(call)]) {
      const result = shown(s, owner, pieces[s][owner]);
      bytes.set(result, (cuts[s].start + pieces[s][owner].start) * type.bytes);
      if (owner !== rank) stats.bytesReceived += result.length;
    }
  };

  const reserved = await neighbours.reserve(call), [counter] = group;
  let done = null;
  try {
    if (reserved) show(0);
    const answer = await call.exchange(Uint8Array.of(reserved ? 1 : 0), (all) => {
      const free = all.every(([one]) => one === 1);
      return new Uint8Array(Int32Array.of(free ? 1 : 0, arena.arrivals(counter)).buffer);
    });
    const [free, base] = new Int32Array(answer.slice().buffer);
    if (free === 0) return false;
    const last = cuts.length + 1, finished = (i: number) => base + size * i | 0;
    done = { context: context.id, counter, count: finished(last) };
    context.shown = (first + cuts.length) % SLOTS;
    using _waits = call.expectingAll();
    let turned = performance.now();
    for (let i = 1; i <= last; i++) {
      if (i > 1) await reached(call, arena, counter, finished(i - 1));
      if (i < cuts.length) show(i);
      if (i <= cuts.length) reduce(i - 1);
      if (i > 1) take(i - 2);
      arena.arrive(counter, finished(i));
      if (performance.now() - turned < TURN_MS) continue;
      await yieldToEventLoop();
      call.check();
      turned = performance.now();
    }
    return true;
  } finally {
    if (reserved) neighbours.release(done);
  }
}

/** Waits until a counter has reached a number: at first asleep, but never long without a look around. */
async function reached(
  call: CollectiveCall,
  board: SharedArena,
  counter: number,
  count: number,
): Promise<void> {
  for (let looks = 0; !board.reached(counter, count); looks++) {
    if (call.mayBlock && board.sleepUntil(counter, count)) return;
    if (looks < MANY_LOOKS) await yieldToEventLoop();
    else await new Promise((resolve) => setTimeout(resolve, RARELY_MS));
    call.check();
    // Who leaves has done its part first, or will never do it.
    const left = board.reached(counter, count) ? null : call.missed();
    if (left !== null) throw left;
  }
}

/** After this many looks in vain … */
const MANY_LOOKS = 50;
/** … a rank looks after this time only, in ms. */
const RARELY_MS = 5;
