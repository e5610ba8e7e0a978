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

/** Numbers that are to be summed, and how they travel. */
export interface EncodedSum {
  readonly codec: Codec;
  readonly numbers: EncodedNumbers;
}

/** Sums that are to travel in fewer bytes, together. */
export interface CompressedSum {
  readonly sums: readonly EncodedSum[];
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

/** What a slice has of one of the sums: which of its numbers, and where. */
interface SlicePart {
  readonly sum: EncodedSum;
  readonly chunk: Range;
  readonly from: number;
  readonly to: number;
}

/** Several sums as one slice for each rank, which holds the bytes of one sum after those of the other. */
class Slices {
  readonly #sums: readonly EncodedSum[];
  readonly #parts: readonly (readonly SlicePart[])[];
  /** The slices of all ranks, in their order. */
  readonly #bytes: Uint8Array;
  readonly #ends: readonly number[];

  constructor(sums: readonly EncodedSum[], ranks: number) {
    const cut = sums.map(({ codec, numbers }) => chunks(numbers.length, ranks, codec.block));
    let end = 0;
    this.#sums = sums;
    this.#parts = Array.from({ length: ranks }, (_, owner) => {
      let to = 0;
      return sums.map((sum, i) => {
        const chunk = cut[i][owner], from = to;
        to += sum.codec.bytes(chunk.end - chunk.start);
        return { sum, chunk, from, to };
      });
    });
    this.#ends = this.#parts.map((parts) => end += parts.at(-1)!.to);
    this.#bytes = new Uint8Array(end);
  }

  /** The slice of a rank. */
  of(owner: number): Uint8Array {
    return this.#bytes.subarray(this.#ends[owner - 1] ?? 0, this.#ends[owner]);
  }

  async prepare(own: number): Promise<void> {
    for (const { sum, chunk } of this.#parts[own]) await sum.numbers.prepare(chunk);
  }

  /** Writes the slice of another rank. */
  write(owner: number): void {
    const slice = this.of(owner);
    for (const { sum, chunk, from, to } of this.#parts[owner]) {
      sum.numbers.write(chunk, slice.subarray(from, to));
    }
  }

  /** Writes this rank's own, from what all have written. */
  async sum(own: number, inputs: readonly SumInput[]): Promise<void> {
    const slice = this.of(own);
    for (const { sum, chunk, from, to } of this.#parts[own]) {
      const written = inputs.map((each) =>
        each instanceof Uint8Array ? each.subarray(from, to) : each
      );
      await sum.numbers.sum(chunk, written, slice.subarray(from, to));
    }
  }

  /** Takes the sums over when all slices are here. */
  async read(): Promise<void> {
    if (this.#sums.length === 1) return await this.#sums[0].numbers.read(this.#bytes);
    for (const [i, { codec, numbers }] of this.#sums.entries()) {
      const encoded = new Uint8Array(codec.bytes(numbers.length));
      let at = 0;
      for (const [owner, parts] of this.#parts.entries()) {
        const { from, to } = parts[i];
        encoded.set(this.of(owner).subarray(from, to), at);
        at += to - from;
      }
      await numbers.read(encoded);
    }
  }
}

/** Numbers of the frames that carry inputs; those with results begin at 0. */
const INPUT = 2 ** 31;

/**
 * Direct reduce-scatter of encoded slices, and their results, encoded once, to all: 2 steps, however many sums
 * travel together; a rank sends 2cn(N−1)/N bytes where the codec leaves c of n.
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
  const { sums, contributes } = sum, { rank, size } = call.group, peers = others(call.group);
  const slices = new Slices(sums, size), mine = slices.of(rank);
  const arriving = peers.map((from) => receiveInput(call, from, new Uint8Array(mine.length)));
  const results = peers.map((owner) => receiveSpread(call, owner, slices.of(owner)));
  await call.agree();

  if (contributes) await slices.prepare(rank);
  const sending = peers.map((owner) => {
    if (!contributes) return sendNothing(call, owner, slices.of(owner));
    slices.write(owner);
    return sendInput(call, owner, slices.of(owner));
  });
  for (const sent of sending) sent.catch(() => {}); // what is waited for first may fail first
  const arrived = await Promise.all(arriving);
  const inputs: SumInput[] = new Array(size);
  peers.forEach((from, k) => inputs[from] = arrived[k]);
  inputs[rank] = contributes ? "own" : null;
  await slices.sum(rank, inputs);
  await Promise.all([...sending, ...results, sendSpread(call, mine)]);
  await slices.read();
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
