/** Sums that travel compressed: the bits of a plain serial program, on every rank. */

import assert from "node:assert/strict";
import {
  type AllreduceCall,
  type Communicator,
  MismatchError,
  type TypedArray,
  waitAll,
} from "../../runtime/mod.ts";
import { codecOf } from "../../runtime/compression/registry.ts";
import { EXTREMES } from "./_battery_extremes.ts";
import type { Check } from "./_check.ts";
import { allreduce, blockOf } from "../_helpers/compressed_sum.ts";
import { floats, guarded, inside, madeOnce, sameBits, value } from "./_values.ts";

const CODECS = [
  "bf16",
  "fp16",
  "int8",
  "int4",
  "mxint8",
  "mxint4",
  "topk:0.05",
  "topk:0.02:int8",
  "topk:0.03:int2",
];
const LENGTHS = [0, 1, 97, 256, 4097, 50_021];

/** A rank's numbers: different for every rank, element and call, and within fp16's range. */
function numbers(rank: number, length: number, call = 0): Float32Array {
  return made(rank, length, call).slice();
}

const made = madeOnce((rank: number, length: number, call: number): Float32Array =>
  floats(length, (i) => 1e-9 * value(rank + 11 * call, i + 3 * call))
);

const each = <T>(size: number, of: (rank: number) => T): T[] =>
  Array.from({ length: size }, (_, rank) => of(rank));

/** The sum of all ranks' numbers by a serial program. */
const sumOf = madeOnce((compress: string, size: number, length: number): Float32Array => {
  const arrays = each(size, (rank) => numbers(rank, length));
  allreduce(compress, arrays);
  return arrays[0];
});

async function everyCodec(comm: Communicator): Promise<void> {
  for (const compress of CODECS) {
    for (const length of LENGTHS) {
      const buffer = inside(Float32Array, numbers(comm.rank, length));
      await comm.allreduce(buffer, { compress });
      sameBits(`${compress} of ${length}`, buffer, sumOf(compress, comm.size, length));
      guarded(buffer);
    }
  }
}

/** Whether a rank's numbers count in one of three calls with residuals. */
const counts = (rank: number, call: number) => call === 0 || rank % 3 !== call;

/** After each of the calls, the sum and every rank's residual, by a serial program. */
const withResidualsOf = madeOnce((compress: string, size: number, length: number) => {
  const residuals = each(size, () => new Float32Array(length));
  return [0, 1, 2].map((call) => {
    const arrays = each(size, (rank) => numbers(rank, length, call));
    allreduce(compress, arrays, residuals, each(size, (rank) => counts(rank, call)));
    return { sum: arrays[0], residuals: residuals.map((residual) => residual.slice()) };
  });
});

/** Three calls with residuals; in each, another rank's buffer does not count. */
async function withResiduals(comm: Communicator): Promise<void> {
  const { rank, size } = comm;
  for (const compress of CODECS) {
    for (const length of [5, 9001]) {
      const residual = new Float32Array(length);
      for (const [call, expected] of withResidualsOf(compress, size, length).entries()) {
        const buffer = numbers(rank, length, call);
        const options: AllreduceCall = { op: "sum", compress, residual };
        await comm.allreduce(buffer, { ...options, contributes: counts(rank, call) });
        sameBits(`${compress} of ${length}, call ${call}`, buffer, expected.sum);
        sameBits(`residual of ${compress}, call ${call}`, residual, expected.residuals[rank]);
      }
    }
  }
}

/** The sums of compressed numbers and of those that travel as they are, without one rank's (`out`). */
const withExactOf = madeOnce(
  (compress: string, size: number, length: number, more: number, out: number) => {
    const contributes = each(size, (rank) => rank !== out);
    const arrays = each(size, (rank) => numbers(rank, length));
    const residuals = each(size, () => new Float32Array(length));
    allreduce(compress, arrays, residuals, contributes);
    const beside = each(size, (rank) => numbers(rank, more, 1));
    const exact = floats(
      more,
      (i) => beside.reduce((sum, one, rank) => contributes[rank] ? sum + one[i] : sum, 0),
    );
    return { sum: arrays[0], residuals, exact };
  },
);

/** Numbers that travel with a compressed sum as they are; in the second call, one rank's do not count. */
async function withExact(comm: Communicator): Promise<void> {
  const { rank, size } = comm;
  for (const compress of CODECS) {
    for (const [length, more] of [[5, 3], [9001, 1], [9001, 517], [0, 40]]) {
      for (const out of [size, 1]) {
        const expected = withExactOf(compress, size, length, more, out);
        const buffer = numbers(rank, length), residual = new Float32Array(length);
        const exact = inside(Float32Array, numbers(rank, more, 1)) as Float32Array;
        await comm.allreduce(buffer, { compress, residual, exact, contributes: rank !== out });
        sameBits(`${compress} of ${length} beside ${more}`, buffer, expected.sum);
        sameBits(`residual of ${compress} beside ${more}`, residual, expected.residuals[rank]);
        sameBits(`${more} with ${compress} of ${length}`, exact, expected.exact);
        guarded(exact);
        if (out === size) {
          const plain = numbers(rank, more, 1);
          await comm.allreduce(plain);
          sameBits(`${more} by themselves`, exact, plain);
        }
      }
    }
  }
}

/** Several at once, beside a sum that is not compressed. */
async function atOnce(comm: Communicator): Promise<void> {
  const buffers = CODECS.map(() => numbers(comm.rank, 9001));
  const plain = new Float32Array(9001).fill(comm.rank);
  await waitAll([
    ...CODECS.map((compress, i) => comm.iallreduce(buffers[i], { compress })),
    comm.iallreduce(plain),
  ]);
  buffers.forEach((buffer, i) => sameBits(CODECS[i], buffer, sumOf(CODECS[i], comm.size, 9001)));
  const sum = comm.size * (comm.size - 1) / 2;
  sameBits("a plain sum", plain, new Float32Array(9001).fill(sum));
}

/** What a rank sends: its input of all others' chunks, and the sum of its own to all. */
async function encodedBytes(comm: Communicator): Promise<void> {
  const { hosts } = comm.network, several = new Set(hosts).size > 1;
  for (const compress of CODECS) {
    const count = 8 * 4096 * comm.size, codec = codecOf(compress)!;
    const ranks = await comm.dup();
    await ranks.allreduce(numbers(comm.rank, count), { compress });
    const { bytesSent, bytesReceived } = ranks.stats().allreduce;
    ranks.free();
    if (several) continue; // ranks pass sums on to others of their host
    const expected = 2 * codec.bytes(count) * (comm.size - 1) / comm.size;
    assert.equal(count % (comm.size * blockOf(compress)), 0);
    for (const bytes of [bytesSent, bytesReceived]) {
      // The tree exchange tells who shares memory.
      assert.ok(bytes >= expected && bytes <= expected + 64 * comm.size, `${bytes}: ${expected}`);
    }
  }
}

const REFUSED: [TypedArray, AllreduceCall, RegExp][] = [
  [
    new Int32Array(3),
    { compress: "int8" },
    /takes "sum" of float32 elements, found "sum" of int32/,
  ],
  [new Float64Array(3), { compress: "bf16" }, /found "sum" of float64/],
  [new Float32Array(3), { compress: "int8", op: "max" }, /found "max" of float32/],
  [new Float32Array(3), { compress: "int8", op: (a) => a }, /found a function of float32/],
  [new Float32Array(3), { compress: "int9" }, /compression must be none, bf16, .*found "int9"/],
  [new Float32Array(3), { compress: "int8", algorithm: "ring" }, /an algorithm of its own/],
  [new Float32Array(3), { compress: "int8", segmentBytes: 16 }, /an algorithm of its own/],
  [
    new Float32Array(3),
    { compress: "int8", residual: new Float32Array(2) },
    /residual must be 3 floats apart from the buffer, found 2 floats/,
  ],
  [new Float32Array(3), { residual: new Float32Array(3) }, /a residual goes with compress/],
  [new Float32Array(3), { contributes: false }, /contributes: false goes with compress/],
  [new Float32Array(3), { exact: new Float32Array(1) }, /exact goes with compress/],
  [
    new Float32Array(3),
    { compress: "int8", exact: new Int32Array(2) as unknown as Float32Array },
    /exact must be floats apart from the buffer and the residual, found 2 int32/,
  ],
];

async function refusals(comm: Communicator): Promise<void> {
  for (const [buffer, options, message] of REFUSED) {
    await assert.rejects(comm.allreduce(buffer, options), { message });
  }
  const shared = new Float32Array(3);
  await assert.rejects(comm.allreduce(shared, { compress: "int8", residual: shared }), RangeError);
  await assert.rejects(comm.allreduce(shared, { compress: "int8", exact: shared }), RangeError);
  if (comm.size === 1) return;
  const exact = new Float32Array(comm.rank === 1 ? 4 : 3), others = await comm.dup();
  await assert.rejects(others.allreduce(numbers(comm.rank, 9001), { compress: "int8", exact }), {
    name: "MismatchError",
    message: /passed (3|4) floats as they are, rank \d+.* passed (3|4)/,
  });
  others.free();
  const compress = comm.rank === 1 ? "topk:0.5:int8" : "int4";
  const ranks = await comm.dup();
  await assert.rejects(ranks.allreduce(numbers(comm.rank, 9001), { compress }), (error) => {
    assert.ok(error instanceof MismatchError);
    assert.match(error.message, /rank 1.* compression topk:0.5:int8, .* for int4|int4.*topk/);
    return true;
  });
  ranks.free();
  await comm.barrier(); // whoever left now would be missed by those who have not been told yet
}

/** What an allreduce does that is to be compressed. */
export const COMPRESSED: readonly Check[] = [
  { name: "a compressed sum of every codec has the bits of a serial program", run: everyCodec },
  { name: "what a compressed sum loses is made up for by the next", run: withResiduals },
  { name: "numbers that travel with a compressed sum are summed as they are", run: withExact },
  { name: "compressed sums at once, and others beside them", run: atOnce },
  { name: "a compressed sum is counted in the bytes that travel", run: encodedBytes },
  ...EXTREMES,
  { name: "what cannot be compressed, and a disagreement, are refused", run: refusals },
];
