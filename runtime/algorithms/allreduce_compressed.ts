import type { Codec } from "../compression/codec.ts";
import { decode, encode, sumEncoded } from "../compression/tile.ts";
import type { CollectiveCall } from "../engine/call.ts";
import { SEGMENT_BYTES } from "../engine/tuning.ts";
import { EMPTY, others } from "./blocks.ts";
import { chunks } from "./partition.ts";
import { receiveSpread, sendSpread } from "./spread_blocks.ts";

/** A sum that is to travel in fewer bytes. */
export interface CompressedSum {
  readonly codec: Codec;
  /** This rank's numbers, which become the sum. */
  readonly values: Float32Array;
  /** What this rank has lost so far, as many numbers; becomes what it has lost then. */
  readonly residual?: Float32Array;
  /** Whether this rank's numbers count. */
  readonly contributes: boolean;
}

/** Numbers of the frames that carry inputs; those with results begin at 0. */
const INPUT = 2 ** 31;

/**
 * Direct reduce-scatter of encoded slices, and their results, encoded once, to all: 2 steps; a rank sends
 * 2cn(N−1)/N bytes where the codec leaves c of n.
 *
 * Rank p owns the p-th chunk of whole blocks. All others encode theirs of it; p decodes these, adds its own as it
 * is, in the order of ranks in float64, rounds once, and encodes the sum. Everybody reads the same bytes, p
 * too, so all ranks end with the same bits, on whatever hosts they are. Nothing is lost of what does not travel:
 * on one rank, nothing at all.
 *
 * Where ranks keep residuals, both losses are made up for the next time (error feedback: Seide et al., Interspeech
 * 2014; Karimireddy et al., ICML 2019; on both sides: DoubleSqueeze, Tang et al., ICML 2019). That of the sum
 * is added to the residual of the rank that owns the chunk, as if it had been lost of that rank's own numbers.
 */
export async function compressedAllreduce(call: CollectiveCall, sum: CompressedSum): Promise<void> {
  const { codec, values, residual, contributes } = sum, { rank, size } = call.group;
  const slices = chunks(values.length, size, codec.block);
  const encoded = new Uint8Array(size === 1 ? 0 : codec.bytes(values.length));
  const bytesOf = (owner: number) => {
    const { start, end } = slices[owner], from = codec.bytes(start);
    return encoded.subarray(from, from + codec.bytes(end - start));
  };
  const { start, end } = slices[rank], mine = bytesOf(rank), peers = others(call.group);
  const arriving = peers.map((from) => receiveInput(call, from, new Uint8Array(mine.length)));
  const results = peers.map((owner) => receiveSpread(call, owner, bytesOf(owner)));
  await call.agree();

  const sending = contributes
    ? peers.map((owner) => {
      const { start, end } = slices[owner];
      const owed = residual?.subarray(start, end);
      encode(codec, values.subarray(start, end), bytesOf(owner), owed);
      return sendInput(call, owner, bytesOf(owner));
    })
    : peers.map((owner) => sendNothing(call, owner, bytesOf(owner)));
  for (const sent of sending) sent.catch(() => {}); // what is waited for first may fail first
  const own = values.subarray(start, end), owed = residual?.subarray(start, end);
  if (owed && contributes) own.forEach((value, i) => own[i] = value + owed[i]);
  if (size === 1) {
    if (contributes) owed?.fill(0);
    else own.fill(0);
    return;
  }
  const arrived = await Promise.all(arriving);
  const inputs: (Uint8Array | Float32Array | null)[] = new Array(size);
  peers.forEach((from, k) => inputs[from] = arrived[k]);
  inputs[rank] = contributes ? own : null;
  const loss = owed && new Float32Array(own.length);
  sumEncoded(codec, inputs, own.length, mine, loss);
  if (owed && loss) {
    if (contributes) owed.set(loss);
    else owed.forEach((value, i) => owed[i] = value + loss[i]);
  }
  await Promise.all([...sending, ...results, sendSpread(call, mine)]);
  decode(codec, encoded, values);
}

function* segments(bytes: Uint8Array): Generator<[number, Uint8Array]> {
  for (let start = 0, number = INPUT; start < bytes.length; start += SEGMENT_BYTES, number++) {
    yield [number, bytes.subarray(start, start + SEGMENT_BYTES)];
  }
}

/** Posts the receives of what a rank contributes; null if that is nothing. */
function receiveInput(
  call: CollectiveCall,
  from: number,
  into: Uint8Array,
): Promise<Uint8Array | null> {
  const arriving = Promise.all(
    [...segments(into)].map(([number, segment]) => call.receiveOrOther(from, number, segment)),
  ).then((arrived) => arrived.length > 0 && arrived[0].length === 0 ? null : into);
  arriving.catch(() => {}); // whoever posted it may already have failed elsewhere
  return arriving;
}

async function sendInput(call: CollectiveCall, to: number, bytes: Uint8Array): Promise<void> {
  const sending = [...segments(bytes)];
  for (const [number, segment] of sending) await call.send(to, number, segment);
}

/** Says that this rank contributes nothing. */
async function sendNothing(call: CollectiveCall, to: number, instead: Uint8Array): Promise<void> {
  for (const [number] of segments(instead)) await call.send(to, number, EMPTY);
}
