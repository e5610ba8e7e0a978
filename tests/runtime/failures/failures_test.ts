/** What ranks that have lost others can do: the calls of ULFM, over real sockets in one process. */

import assert from "node:assert/strict";
import { PeerLostError, RevokedError } from "../../../runtime/base/errors.ts";
import type { Communicator } from "../../../runtime/communicator.ts";
import { encodeAgreement } from "../../../runtime/agreement/messages.ts";
import { decodeFrame, MessageKind } from "../../../runtime/engine/header.ts";
import { onAll, type World, world as anyWorld } from "../../_helpers/world.ts";

const { step: DECISION } = encodeAgreement({ kind: "decision", value: new Uint8Array() });

const world = (size: number) => anyWorld(size, { onFailure: "return" });

/** Runs `body` on the ranks that live, and returns what each made of it, by rank. */
async function onLiving<T>(
  { ranks }: World,
  dead: readonly number[],
  body: (comm: Communicator, rank: number) => Promise<T>,
): Promise<T[]> {
  const living = [...ranks.keys()].filter((rank) => !dead.includes(rank));
  return await Promise.all(living.map((rank) => body(ranks[rank], rank)));
}

/** Waits until a rank knows that others are lost. */
async function learns(comm: Communicator, ranks: readonly number[]): Promise<void> {
  while (!ranks.every((rank) => comm.failed().includes(rank))) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const rejected = (promise: Promise<unknown>) =>
  promise.then(() => assert.fail("it did not reject"), (error: Error) => error);

Deno.test("agree gives all ranks the bitwise AND, with and without a sign", async () => {
  await using job = await world(3);
  const flags = [0b1110, 0b0111, 0b1111];
  const agreed = await onAll(job, (comm, rank) => comm.agree(flags[rank]));
  assert.deepEqual(agreed.map((one) => (one as { value: number }).value), [6, 6, 6]);
  for (const flag of [0xffffffff, -1]) {
    const all = await onLiving(job, [], (comm) => comm.agree(flag));
    assert.deepEqual(all, [-1, -1, -1]);
  }
  for (const flag of [2 ** 32, 0.5, NaN, -(2 ** 31) - 1]) {
    await assert.rejects(job.ranks[0].agree(flag), RangeError);
  }
});

Deno.test("agreements that are called at once keep their order on all ranks", async () => {
  await using job = await world(3);
  const all = await onLiving(
    job,
    [],
    (comm) => Promise.all([comm.agree(1), comm.agree(2), comm.shrink(), comm.agree(4)]),
  );
  for (const [one, two, , four] of all) assert.deepEqual([one, two, four], [1, 2, 4]);
  const sizes = await onLiving(job, [], async (_, rank) => {
    const comm = all[rank][2], sum = Int32Array.of(1);
    await comm.allreduce(sum);
    return sum[0];
  });
  assert.deepEqual(sizes, [3, 3, 3]);
});

Deno.test("agree fails alike on all ranks for a loss that not all have acknowledged", async () => {
  await using job = await world(4);
  job.kill(2);
  await onLiving(job, [2], (comm) => learns(comm, [2]));
  assert.equal(job.ranks[0].ackFailed(), 1); // the others have not
  const errors = await onLiving(job, [2], (comm, rank) => rejected(comm.agree(rank | 4)));
  for (const error of errors) {
    assert(error instanceof PeerLostError, String(error));
    assert.deepEqual([error.rank, error.agreed], [2, 4], error.message);
    assert.match(error.message, /^cannot complete agree: lost rank 2 on host2: /);
  }
  const known = await onLiving(job, [2], async (comm) => {
    assert.deepEqual(comm.failed(), [2]);
    assert.equal(comm.ackFailed(0), comm === job.ranks[0] ? 1 : 0);
    comm.ackFailed();
    return await comm.agree(5);
  });
  assert.deepEqual(known, [5, 5, 5]);
});

Deno.test("after an acknowledgement a receive from anybody waits for the others", async () => {
  await using job = await world(3);
  const [comm, sender] = job.ranks, buffer = new Int32Array(1);
  const before = rejected(comm.recv(buffer));
  job.kill(2);
  const error = await before;
  assert(error instanceof PeerLostError && error.rank === 2, String(error));
  assert((await rejected(comm.recv(buffer))) instanceof PeerLostError);
  comm.ackFailed();
  const received = comm.recv(buffer);
  await sender.send(Int32Array.of(7), 0);
  assert.equal((await received).source, 1);
  assert((await rejected(comm.recv(buffer, 2))) instanceof PeerLostError);
  assert((await rejected(comm.barrier())) instanceof PeerLostError); // as the standard has it
});

Deno.test("revoke ends what is pending on all ranks, and all that follows but shrink and agree", async () => {
  await using job = await world(3);
  const buffer = new Float32Array(1);
  const pending = [
    job.ranks[1].recv(buffer, 0),
    job.ranks[2].recv(buffer, 1),
    job.ranks[2].bcast(buffer, 0),
  ].map(rejected);
  assert.equal(job.ranks[0].isRevoked, false);
  job.ranks[0].revoke();
  job.ranks[0].revoke(); // once is enough
  for (const error of await Promise.all(pending)) {
    assert(error instanceof RevokedError, String(error));
    assert.equal(error.message, "cannot go on: rank 0 has revoked the communicator");
  }
  await onLiving(job, [], async (comm) => {
    assert.equal(comm.isRevoked, true);
    for (
      const call of [
        () => comm.barrier(),
        () => comm.send(buffer, (comm.rank + 1) % 3),
        () => comm.recv(buffer),
        () => comm.iprobe(),
        () => comm.dup(),
      ]
    ) {
      assert(await rejected(call()) instanceof RevokedError);
    }
    assert.equal(await comm.agree(3), 3);
    const shrunk = await comm.shrink();
    assert.deepEqual([shrunk.rank, shrunk.size, shrunk.isRevoked], [comm.rank, 3, false]);
    await shrunk.barrier();
  });
});

Deno.test("revoking one communicator leaves the others alone", async () => {
  await using job = await world(2);
  await onLiving(job, [], async (comm) => {
    const other = await comm.dup();
    if (comm.rank === 0) other.revoke();
    else assert(await rejected(other.barrier()) instanceof RevokedError);
    await comm.barrier();
  });
});

Deno.test("shrink keeps those that live in their order, also of communicators in another order", async () => {
  await using job = await world(5);
  const reversed = await onLiving(job, [], (comm) => comm.split(0, -comm.rank));
  job.kill(3);
  job.kill(0);
  const seen = await onLiving(job, [0, 3], async (comm, rank) => {
    const shrunk = await reversed[rank]!.shrink(), all = new Int32Array(shrunk.size);
    await shrunk.allgather(Int32Array.of(rank), all);
    // What is made of it works as well, and again over sockets.
    const half = (await shrunk.split(rank % 2))!, sum = new Float64Array(40_000).fill(rank);
    await half.allreduce(sum);
    assert.deepEqual(new Set(sum), new Set([rank === 1 ? 1 : 6]));
    await comm.shrink().then((both) => both.barrier());
    return [...all];
  });
  for (const all of seen) assert.deepEqual(all, [4, 2, 1]);
});

Deno.test("an error on a shrunk communicator names the rank it has lost itself, by its rank in the job", async () => {
  await using job = await world(4);
  job.kill(0);
  const shrunk = await onLiving(job, [0], (comm) => comm.shrink());
  job.kill(2);
  for (const [i, comm] of [...shrunk.entries()].filter(([i]) => i !== 1)) {
    const error = await rejected(comm.barrier()) as PeerLostError;
    assert(error instanceof PeerLostError, String(error));
    assert.deepEqual([error.rank, error.host], [2, "host2"], `${i}: ${error.message}`);
    assert.deepEqual(comm.failed(), [1]);
  }
});

Deno.test("a rank that has freed a communicator still tells what was agreed on it", async () => {
  await using job = await world(3);
  const dups = await onLiving(job, [], (comm) => comm.dup());
  // Rank 0 leads, and is gone before rank 2 hears what was decided.
  const { transports: [leader] } = job, send = leader.send.bind(leader);
  leader.send = (to, header, payload) => {
    const frame = decodeFrame(new DataView(header.buffer));
    const isDecision = frame.kind === MessageKind.AGREEMENT && frame.step === DECISION;
    return isDecision && to === 2 ? Promise.resolve() : send(to, header, payload);
  };
  const [zero, one, two] = dups.map((comm, rank) => comm.agree(rank | 6));
  await Promise.all([zero, one]);
  dups[1].free();
  job.kill(0);
  assert.equal(await two, 6);
});

Deno.test("a rank that leaves is lost to those that need it, and the others take leave in order", async () => {
  await using job = await world(3);
  await job.ranks[1].close();
  const shrunk = await onLiving(job, [1], (comm) => comm.shrink());
  assert.deepEqual(shrunk.map(({ size }) => size), [2, 2]);
  await Promise.all(shrunk.map((comm) => comm.barrier()));
  await onLiving(job, [1], (comm) => comm.close());
});

Deno.test("of two that lose each other the higher one goes, and no other", async () => {
  for (const [one, other] of [[1, 2], [3, 0]]) {
    await using job = await world(4);
    const gone = Math.max(one, other), expelled = new Set<number>();
    for (const [rank, transport] of job.transports.entries()) {
      transport.expelled = () => {
        expelled.add(rank);
        job.kill(rank);
      };
    }
    job.cut(one, other);
    const went = await onLiving(job, [gone], async (comm, rank) => {
      await rejected(comm.barrier());
      comm.revoke();
      const shrunk = await comm.shrink(), all = new Int32Array(shrunk.size);
      await shrunk.allgather(Int32Array.of(rank), all);
      return all.join(" ");
    });
    const living = [0, 1, 2, 3].filter((rank) => rank !== gone).join(" ");
    assert.deepEqual(went, [living, living, living]);
    assert.deepEqual([...expelled], [gone]);
  }
});
