/** Ranks that meet, exchange messages of all kinds and part; any of them may be lost at any message. */

import type { Communicator } from "../../../runtime/communicator.ts";
import { Random } from "../../../runtime/base/random.ts";
import { resultsAreSerial } from "../_invariants.ts";

type Call = (
  comm: Communicator,
  of: (rank: number) => Float32Array,
  what: string,
  tag: number,
) => Promise<void>;

/** Small whole numbers: any order of summation gives the same. */
function valuesOf(call: number, length: number): (rank: number) => Float32Array {
  return (rank) => {
    const values = new Float32Array(length);
    for (let i = 0; i < length; i++) values[i] = (rank * 31 + i * 7 + call * 13) % 97 - 48;
    return values;
  };
}

const ranksOf = (comm: Communicator) => Array.from({ length: comm.size }, (_, rank) => rank);

/** The sum over some ranks, element by element. */
function sum(of: (rank: number) => Float32Array, ranks: readonly number[]): Float32Array {
  const total = of(ranks[0]);
  for (const rank of ranks.slice(1)) {
    const values = of(rank);
    for (let i = 0; i < values.length; i++) total[i] += values[i];
  }
  return total;
}

function concat(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

const CALLS: Readonly<Record<string, Call>> = {
  async barrier(comm) {
    await comm.barrier();
  },
  async allreduce(comm, of, what) {
    const mine = of(comm.rank);
    await comm.allreduce(mine);
    resultsAreSerial(what, mine, sum(of, ranksOf(comm)));
  },
  async compressed(comm, of, what) {
    const codec = ["bf16", "int8", "int4", "topk:0.5"][of(0).length % 4], mine = of(comm.rank);
    await comm.allreduce(mine, { op: "sum", compress: codec });
    // What is lost depends on the codec; that all ranks have the same does not.
    const all = new Float32Array(mine.length * comm.size);
    await comm.allgather(mine, all);
    resultsAreSerial(what, all, concat(ranksOf(comm).map(() => mine)));
  },
  async direct(comm, of, what) {
    // Long enough to go in segments from each to each.
    const long = (rank: number) => concat(Array.from({ length: 40 }, (_, i) => of(rank + i)));
    const mine = long(comm.rank);
    await comm.allreduce(mine);
    resultsAreSerial(what, mine, sum(long, ranksOf(comm)));
  },
  async iallreduce(comm, of, what) {
    // Two at once, and a message beside them.
    const one = of(comm.rank), other = of(comm.rank), next = (comm.rank + 1) % comm.size;
    const requests = [comm.iallreduce(one), comm.iallreduce(other)];
    const from = (comm.rank + comm.size - 1) % comm.size, got = new Float32Array(of(0).length);
    if (comm.size > 1) await comm.sendrecv(of(comm.rank), next, got, from);
    for (const request of requests) await request.wait();
    const expected = sum(of, ranksOf(comm));
    resultsAreSerial(what, one, expected);
    resultsAreSerial(what, other, expected);
    if (comm.size > 1) resultsAreSerial(`${what}'s message`, got, of(from));
  },
  async bcast(comm, of, what) {
    const root = of(0).length % comm.size, mine = of(comm.rank);
    await comm.bcast(mine, root);
    resultsAreSerial(what, mine, of(root));
  },
  async reduce(comm, of, what) {
    const root = of(0).length % comm.size, mine = of(comm.rank);
    await comm.reduce(mine, "sum", root);
    if (comm.rank === root) resultsAreSerial(what, mine, sum(of, ranksOf(comm)));
  },
  async allgather(comm, of, what) {
    const all = new Float32Array(of(0).length * comm.size);
    await comm.allgather(of(comm.rank), all);
    resultsAreSerial(what, all, concat(ranksOf(comm).map(of)));
  },
  async gather(comm, of, what) {
    const all = comm.rank === 0 ? new Float32Array(of(0).length * comm.size) : null;
    await comm.gather(of(comm.rank), all, 0);
    if (all) resultsAreSerial(what, all, concat(ranksOf(comm).map(of)));
  },
  async scatter(comm, of, what) {
    const last = comm.size - 1, mine = new Float32Array(of(0).length);
    const all = comm.rank === last ? concat(ranksOf(comm).map(of)) : null;
    await comm.scatter(all, mine, last);
    resultsAreSerial(what, mine, of(comm.rank));
  },
  async alltoall(comm, of, what) {
    const n = of(0).length, got = new Float32Array(n * comm.size);
    const blocks = (from: number) => concat(ranksOf(comm).map((to) => of(from * comm.size + to)));
    await comm.alltoall(blocks(comm.rank), got);
    resultsAreSerial(
      what,
      got,
      concat(ranksOf(comm).map((from) => of(from * comm.size + comm.rank))),
    );
  },
  async reduceScatter(comm, of, what) {
    const n = of(0).length,
      long = (rank: number) => concat(ranksOf(comm).map((to) => of(rank + to)));
    const mine = new Float32Array(n);
    await comm.reduceScatter(long(comm.rank), mine);
    resultsAreSerial(
      what,
      mine,
      sum(long, ranksOf(comm)).subarray(n * comm.rank, n * (comm.rank + 1)),
    );
  },
  async scan(comm, of, what) {
    const mine = of(comm.rank);
    await comm.scan(mine);
    resultsAreSerial(what, mine, sum(of, ranksOf(comm).slice(0, comm.rank + 1)));
  },
  async ring(comm, of, what, tag) {
    if (comm.size === 1) return;
    const next = (comm.rank + 1) % comm.size, from = (comm.rank + comm.size - 1) % comm.size;
    const got = new Float32Array(of(0).length);
    await comm.sendrecv(of(comm.rank), next, got, from, tag, tag);
    resultsAreSerial(what, got, of(from));
  },
  async anySource(comm, of, what, tag) {
    if (comm.rank !== 0) return await comm.send(of(comm.rank), 0, tag);
    const seen = new Set<number>();
    for (let i = 1; i < comm.size; i++) {
      const got = new Float32Array(of(0).length), { source } = await comm.recv(got, undefined, tag);
      resultsAreSerial(what, got, of(source));
      seen.add(source);
    }
    resultsAreSerial(`${what}'s sources`, [seen.size], [comm.size - 1]);
  },
  async split(comm, of, what) {
    const part = (await comm.split(comm.rank % 2, -comm.rank))!, mine = of(comm.rank);
    await part.allreduce(mine);
    const members = ranksOf(comm).filter((rank) => rank % 2 === comm.rank % 2);
    resultsAreSerial(what, mine, sum(of, members));
    part.free();
  },
};

/** Draws the calls of a job, the same on every rank. Returns the program. */
export function messagesOf(seed: number): (comm: Communicator) => Promise<void> {
  const random = new Random(seed, "messages"), names = Object.keys(CALLS);
  const calls = Array.from({ length: 1 + random.integer(6) }, () => ({
    name: names[random.integer(names.length)],
    // Some are longer than what is sent before the receiver has asked.
    length: random.uniform() < 0.03 ? 16_000 + random.integer(4000) : 1 + random.integer(60),
  }));
  return async (comm) => {
    for (const [i, { name, length }] of calls.entries()) {
      await CALLS[name](comm, valuesOf(i, length), `${name} of ${length} (call ${i + 1})`, 10 + i);
    }
  };
}
