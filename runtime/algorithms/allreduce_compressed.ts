import type { CollectiveCall } from "../engine/call.ts";
import { SEGMENT_BYTES } from "../engine/tuning.ts";
import { type Bundle, EncodedSlices } from "./_encoded_slices.ts";
import { EMPTY, others } from "./blocks.ts";
import type { CompressedSum, SumInput } from "./encoded_numbers.ts";
import { receiveSpread, sendSpread } from "./spread_blocks.ts";

/** Numbers of the frames that carry inputs and bundles; those with results begin at 0. */
const INPUT = 2 ** 31;
/** Bytes before a bundle that say how long it is. */
const LENGTH_BYTES = 8;
/** Times its inputs' bytes that a partial sum may have, since integers of 4 bits may become such of 24. */
const GROWTH = 6;

/**
 * Direct reduce-scatter of encoded slices, and their results, encoded once, to all: 2 steps, however many sums
 * travel together; a rank sends 2cn(N−1)/N bytes where the codec leaves c of n.
 *
 * Rank p owns the p-th chunk of whole blocks. All others encode theirs of it; p decodes these, adds its own as it
 * is, in the order of ranks in float64, rounds once, and encodes the sum. Everybody reads the same bytes, p
 * too, so all ranks end with the same bits, on whatever hosts they are. Nothing is lost of what does not travel:
 * on one rank, nothing at all.
 *
 * Where codecs write integers times powers of two (`mxint8`, `mxint4`), sums of these have no rounding error, so
 * p adds them first, in any order, and its own last. Then ranks of one host need not all send to p on another: one
 * of them, the delegate, gathers what they have written, and sends p their partial sum. That is two steps more, and
 * the bits are the same.
 *
 * Where ranks keep residuals, both losses are made up for the next time (error feedback: Seide et al., Interspeech
 * 2014; Karimireddy et al., ICML 2019; on both sides: DoubleSqueeze, Tang et al., ICML 2019). That of the sum
 * is added to the residual of the rank that owns the chunk, as if it had been lost of that rank's own numbers.
 */
export async function compressedAllreduce(call: CollectiveCall, sum: CompressedSum): Promise<void> {
  const { sums, contributes } = sum, { rank, size, hosts } = call.group, peers = others(call.group);
  const slices = new EncodedSlices(sums, size), mine = slices.of(rank);
  const host = hosts.find((ranks) => ranks.includes(rank))!;
  const bundles = hosts.length > 1 && sums.some(({ codec }) => codec.integerBits !== undefined);
  /** By whom this host's inputs get to the owner of a slice. */
  const wayTo = (owner: number) =>
    bundles && host.length > 1 && !host.includes(owner) ? host[owner % host.length] : owner;
  /** A host whose ranks send to this one by a delegate. */
  const isBundled = (ranks: readonly number[]) => bundles && ranks !== host && ranks.length > 1;
  // Of all slices, this rank's too: the last may be longer or shorter than the others, and all must count alike.
  const lengths = Array.from({ length: size }, (_, owner) => slices.of(owner).length);
  const most = Math.max(...lengths.map(segmentsOf), 1);
  const first = (owner: number) => INPUT + owner * most;

  const arriving = hosts.filter((ranks) => !isBundled(ranks)).flat().filter((from) => from !== rank)
    .map(async (from): Promise<[number, Uint8Array | null]> => {
      const into = new Uint8Array(mine.length);
      return [from, await receiveInput(call, from, into, first(rank))];
    });
  const bundled = hosts.filter(isBundled).map(async (ranks): Promise<Bundle> => {
    const most = (ranks.length + GROWTH) * (mine.length + LENGTH_BYTES);
    const bytes = await receiveBundle(call, ranks[rank % ranks.length], first(rank), most);
    return { ranks, bytes };
  });
  /** What this rank is the delegate for, and what of it comes from its neighbours. */
  const delegated = peers.filter((owner) => owner !== rank && wayTo(owner) === rank)
    .map((owner) => ({
      owner,
      gathered: host.map((from) => {
        if (from === rank) return contributes ? slices.of(owner) : null;
        return receiveInput(call, from, new Uint8Array(slices.of(owner).length), first(owner));
      }),
    }));
  const results = peers.map((owner) => receiveSpread(call, owner, slices.of(owner)));
  for (const expected of [...arriving, ...bundled]) expected.catch(() => {}); // others may fail first
  await call.agree();

  if (contributes) await slices.prepare(rank);
  const sending = peers.map((owner) => {
    if (contributes) slices.write(owner);
    const to = wayTo(owner);
    if (to === rank) return Promise.resolve();
    const slice = slices.of(owner);
    return contributes
      ? sendInput(call, to, slice, first(owner))
      : sendNothing(call, to, slice, first(owner));
  });
  sending.push(...delegated.map(async ({ owner, gathered }) => {
    // The results of a slice come into the same bytes, but not before its owner has all inputs.
    const inputs = await Promise.all(gathered);
    await sendBundle(call, owner, slices.bundle(owner, inputs), first(owner));
  }));
  for (const sent of sending) sent.catch(() => {}); // what is waited for first may fail first
  const inputs: SumInput[] = new Array(size).fill(null);
  for (const [from, input] of await Promise.all(arriving)) inputs[from] = input;
  inputs[rank] = contributes ? "own" : null;
  await slices.sum(rank, inputs, await Promise.all(bundled));
  await Promise.all([...sending, ...results, sendSpread(call, mine)]);
  await slices.read();
}

const segmentsOf = (bytes: number) => Math.ceil(bytes / SEGMENT_BYTES);

function* segments(bytes: Uint8Array, first: number): Generator<[number, Uint8Array]> {
  for (let start = 0, number = first; start < bytes.length; start += SEGMENT_BYTES, number++) {
    yield [number, bytes.subarray(start, start + SEGMENT_BYTES)];
  }
}

/**
 * Posts the receives of what a rank contributes; null if that is nothing.
 *
 * @param into as long as what it contributes if it does
 * @param first the number of the first frame
 * @throws Error if it sends something else
 */
export function receiveInput(
  call: Pick<CollectiveCall, "group" | "operation" | "receiveOrOther">,
  from: number,
  into: Uint8Array,
  first = INPUT,
): Promise<Uint8Array | null> {
  const expected = [...segments(into, first)];
  const arriving = Promise.all(
    expected.map(([number, segment]) => call.receiveOrOther(from, number, segment)),
  ).then((arrived) => {
    if (arrived.length > 0 && arrived.every(({ length }) => length === 0)) return null;
    const wrong = arrived.findIndex(({ length }, i) => length !== expected[i][1].length);
    if (wrong < 0) return into;
    throw new Error(
      `${call.operation}: ${call.group.name(from)} contributes ${
        arrived[wrong].length
      } bytes where ` +
        `${expected[wrong][1].length} or none are expected`,
    );
  });
  arriving.catch(() => {}); // whoever posted it may already have failed elsewhere
  return arriving;
}

async function sendInput(
  call: CollectiveCall,
  to: number,
  bytes: Uint8Array,
  first: number,
): Promise<void> {
  for (const [number, segment] of segments(bytes, first)) await call.send(to, number, segment);
}

/** Says that this rank contributes nothing. */
async function sendNothing(
  call: CollectiveCall,
  to: number,
  instead: Uint8Array,
  first: number,
): Promise<void> {
  for (const [number] of segments(instead, first)) await call.send(to, number, EMPTY);
}

/** Sends what only this rank knows the length of. */
async function sendBundle(
  call: CollectiveCall,
  to: number,
  bytes: Uint8Array,
  first: number,
): Promise<void> {
  await call.send(to, first, new Uint8Array(Float64Array.of(bytes.length).buffer));
  await sendInput(call, to, bytes, first + 1);
}

/** Receives it. */
async function receiveBundle(
  call: CollectiveCall,
  from: number,
  first: number,
  most: number,
): Promise<Uint8Array> {
  const head = await call.receiveAny(from, first);
  const length = head.length === LENGTH_BYTES ? new Float64Array(head.slice().buffer)[0] : NaN;
  if (!(Number.isInteger(length) && length >= 0 && length <= most)) {
    throw new Error(
      `${call.operation}: ${
        call.group.name(from)
      } says by ${head.length} bytes that a bundle has ${length}, ` +
        `at most ${most} are expected`,
    );
  }
  const bytes = new Uint8Array(length), arriving: Promise<unknown>[] = [];
  for (const [number, segment] of segments(bytes, first + 1)) {
    arriving.push(call.receive(from, number, segment));
  }
  await Promise.all(arriving);
  return bytes;
}
