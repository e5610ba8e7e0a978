import { elementsOf, type TypedArray } from "../datatypes.ts";
import { PeerMemory } from "../peer_memory.ts";
import { align } from "../workspace.ts";
import { others } from "./_blocks.ts";
import type { Call } from "./_call.ts";
import { partition, segments } from "./_partition.ts";
import type { Reducing } from "./_reducing.ts";
import { MEMORY_SEGMENT_BYTES } from "./_tuning.ts";

/** Copies are slow if their target begins a little behind their source within a page. */
const MEMORY_PAGE_BYTES = 4096;

/**
 * Allreduce between ranks that read each other's memory: rank p reads the p-th part of all others'
 * buffers, folds it into its own, and then reads the results where their owners have left them. The
 * direct algorithm, with n(N−1)/N bytes read twice and nothing sent but three waves, which say that
 * the buffers are there, that the results are there, and that everyone has them.
 *
 * @param pids the members' process numbers
 */
export async function memoryAllreduce(
  call: Call,
  { type, fold, bytes, count }: Reducing,
  pids: readonly number[],
  segmentBytes = MEMORY_SEGMENT_BYTES,
): Promise<void> {
  const { rank, size, engine } = call.context;
  const { memory } = engine.neighbours!, peers = others(call);
  const address = PeerMemory.address(bytes);
  const mine = new Uint8Array(Float64Array.of(address).buffer);
  const addresses = new Float64Array((await call.exchange(mine, concatenate)).slice().buffer);
  const read = async (from: number, start: number, target: number, length: number) => {
    call.stats.bytesReceived += length;
    if (!memory.read(pids[from], addresses[from] + start, target, length)) {
      await explain(call, from);
    }
  };

  const pieces = partition(count, size, fold.width);
  const step = Math.max(1, Math.floor(segmentBytes / type.bytes / fold.width)) * fold.width;
  const room = align(step * type.bytes) + MEMORY_PAGE_BYTES;
  const workspace = engine.workspaces.borrow(peers.length * room, size, step * type.bytes);
  const base = PeerMemory.address(workspace.bytes);
  const inputs: TypedArray[] = new Array(size);
  for (const { start, end } of segments(pieces[rank], step)) {
    const from = start * type.bytes, length = (end - start) * type.bytes;
    for (const [k, peer] of peers.entries()) {
      const shift = (addresses[peer] + from - base) % MEMORY_PAGE_BYTES;
      const at = k * room + (shift + MEMORY_PAGE_BYTES) % MEMORY_PAGE_BYTES;
      await read(peer, from, base + at, length);
      inputs[peer] = elementsOf(type, workspace.bytes.subarray(at, at + length));
    }
    inputs[rank] = elementsOf(type, bytes.subarray(from, from + length));
    workspace.fold(fold, inputs, inputs[rank]);
  }
  engine.workspaces.giveBack(workspace);
  await call.agree();
  for (const peer of peers) {
    const from = pieces[peer].start * type.bytes, to = pieces[peer].end * type.bytes;
    if (from < to) await read(peer, from, address + from, to - from);
  }
  await call.agree();
}

/** Rejects once it is known why a rank's memory cannot be read: most likely it has ended. */
async function explain(call: Call, from: number): Promise<never> {
  let timer: ReturnType<typeof setTimeout>;
  const expiry = new Promise((resolve) => timer = setTimeout(resolve, PATIENCE_MS));
  const nothing = call.receive(from, NEVER_SENT, new Uint8Array(0)); // rejects when the rank is lost
  await Promise.race([nothing, expiry]).finally(() => clearTimeout(timer));
  const { context } = call;
  const text = `cannot allreduce: ${context.name(context.rank)} cannot read the memory of ` +
    `${context.name(from)}, which it could read before`;
  context.mismatch(text);
  throw new Error(text);
}

/** How long the end of a rank may take to become known, in ms. */
const PATIENCE_MS = 2000;
/** Number of a part that is never sent. */
const NEVER_SENT = 0x7fffffff;

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(8 * parts.length);
  parts.forEach((part, rank) => whole.set(part, 8 * rank));
  return whole;
}
