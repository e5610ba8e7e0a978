/**
 * Sums that travel compressed, of numbers that are no ordinary ones, over several rounds with residuals: zeros,
 * subnormal and huge numbers, ties, infinities, NaNs; at the borders of blocks and chunks; in a part of a buffer; with
 * one rank that counts, and with none.
 */

import type { Communicator } from "../../runtime/mod.ts";
import { allreduce, blockOf } from "../_helpers/compressed_sum.ts";
import type { Check } from "./_check.ts";
import { floats, guarded, inside, madeOnce, sameBits } from "./_values.ts";

const CODECS = ["bf16", "fp16", "int8", "int4", "mxint8", "mxint4", "topk:0.05", "topk:0.02:int8"];

/** Whose numbers count in each round. */
const ROUNDS: readonly ((rank: number, size: number) => boolean)[] = [
  () => true,
  (rank, size) => rank === size - 1,
  () => false,
  (rank) => rank !== 1,
  () => true,
];

const KINDS: readonly ((i: number, rank: number) => number)[] = [
  (i, rank) => 1e-3 * Math.sin(12.9898 * i + 78.233 * rank),
  () => 0,
  () => -0,
  (i, rank) => (i * 31 + rank) % 50 * 1.4e-45,
  (i, rank) => 1e-38 * Math.sin(i + rank),
  (i) => i % 2 === 0 ? 0.5 : -0.5, // all alike
  (i, rank) => (rank % 2 === 0 ? 1e30 : 1e-30) * Math.cos(i),
  (i) => i % 3 === 0 ? 3e38 : 1, // their sum is infinite
];

/** Every kind by turns; in the second half of the rounds, a NaN and infinities among them. */
const numbers = madeOnce((rank: number, length: number, round: number): Float32Array => {
  const stretch = Math.max(1, length >> 5);
  const out = floats(
    length,
    (i) => KINDS[(Math.floor(i / stretch) + round) % KINDS.length](i + 7 * round, rank),
  );
  if (round < 3) return out;
  if (rank === 0) out[length >> 1] = NaN;
  if (rank === 2) out[length - 1] = Infinity;
  if (rank === 3) out[length - 1] = -Infinity;
  return out;
});

/** Lengths at which chunks end behind whole blocks and within one, and a few without any of either. */
const lengthsOf = (compress: string, size: number) => [
  1,
  31,
  blockOf(compress) * (size - 1) + 1,
  blockOf(compress) * size - 1,
  blockOf(compress) * (size + 1),
];

/** After each round, what all ranks have, and the residuals of each. */
interface Expected {
  readonly sum: Float32Array;
  readonly residuals: Float32Array[];
}

const expected = madeOnce((compress: string, length: number, size: number): Expected[] => {
  const ranks = Array.from({ length: size }, (_, rank) => rank);
  const residuals = ranks.map(() => new Float32Array(length));
  return ROUNDS.map((counts, round) => {
    const arrays = ranks.map((rank) => numbers(rank, length, round).slice());
    allreduce(compress, arrays, residuals, ranks.map((rank) => counts(rank, size)));
    return { sum: arrays[0], residuals: residuals.map((residual) => residual.slice()) };
  });
});

/** The sign of ∞ − ∞ is that of the processor. */
const anyNaN = (values: Float32Array) =>
  floats(values.length, (i) => Number.isNaN(values[i]) ? NaN : values[i]);

async function extremes(comm: Communicator): Promise<void> {
  const { rank, size } = comm;
  for (const compress of CODECS) {
    for (const length of lengthsOf(compress, size)) {
      const residual = inside(Float32Array, new Float32Array(length)) as Float32Array;
      for (const [round, { sum, residuals }] of expected(compress, length, size).entries()) {
        const buffer = inside(Float32Array, numbers(rank, length, round)) as Float32Array;
        const contributes = ROUNDS[round](rank, size);
        await comm.allreduce(buffer, { compress, residual, contributes });
        const what = `${compress} of ${length}, round ${round}`;
        sameBits(what, anyNaN(buffer), anyNaN(sum));
        sameBits(`${what}, residual`, anyNaN(residual), anyNaN(residuals[rank]));
        guarded(buffer);
        guarded(residual);
      }
    }
  }
}

/** Ranks of a part of the communicator, each of which has a residual of its own. */
async function among(comm: Communicator): Promise<void> {
  const some = await comm.split(comm.rank % 2, -comm.rank);
  for (const compress of ["int8", "mxint8"]) {
    const length = 1000, residual = new Float32Array(length);
    for (const [round, each] of expected(compress, length, some!.size).entries()) {
      const buffer = numbers(some!.rank, length, round).slice();
      const contributes = ROUNDS[round](some!.rank, some!.size);
      await some!.allreduce(buffer, { compress, residual, contributes });
      sameBits(`${compress}, round ${round}`, anyNaN(buffer), anyNaN(each.sum));
      const owed = each.residuals[some!.rank];
      sameBits(`${compress}, round ${round}, residual`, anyNaN(residual), anyNaN(owed));
    }
  }
  some!.free();
}

/** What an allreduce does with such numbers. */
export const EXTREMES: readonly Check[] = [
  {
    name: "compressed sums of zeros, tiny, huge and infinite numbers, NaNs and ties",
    run: extremes,
  },
  { name: "compressed sums among some of the ranks, in another order", run: among },
];
