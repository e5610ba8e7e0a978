/** Calls whose send and recv overlap: every call, in every way, below and above what a tree exchange carries. */

import assert from "node:assert/strict";
import type { Communicator } from "../../../runtime/mod.ts";
import { onAll, type World, world } from "../../_helpers/world.ts";

const RANKS = 3;
/** Elements of a block: one that travels in a tree exchange, and one of 80 KB. */
const LENGTHS = [3, 10_007];

interface Call {
  /** Blocks that a rank passes to send, and to receive into. */
  readonly blocks: readonly [send: number, recv: number];
  /** The rank that alone receives, where one does. */
  readonly root?: number;
  readonly run: (comm: Communicator, send: Float64Array, recv: Float64Array) => Promise<unknown>;
}

const counts = (buffer: Float64Array) => new Array<number>(RANKS).fill(buffer.length / RANKS);

const CALLS: Record<string, Call> = {
  gather: {
    blocks: [1, RANKS],
    root: 1,
    run: (comm, send, recv) => comm.gather(send, recv, 1),
  },
  gatherv: {
    blocks: [1, RANKS],
    root: 1,
    run: (comm, send, recv) => comm.gatherv(send, recv, counts(recv), 1),
  },
  scatter: {
    blocks: [RANKS, 1],
    run: (comm, send, recv) => comm.scatter(send, recv, 1),
  },
  scatterv: {
    blocks: [RANKS, 1],
    run: (comm, send, recv) => comm.scatterv(send, counts(send), recv, 1),
  },
  allgather: {
    blocks: [1, RANKS],
    run: (comm, send, recv) => comm.allgather(send, recv),
  },
  allgatherv: {
    blocks: [1, RANKS],
    run: (comm, send, recv) => comm.allgatherv(send, recv, counts(recv)),
  },
  alltoall: { blocks: [RANKS, RANKS], run: (comm, send, recv) => comm.alltoall(send, recv) },
  alltoallv: {
    blocks: [RANKS, RANKS],
    run: (comm, send, recv) => comm.alltoallv(send, counts(send), recv, counts(recv)),
  },
  reduceScatter: {
    blocks: [RANKS, 1],
    run: (comm, send, recv) => comm.reduceScatter(send, recv),
  },
  sendrecv: {
    blocks: [1, 1],
    run: (comm, send, recv) =>
      comm.sendrecv(send, (comm.rank + 1) % RANKS, recv, (comm.rank + RANKS - 1) % RANKS),
  },
};

/** What each rank has received when its recv begins `shift` elements behind its send; null: apart from it. */
async function received(
  { ranks }: World,
  call: Call,
  length: number,
  shift: number | null,
): Promise<Float64Array[]> {
  const outcomes = await onAll({ ranks } as World, async (comm, rank) => {
    const [sendBlocks, recvBlocks] = call.blocks;
    const start = RANKS * length, offset = shift === null ? 2 * RANKS * length : start + shift;
    const memory = new Float64Array((4 * RANKS + 1) * length);
    const send = memory.subarray(start, start + sendBlocks * length);
    const recv = memory.subarray(offset, offset + recvBlocks * length);
    send.set(send.map((_, i) => 1000 * rank + i + 0.5));
    await call.run(comm, send, recv);
    return call.root === undefined || call.root === rank ? recv : new Float64Array(0);
  });
  return outcomes.map((outcome) => {
    if (outcome.status === "rejected") throw outcome.reason;
    return outcome.value;
  });
}

for (const [name, call] of Object.entries(CALLS)) {
  Deno.test(`${name} is right where its buffers overlap`, async () => {
    await using job = await world(RANKS);
    for (const length of LENGTHS) {
      const expected = await received(job, call, length, null);
      const shifts = [-2, -1, 0, 1, 2].flatMap((blocks) => [
        ...[blocks * length - 1, blocks * length, blocks * length + 1],
      ]);
      for (const shift of shifts) {
        const found = await received(job, call, length, shift);
        assert.deepEqual(found, expected, `blocks of ${length}, recv at ${shift}`);
      }
    }
  });
}

Deno.test("blocks that are received into one place are refused", async () => {
  await using job = await world(2);
  const displacements = [0, 2],
    words = (call: string) => ({
      name: "RangeError",
      message: `cannot ${call}: recv must have a place for every block, ` +
        "those of ranks 0 and 1 overlap",
    });
  const outcomes = await onAll(job, async (comm) => {
    const send = new Int32Array(3), recv = new Int32Array(6), counts = [3, 3];
    await assert.rejects(
      async () => await comm.gatherv(send, recv, counts, comm.rank, displacements),
      words("gatherv"),
    );
    await assert.rejects(
      async () => await comm.allgatherv(send, recv, counts, displacements),
      words("allgatherv"),
    );
    await assert.rejects(
      async () => await comm.alltoallv(recv, counts, recv, counts, undefined, displacements),
      words("alltoallv"),
    );
  });
  for (const outcome of outcomes) assert.equal(outcome.status, "fulfilled", String(outcome));
});
