/** Collectives that move data without changing it: one rank's part. */

import type { Communicator, TypedArray } from "../../runtime/mod.ts";
import { filled, guarded, inside, MAKERS, sameBits } from "./_values.ts";

/** Elements: none, one, a prime, and beyond what travels in a wave. */
const LENGTHS = [0, 1, 97, 9_001];
// deno-lint-ignore no-explicit-any
type Any = any;

/** @param lengths of the blocks */
export async function movements(comm: Communicator, lengths = LENGTHS): Promise<void> {
  for (const make of MAKERS) {
    await uniformBlocks(comm, make as Any, make === Float32Array ? lengths : [5]);
  }
  await unequalBlocks(comm, Float64Array, [0, 3]);
  if (Math.max(...lengths) > 1000) await unequalBlocks(comm, Uint8Array, [12_001]);
}

/** The block that rank `from` sends to rank `to`. */
function block(make: Any, from: number, to: number, length: number): TypedArray {
  return filled(make, from * 31 + to, length);
}

function joined(make: Any, blocks: TypedArray[]): TypedArray {
  const whole = new make(blocks.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of blocks) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

async function uniformBlocks(comm: Communicator, make: Any, lengths: number[]): Promise<void> {
  const { rank, size } = comm, ranks = Array.from({ length: size }, (_, r) => r);
  for (const length of lengths) {
    const mine = block(make, rank, 0, length);
    const all = joined(make, ranks.map((r) => block(make, r, 0, length)));
    for (const root of new Set([0, size - 1, 1 % size])) {
      const whole = inside(make, rank === root ? block(make, root, 5, length) : new make(length));
      await comm.bcast(whole, root);
      sameBits("bcast", whole, block(make, root, 5, length));
      guarded(whole);

      const gathered = rank === root ? inside(make, new make(size * length)) : null;
      await comm.gather(mine, gathered, root);
      if (gathered !== null) {
        sameBits("gather", gathered, all);
        guarded(gathered);
      }

      const part = inside(make, new make(length));
      const dealt = joined(make, ranks.map((to) => block(make, root, to, length)));
      await comm.scatter(rank === root ? dealt : null, part, root);
      sameBits("scatter", part, block(make, root, rank, length));
      guarded(part);
    }
    const everything = inside(make, new make(size * length));
    await comm.allgather(mine, everything);
    sameBits("allgather", everything, all);
    guarded(everything);

    const traded = inside(make, new make(size * length));
    await comm.alltoall(joined(make, ranks.map((to) => block(make, rank, to, length))), traded);
    sameBits(
      "alltoall",
      traded,
      joined(make, ranks.map((from) => block(make, from, rank, length))),
    );
    guarded(traded);
  }
}

/** The v-forms: blocks of different lengths, some empty, with gaps between them and without. */
async function unequalBlocks(comm: Communicator, make: Any, lengths: number[]): Promise<void> {
  const { rank, size } = comm, ranks = Array.from({ length: size }, (_, r) => r);
  for (const length of lengths) {
    const count = (from: number, to: number) => ((from * 5 + to * 3) % 4) * length + from;
    for (const gap of [0, 2]) {
      const places = (counts: number[]) => {
        let at = 1;
        return counts.map((n) => (at += n + gap) - n);
      };
      const spread = (blocks: TypedArray[], at: number[]) => {
        const whole = new make(Math.max(...at.map((start, i) => start + blocks[i].length)) + 1);
        blocks.forEach((part, i) => whole.set(part, at[i]));
        return whole;
      };
      const counts = ranks.map((r) => count(r, 1));
      const blocks = ranks.map((r) => block(make, r, 1, count(r, 1)));
      const at = gap > 0 ? places(counts) : undefined;
      const laidOut = at === undefined ? joined(make, blocks) : spread(blocks, at);
      for (const root of new Set([0, size - 1])) {
        const gathered = rank === root ? new make(laidOut.length) : null;
        const table = rank === root ? counts : null;
        await comm.gatherv(blocks[rank], gathered, table, root, at);
        if (gathered !== null) sameBits("gatherv", gathered, laidOut);

        const part = inside(make, new make(counts[rank]));
        await comm.scatterv(rank === root ? laidOut : null, table, part, root, at);
        sameBits("scatterv", part, blocks[rank]);
        guarded(part);
      }
      const everything = new make(laidOut.length);
      await comm.allgatherv(blocks[rank], everything, counts, at);
      sameBits("allgatherv", everything, laidOut);

      const sendCounts = ranks.map((to) => count(rank, to));
      const recvCounts = ranks.map((from) => count(from, rank));
      const outgoing = ranks.map((to) => block(make, rank, to, sendCounts[to]));
      const incoming = ranks.map((from) => block(make, from, rank, recvCounts[from]));
      const sendAt = gap > 0 ? places(sendCounts) : undefined;
      const recvAt = gap > 0 ? places(recvCounts) : undefined;
      const expected = recvAt ? spread(incoming, recvAt) : joined(make, incoming);
      const traded = new make(expected.length);
      await comm.alltoallv(
        sendAt ? spread(outgoing, sendAt) : joined(make, outgoing),
        sendCounts,
        traded,
        recvCounts,
        sendAt,
        recvAt,
      );
      sameBits("alltoallv", traded, expected);
    }
  }
}
