import type { Codec } from "../compression/codec.ts";
import { decode, encode, sumEncoded } from "../compression/tile.ts";
import type { CollectiveCall } from "../engine/call.ts";
import { SEGMENT_BYTES } from "../engine/tuning.ts";
import { EMPTY, others } from "./blocks.ts";
import { chunks, type Range } from "./partition.ts";
import { receiveSpread, sendSpread } from "./spread_blocks.ts";

/** What a rank has written of some numbers; "own" is this rank, whose numbers are added as they are. */
export type SumInput = Uint8Array | "own" | null;

/**
 * Numbers that are summed over the ranks, wherever they lie, and what is lost of them. A codec's bytes are written
 * and read by whoever has them.
 */
export interface EncodedNumbers {
  /** How many. */
  readonly length: number;
  /** Called first where this rank's numbers count, with those whose sum it will form. */
  prepare(own: Range): void | Promise<void>;
  /** Writes some others of them. */
  write(range: Range, into: Uint8Array): void;
  /**
   * Writes the sum of what the ranks have written, in their order, of the numbers whose sum this rank forms.
   *
   * @param inputs null for a rank that contributes nothing
   */
  sum(own: Range, inputs: readonly SumInput[], into: Uint8Array): void | Promise<void>;
  /** Takes over the sum of all numbers. */
  read(encoded: Uint8Array): void | Promise<void>;
}

/** A sum that is to travel in fewer bytes. */
export interface CompressedSum {
  readonly codec: Codec;
  readonly numbers: EncodedNumbers;
  /** Whether this rank's numbers count. */
  readonly contributes: boolean;
}

/** Numbers in this process's memory, which become their sum. */
export class HostNumbers implements EncodedNumbers {
  readonly length: number;
  readonly #codec: Codec;
  readonly #values: Float32Array;
  readonly #residual: Float32Array | undefined;

  /** @param residual what this rank has lost so far, as many numbers; becomes what it has lost then */
  constructor(codec: Codec, values: Float32Array, residual?: Float32Array) {
    this.length = values.length;
    this.#codec = codec;
    this.#values = values;
    this.#residual = residual;
  }

  prepare({ start, end }: Range): void {
    const own = this.#values.subarray(start, end), owed = this.#residual?.subarray(start, end);
    if (owed) own.forEach((value, i) => own[i] = value + owed[i]);
  }

  write({ start, end }: Range, into: Uint8Array): void {
    const values = this.#values.subarray(start, end);
    encode(this.#codec, values, into, this.#residual?.subarray(start, end));
  }

  sum({ start, end }: Range, inputs: readonly SumInput[], into: Uint8Array): void {
    const own = this.#values.subarray(start, end), owed = this.#residual?.subarray(start, end);
    const loss = owed && new Float32Array(own.length);
    const terms = inputs.map((input) => input === "own" ? own : input);
    sumEncoded(this.#codec, terms, own.length, into, loss);
    if (!owed || !loss) return;
    if (inputs.includes("own")) owed.set(loss);
    else owed.forEach((value, i) => owed[i] = value + loss[i]);
  }

  read(encoded: Uint8Array): void {
    decode(this.#codec, encoded, this.#values);
  }

  /** On a single rank nothing travels, and nothing is lost. */
  stay(contributes: boolean): void {
    if (!contributes) return void this.#values.fill(0);
    this.prepare({ start: 0, end: this.length });
    this.#residual?.fill(0);
  }
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
  const { codec, numbers, contributes } = sum, { rank, size } = call.group;
  const slices = chunks(numbers.length, size, codec.block), own = slices[rank];
  const encoded = new Uint8Array(codec.bytes(numbers.length));
  const bytesOf = (owner: number) => {
    const { start, end } = slices[owner], from = codec.bytes(start);
    return encoded.subarray(from, from + codec.bytes(end - start));
  };
  const mine = bytesOf(rank), peers = others(call.group);
  const arriving = peers.map((from) => receiveInput(call, from, new Uint8Array(mine.length)));
  const results = peers.map((owner) => receiveSpread(call, owner, bytesOf(owner)));
  await call.agree();

  if (contributes) await numbers.prepare(own);
  const sending = peers.map((owner) => {
    if (!contributes) return sendNothing(call, owner, bytesOf(owner));
    numbers.write(slices[owner], bytesOf(owner));
    return sendInput(call, owner, bytesOf(owner));
  });
  for (const sent of sending) sent.catch(() => {}); // what is waited for first may fail first
  const arrived = await Promise.all(arriving);
  const inputs: SumInput[] = new Array(size);
  peers.forEach((from, k) => inputs[from] = arrived[k]);
  inputs[rank] = contributes ? "own" : null;
  await numbers.sum(own, inputs, mine);
  await Promise.all([...sending, ...results, sendSpread(call, mine)]);
  await numbers.read(encoded);
}

function* segments(bytes: Uint8Array): Generator<[number, Uint8Array]> {
  for (let start = 0, number = INPUT; start < bytes.length; start += SEGMENT_BYTES, number++) {
    yield [number, bytes.subarray(start, start + SEGMENT_BYTES)];
  }
}

/**
 * Posts the receives of what a rank contributes; null if that is nothing.
 *
 * @param into as long as what it contributes if it does
 * @throws Error if it sends something else
 */
export function receiveInput(
  call: Pick<CollectiveCall, "group" | "operation" | "receiveOrOther">,
  from: number,
  into: Uint8Array,
): Promise<Uint8Array | null> {
  const expected = [...segments(into)];
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

async function sendInput(call: CollectiveCall, to: number, bytes: Uint8Array): Promise<void> {
  const sending = [...segments(bytes)];
  for (const [number, segment] of sending) await call.send(to, number, segment);
}

/** Says that this rank contributes nothing. */
async function sendNothing(call: CollectiveCall, to: number, instead: Uint8Array): Promise<void> {
  for (const [number] of segments(instead)) await call.send(to, number, EMPTY);
}
