/** Messages, requests and derived communicators. */

import assert from "node:assert/strict";
import {
  ANY_SOURCE,
  ANY_TAG,
  type Communicator,
  MismatchError,
  PROC_NULL,
  type Status,
  TruncationError,
  waitAll,
  waitAny,
} from "../../runtime/mod.ts";
import type { Check } from "./_check.ts";
import { filled, guarded, inside, MAKERS, sameBits } from "./_values.ts";

/** Every type and several lengths, from each rank to the next, itself included in a world of one. */
async function roundTheRing(comm: Communicator): Promise<void> {
  const { rank, size } = comm, next = (rank + 1) % size, previous = (rank - 1 + size) % size;
  for (const make of MAKERS) {
    for (const length of make === Float32Array ? [0, 1, 97, 16_384, 16_385, 300_007] : [0, 13]) {
      const buffer = inside(make, new make(length + 2));
      const status = await comm.sendrecv(filled(make, rank, length), next, buffer, previous, 5, 5);
      assert.deepEqual(status, { source: previous, tag: 5, count: length });
      sameBits("message", buffer.subarray(0, length), filled(make, previous, length));
      sameBits("behind it", buffer.subarray(length), new make(2));
      guarded(buffer);
    }
  }
}

/** Receives in another order than sends: by tag, and in the order of sending within a tag. */
async function matching(comm: Communicator): Promise<void> {
  const { rank, size } = comm, next = (rank + 1) % size, previous = (rank - 1 + size) % size;
  const lengths = [10, 40_000, 10, 40_000]; // small and large ones must not overtake each other
  const sends = [1, 2].flatMap((tag) =>
    lengths.map((length, i) => comm.isend(new Float64Array(length).fill(i), next, tag))
  );
  for (const tag of [2, 1]) {
    for (const [i, length] of lengths.entries()) {
      const buffer = new Float64Array(40_000);
      const status = await comm.recv(buffer, i % 2 === 0 ? previous : ANY_SOURCE, tag);
      assert.deepEqual(status, { source: previous, tag, count: length });
      sameBits("in order", buffer.subarray(0, length), new Float64Array(length).fill(i));
    }
  }
  await waitAll(sends);
  await comm.barrier();

  // Rank 0 takes one message of every rank, whoever comes first.
  if (rank > 0) await comm.send(Int32Array.of(rank * rank), 0, rank);
  else {
    const seen: Status[] = [];
    for (let i = 1; i < size; i++) {
      const buffer = new Int32Array(1);
      const status = await comm.recv(buffer, ANY_SOURCE, ANY_TAG);
      assert.equal(buffer[0], status.source ** 2);
      seen.push(status);
    }
    assert.deepEqual(
      seen.map((s) => s.tag).sort(),
      Array.from({ length: size - 1 }, (_, i) => i + 1),
    );
  }
  await comm.barrier();
}

/** Too long a message is an error, and harms neither the buffer nor the message behind it. */
async function truncation(comm: Communicator): Promise<void> {
  const { rank, size } = comm, next = (rank + 1) % size, previous = (rank - 1 + size) % size;
  for (const length of [5, 50_000]) {
    const sends = [length, 3].map((n) => comm.isend(new Float32Array(n).fill(n), next, 9));
    const short = inside(Float32Array, new Float32Array(4));
    await assert.rejects(comm.recv(short, previous, 9), (error: Error) => {
      assert.ok(error instanceof TruncationError);
      assert.match(error.message, new RegExp(`rank ${previous}\\b.* sent ${length} floats`));
      assert.match(error.message, /room for 4/);
      return true;
    });
    sameBits("after truncation", short, new Float32Array(4));
    guarded(short);
    assert.equal((await comm.recv(short, previous, 9)).count, 3);
    sameBits("next message", short, Float32Array.of(3, 3, 3, 0));
    await waitAll(sends);
  }
  const wrong = comm.isend(Int32Array.of(1), next, 9);
  await assert.rejects(comm.recv(new Float32Array(1), previous, 9), (error: Error) => {
    assert.ok(error instanceof MismatchError);
    assert.match(error.message, /sent int32 elements, the buffer holds float32 elements/);
    return true;
  });
  await wrong.wait();
  await comm.barrier();
}

/** A probe tells the length before a buffer is made, and takes nothing away. */
async function probing(comm: Communicator): Promise<void> {
  const { rank, size } = comm, next = (rank + 1) % size, previous = (rank - 1 + size) % size;
  assert.equal(await comm.iprobe(previous, 77), null);
  const sends = [3, 70_000].map((n) => comm.isend(new Uint16Array(n).fill(n & 255), next, 4));
  for (const length of [3, 70_000]) {
    const status = await comm.probe(ANY_SOURCE, 4);
    assert.deepEqual(status, { source: previous, tag: 4, count: length });
    assert.deepEqual(await comm.iprobe(previous, 4), status);
    const buffer = new Uint16Array(status.count);
    await comm.recv(buffer, status.source, status.tag);
    sameBits("probed", buffer, new Uint16Array(length).fill(length & 255));
  }
  await waitAll(sends);
}

/** All send a large message to all before any receives. */
async function largeBothWays(comm: Communicator): Promise<void> {
  const { rank, size } = comm, length = 400_003;
  const sends = Array.from(
    { length: size },
    (_, to) => comm.isend(new Float32Array(length).fill(rank * size + to), to, 1),
  );
  const buffer = new Float32Array(length);
  for (let from = 0; from < size; from++) {
    await comm.recv(buffer, from, 1);
    sameBits("large", buffer, new Float32Array(length).fill(from * size + rank));
  }
  await waitAll(sends);
}

/** Messages to nobody, and arguments that are no rank, no tag, no buffer. */
async function nobody(comm: Communicator): Promise<void> {
  await comm.send(Int8Array.of(1), PROC_NULL);
  const buffer = Int8Array.of(42);
  assert.deepEqual(await comm.recv(buffer, PROC_NULL), {
    source: PROC_NULL,
    tag: ANY_TAG,
    count: 0,
  });
  assert.equal(buffer[0], 42);
  await assert.rejects(comm.send(buffer, comm.size), RangeError);
  await assert.rejects(comm.send(buffer, 0, -3), RangeError);
  await assert.rejects(comm.send([1] as unknown as Int8Array, 0), TypeError);
  await assert.rejects(comm.allreduce(new Float32Array(1), "bxor"), TypeError);
  await assert.rejects(comm.bcast(buffer, -1), RangeError);
}

/** Collectives that go on at once, waited for in another order, with messages between them. */
async function manyAtOnce(comm: Communicator): Promise<void> {
  const { rank, size } = comm, next = (rank + 1) % size;
  const sums = Array.from(
    { length: 6 },
    (_, i) => new Int32Array(i % 2 ? 3 : 30_000).fill(rank + i),
  );
  const requests = sums.map((buffer) => comm.iallreduce(buffer));
  const received = new Int32Array(1);
  const receive = comm.irecv(received, ANY_SOURCE, 3);
  const copy = new Float64Array(20_000).fill(rank === size - 1 ? 8 : 0);
  requests.push(comm.ibcast(copy, size - 1), comm.ibarrier());
  const all = new Int32Array(size);
  requests.push(
    comm.iallgather(Int32Array.of(rank), all),
    comm.isend(Int32Array.of(rank), next, 3),
  );
  const { index } = await waitAny(requests);
  assert.ok(index >= 0 && index < requests.length);
  for (const request of requests.toReversed()) await request.wait();
  while (await receive.test() === null);
  assert.equal(received[0], (rank - 1 + size) % size);
  sums.forEach((buffer, i) => {
    const sum = size * (size - 1) / 2 + i * size;
    sameBits("sum at once", buffer, new Int32Array(buffer.length).fill(sum));
  });
  sameBits("copy at once", copy, new Float64Array(20_000).fill(8));
  sameBits("all at once", all, Int32Array.from({ length: size }, (_, r) => r));
}

async function splitting(comm: Communicator): Promise<void> {
  const { rank, size } = comm;
  const half = await comm.split(rank % 2, -rank); // keys turn the order round
  assert.ok(half !== null);
  const mates = Array.from({ length: size }, (_, r) => r).filter((r) => r % 2 === rank % 2)
    .reverse();
  assert.equal(half.size, mates.length);
  assert.equal(half.rank, mates.indexOf(rank));
  const all = new Int32Array(half.size);
  await half.allgather(Int32Array.of(rank), all);
  assert.deepEqual([...all], mates);
  const sum = new Float32Array(30_000).fill(rank);
  await half.allreduce(sum);
  assert.equal(sum[29_999], mates.reduce((a, b) => a + b));
  half.free();
  await assert.rejects(half.barrier(), /has been freed/);

  const some = await comm.split(rank === 0 ? null : 7);
  assert.equal(some === null, rank === 0);
  if (some !== null) assert.equal(some.rank, rank - 1);
  some?.free();
  await assert.rejects(comm.split(-2), RangeError);
  await comm.barrier();
}

/** The same call and the same tag on two communicators at once do not meet. */
async function isolation(comm: Communicator): Promise<void> {
  const { rank, size } = comm, next = (rank + 1) % size;
  await using twin = await comm.dup();
  assert.equal(twin.size, size);
  const sends = [comm.isend(Int32Array.of(1), next), twin.isend(Int32Array.of(2), next)];
  const buffer = new Int32Array(1);
  await twin.recv(buffer);
  assert.equal(buffer[0], 2);
  await comm.recv(buffer);
  assert.equal(buffer[0], 1);
  await waitAll(sends);
  const [a, b] = [new Float32Array(9).fill(rank), new Float32Array(9).fill(1)];
  const order = rank % 2 ? [comm.iallreduce(a), twin.iallreduce(b)] : [
    twin.iallreduce(b),
    comm.iallreduce(a),
  ];
  await waitAll(order);
  assert.equal(a[8], size * (size - 1) / 2);
  assert.equal(b[8], size);
  twin.step = 41;
  assert.equal(comm.step, 41);
  comm.step = null;
}

/** Messages between ranks, probes, requests. */
export const MESSAGES: readonly Check[] = [
  { name: "messages of every type and length go round the ring", run: roundTheRing },
  { name: "receives match by tag, and by the order of sends", run: matching },
  { name: "too long a message is refused", run: truncation },
  { name: "a probe tells the length and takes nothing", run: probing },
  { name: "large messages to all before any receive", run: largeBothWays },
  { name: "messages to nobody, and arguments out of range", run: nobody },
  { name: "collectives and messages at once, waited for in another order", run: manyAtOnce },
];

/** Communicators made of others. */
export const GROUPS: readonly Check[] = [
  { name: "split by colour and key", run: splitting },
  { name: "calls on two communicators at once do not meet", run: isolation },
];
