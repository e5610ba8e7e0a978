/** The communicator's failures, seen from several ranks in one process over real sockets. */

import assert from "node:assert/strict";
import { type Communicator, MismatchError, PeerLostError, PROC_NULL } from "../../runtime/mod.ts";
import { COLLECTIVES } from "./_battery_collectives.ts";
import { GROUPS } from "./_battery_messages.ts";
import { header } from "../_helpers/mesh.ts";
import { onAll, world } from "../_helpers/world.ts";

/**
 * Every rank must reject within a second, with these words. A busy machine is given longer, but less than
 * the minute after which a peer that says nothing is lost.
 */
async function everyoneRejects(
  outcomes: Promise<PromiseSettledResult<unknown>[]>,
  kind: typeof MismatchError | typeof PeerLostError,
  words: RegExp[],
): Promise<void> {
  const start = performance.now();
  for (const [rank, outcome] of (await outcomes).entries()) {
    assert.equal(outcome.status, "rejected", `rank ${rank} noticed nothing`);
    assert.ok(outcome.reason instanceof kind, `rank ${rank}: ${outcome.reason}`);
    for (const pattern of words) assert.match(outcome.reason.message, pattern);
  }
  const ms = performance.now() - start;
  assert.ok(ms < 10_000, `${ms} ms`);
}

type Body = (comm: Communicator, isOdd: boolean) => Promise<unknown>;

const MISMATCHES: Record<string, { body: Body; words: RegExp[] }> = {
  "length": {
    body: (comm, odd) => comm.allreduce(new Float32Array(odd ? 1024 : 1000)),
    words: [/^cannot allreduce: /, /1024/, /1000/],
  },
  "length, beyond a tree exchange": {
    body: (comm, odd) => comm.allreduce(new Float32Array(odd ? 100_000 : 10)),
    words: [/^cannot allreduce: /, /100000/, /\b10\b/],
  },
  "element type": {
    body: (comm, odd) => comm.bcast(odd ? new Int32Array(50_000) : new Float32Array(50_000)),
    words: [/^cannot bcast: /, /int32/, /float32/],
  },
  "op": {
    body: (comm, odd) => comm.reduce(new Float32Array(4), odd ? "max" : "sum"),
    words: [/^cannot reduce: /, /max/, /sum/],
  },
  "root": {
    body: (comm, odd) => comm.bcast(new Float32Array(4), odd ? 1 : 0),
    words: [/^cannot bcast: /, /root 1/, /root 0/],
  },
  "order of calls": {
    body: (comm, odd) => odd ? comm.barrier() : comm.allgather(new Int8Array(1), new Int8Array(4)),
    words: [/^cannot complete collective call 1: /, /called barrier/, /called allgather/],
  },
  "algorithm": {
    body: (comm, odd) =>
      comm.allreduce(new Float32Array(4), "sum", { algorithm: odd ? "ring" : "direct" }),
    words: [/^cannot allreduce: /, /algorithm/],
  },
  "counts of gatherv": {
    body: (comm, odd) =>
      comm.gatherv(new Int8Array(odd ? 3 : 2), new Int8Array(8), [2, 2, 2, 2], 1),
    words: [/^cannot gatherv: /, /3 int8 elements/, /expected 2/],
  },
  "counts of scatterv": {
    body: (comm, odd) =>
      comm.scatterv(new Int8Array(8), [2, 2, 2, 2], new Int8Array(odd ? 3 : 2), 1),
    words: [/^cannot scatterv: /, /2 int8 elements/, /expected 3/],
  },
  "counts of allgatherv": {
    body: (comm, odd) =>
      comm.allgatherv(
        new Int8Array(2),
        new Int8Array(9),
        odd ? [2, 2, 2, 2] : [2, 2, 2, 2].with((comm.rank + 1) % 4, 3),
      ),
    words: [/^cannot allgatherv: /, /\[2, /],
  },
  "counts of alltoallv": {
    body: (comm, odd) => {
      const counts = [1, 1, 1, 1];
      return comm.alltoallv(
        new Int8Array(5),
        odd ? [1, 2, 1, 1] : counts,
        new Int8Array(4),
        counts,
      );
    },
    words: [/^cannot alltoallv: /, /2 int8 elements for rank 1/, /expected 1/],
  },
  "blocks of reduceScatter": {
    body: (comm, odd) => comm.reduceScatter(new Int8Array(8), new Int8Array(odd ? 3 : 2)),
    words: [/^cannot reduceScatter: /, /8 int8 elements/, /3/],
  },
};

for (const [what, { body, words }] of Object.entries(MISMATCHES)) {
  for (const odd of [0, 3]) {
    Deno.test(`rank ${odd} of 4 disagrees on ${what}: every rank says who passed what`, async () => {
      await using w = await world(4);
      await everyoneRejects(
        onAll(w, (comm, rank) => body(comm, rank === odd)),
        MismatchError,
        [...words, /rank \d/],
      );
      // The communicator is of no use any more, and says why.
      await everyoneRejects(onAll(w, (comm) => comm.barrier()), MismatchError, words);
    });
  }
}

Deno.test("a mismatch in one communicator leaves another alone", async () => {
  await using w = await world(3);
  const outcomes = await onAll(w, async (comm, rank) => {
    const twin = await comm.dup();
    await assert.rejects(twin.bcast(new Float32Array(rank + 1)), MismatchError);
    const one = Float32Array.of(1);
    await comm.allreduce(one);
    return one[0];
  });
  assert.deepEqual(outcomes.map((o) => o.status === "fulfilled" ? o.value : o.reason), [3, 3, 3]);
});

Deno.test("communicators made at once of one do not meet, nor disturb what goes on in it", async () => {
  await using w = await world(4);
  const outcomes = await onAll(w, async (comm, rank) => {
    const one = Int32Array.of(1);
    const summed = comm.allreduce(one);
    const twins = await Promise.all([comm.dup(), comm.split(rank % 2), comm.dup()]);
    await summed;
    // The same calls on all of them, at once, each with numbers of its own.
    const sums = await Promise.all(twins.map(async (twin, i) => {
      const own = Int32Array.of(10 ** i * (rank + 1));
      await twin!.allreduce(own);
      return own[0];
    }));
    return [one[0], ...sums];
  });
  const odd = [4, 10, 60, 1000], even = [4, 10, 40, 1000];
  assert.deepEqual(
    outcomes.map((o) => o.status === "fulfilled" ? o.value : o.reason),
    [even, odd, even, odd],
  );
});

const LOSSES: Record<string, (comm: Communicator) => Promise<unknown>> = {
  "barrier": (comm) => comm.barrier(),
  "a small bcast": (comm) => comm.bcast(new Int8Array(3), 1),
  "a large bcast": (comm) => comm.bcast(new Int8Array(300_000), 3),
  "a small allreduce": (comm) => comm.allreduce(new Float32Array(3)),
  "a large allreduce": (comm) => comm.allreduce(new Float32Array(300_000)),
  "a ring": (comm) => comm.allreduce(new Float32Array(300_000), "sum", { algorithm: "ring" }),
  "alltoall": (comm) => comm.alltoall(new Int32Array(400_000), new Int32Array(400_000)),
  "split": (comm) => comm.split(1),
};

for (const [what, body] of Object.entries(LOSSES)) {
  Deno.test(`a rank dies during ${what}: all others name it, the call and the step`, async () => {
    await using w = await world(4);
    for (const comm of w.ranks) comm.step = 17;
    const living = [0, 1, 2].map((rank) => w.ranks[rank]);
    const outcomes = Promise.allSettled(living.map((comm) => body(comm)));
    setTimeout(() => w.kill(3), 50);
    const words = [/rank 3 on host3 at step 17/, /\(collective call 1\)/];
    await everyoneRejects(outcomes, PeerLostError, words);
    await everyoneRejects(
      Promise.allSettled(living.map((comm) => comm.barrier())),
      PeerLostError,
      [/cannot complete barrier \(collective call 2\): lost rank 3/],
    );
    assert.equal(w.reports[0].length, 1);
    assert.match(w.reports[0][0], /lost rank 3/);
  });
}

for (const compress of ["none", "int8", "topk:0.5"]) {
  Deno.test(`a rank dies while a sum travels, compressed by ${compress}: each call fails once`, async () => {
    await using w = await world(3);
    const values = w.ranks.map(() => new Float32Array(1_000_003).fill(1));
    const outcomes = Promise.allSettled(w.ranks.map(async (comm, rank) => {
      for (;;) await comm.allreduce(values[rank], { algorithm: "auto", compress });
    }));
    setTimeout(() => w.kill(2), 100);
    // An error beside that of the call, which nobody could catch, would fail the test.
    for (const outcome of (await outcomes).slice(0, 2)) {
      assert.ok(outcome.status === "rejected" && outcome.reason instanceof PeerLostError);
    }
  });
}

Deno.test("a rank that leaves early is missed by those who still need it, and only by them", async () => {
  await using w = await world(3);
  const outcomes = await onAll(w, async (comm, rank) => {
    await comm.barrier();
    if (rank === 2) return await comm.close();
    if (rank === 0) await comm.send(Int8Array.of(5), 1);
    else await comm.recv(new Int8Array(1), 0);
    await assert.rejects(comm.barrier(), (error: Error) => {
      assert.ok(error instanceof PeerLostError);
      assert.equal(error.rank, 2);
      assert.match(error.message, /it has left the job/);
      return true;
    });
  });
  for (const outcome of outcomes) assert.equal(outcome.status, "fulfilled", String(outcome));
});

Deno.test("messages of a lost rank: what was sent arrives, what is still waited for rejects", async () => {
  await using w = await world(3);
  const [zero, one] = w.ranks, small = new Int8Array(1);
  await w.ranks[2].send(Int8Array.of(7), 0, 1);
  await zero.probe(2, 1);
  const pending = [
    zero.recv(new Int8Array(1), 2, 9),
    zero.recv(new Int8Array(1)).then(() => zero.recv(new Int8Array(1))),
    zero.send(new Float64Array(100_000), 2),
    zero.probe(2, 8),
    one.recv(new Int8Array(1)),
  ];
  const outcomes = Promise.allSettled(pending);
  setTimeout(() => w.kill(2), 50);
  await everyoneRejects(outcomes, PeerLostError, [/lost rank 2 on host2/]);
  // Those that are left still reach each other.
  await Promise.all([zero.send(Int8Array.of(3), 1, 4), one.recv(small, 0, 4)]);
  assert.equal(small[0], 3);
});

Deno.test("a message that was announced and never sent is not waited for once its sender is gone", async () => {
  const announced = new Float64Array(100_000);
  for (const end of ["dies", "leaves"]) {
    await using w = await world(3);
    const [zero, one, two] = w.ranks;
    const sent = Promise.allSettled([one.send(announced, 0, 4)]);
    assert.equal((await zero.probe(1, 4)).count, announced.length);
    const missed = assert.rejects(zero.recv(announced, 1, 9), PeerLostError);
    if (end === "dies") w.kill(1);
    else one.close().catch(() => {});
    await missed;
    await assert.rejects(zero.recv(announced, 1, 4), {
      name: "PeerLostError",
      message: /cannot complete recv from rank 1 with tag 4: lost rank 1/,
    });
    await assert.rejects(zero.probe(1, 4), PeerLostError);
    const [{ status }] = await sent;
    assert.equal(status, "rejected");
    await Promise.all([two.send(announced, 0, 4), zero.recv(announced, 2, 4)]);
  }
});

Deno.test("a sendrecv whose send fails takes its receive back", async () => {
  await using w = await world(3);
  const [zero, one] = w.ranks, taken = Int8Array.of(42), later = new Int8Array(1);
  for (const [dest, tag] of [[3, 0], [-7, 0], [1, -1]]) {
    await assert.rejects(zero.sendrecv(Int8Array.of(1), dest, taken, 1, tag, 5), RangeError);
  }
  await assert.rejects(
    zero.sendrecv([1] as unknown as Int8Array, 1, taken, 1, 0, 5),
    { name: "TypeError" },
  );
  w.kill(2);
  await assert.rejects(zero.recv(later, 2), PeerLostError);
  await assert.rejects(zero.sendrecv(Int8Array.of(1), 2, taken, 1, 0, 5), PeerLostError);
  await one.send(Int8Array.of(7), 0, 5);
  assert.equal((await zero.recv(later, 1, 5)).source, 1);
  assert.deepEqual([taken[0], later[0]], [42, 7]);
});

Deno.test("a sendrecv whose send fails waits for a message that is coming in", async () => {
  await using w = await world(2);
  const [zero, one] = w.ranks, message = new Float64Array(200_000).fill(3);
  const sent = one.send(message, 0);
  await zero.probe(1);
  const buffer = new Float64Array(200_000);
  await assert.rejects(zero.sendrecv(Int8Array.of(1), 2, buffer, 1), RangeError);
  assert.deepEqual(buffer, message);
  await sent;
});

Deno.test("what is no rank, tag or buffer is refused by a promise; iprobe answers for nobody, and misses the dead", async () => {
  await using w = await world(3);
  const [zero] = w.ranks;
  assert.deepEqual(await zero.iprobe(PROC_NULL), await zero.probe(PROC_NULL));
  for (const [source, tag] of [[3, 0], [-5, 0], [1.5, 0], [0, -2], [0, 2 ** 31], [0, NaN]]) {
    await assert.rejects(zero.iprobe(source, tag), RangeError, `${source} ${tag}`);
    await assert.rejects(zero.probe(source, tag), RangeError, `${source} ${tag}`);
    await assert.rejects(zero.recv(new Int8Array(1), source, tag), RangeError, `${source} ${tag}`);
  }
  // A request keeps an error until it is asked.
  for (const request of [zero.irecv([1] as never), zero.isend([1] as never, 1)]) {
    await assert.rejects(request.wait(), TypeError);
  }
  assert.equal(await zero.iprobe(0, 1), null);
  w.kill(2);
  await assert.rejects(zero.recv(new Int8Array(1), 2), PeerLostError);
  await assert.rejects(
    zero.iprobe(2, 4),
    {
      name: "PeerLostError",
      message: /cannot complete iprobe from rank 2 with tag 4: lost rank 2/,
    },
  );
  await using pair = await world(2);
  const [stays, leaves] = pair.ranks;
  await Promise.all([leaves.close(), stays.iprobe(1)]);
  assert.equal(await stays.iprobe(1), null, "who has left may be asked for");
});

Deno.test("unexpected messages cost bounded memory: beyond the credit they stay with the sender", async () => {
  await using w = await world(2);
  const [zero, one] = w.ranks, message = new Uint8Array(60_000);
  const sends = Array.from({ length: 400 }, (_, i) => zero.send(message, 1, i)); // 24 MB
  while (w.transports[1].traffic.received < 3 << 20) await new Promise((go) => setTimeout(go, 5));
  await new Promise((go) => setTimeout(go, 200));
  const waiting = w.transports[1].traffic.received;
  assert.ok(waiting < 5 << 20, `${waiting} bytes wait at the receiver`);
  // Collectives and announcements are not held up, and everything arrives in the end.
  await Promise.all([zero.barrier(), one.barrier()]);
  for (let i = 399; i >= 0; i--) assert.equal((await one.recv(message, 0, i)).count, 60_000);
  await Promise.all(sends);
});

Deno.test("statistics count calls, bytes and seconds of each operation", async () => {
  await using w = await world(2);
  await onAll(w, async (comm, rank) => {
    for (let i = 0; i < 3; i++) {
      await comm.allreduce(new Float32Array(100_000), "sum", { algorithm: "direct" });
    }
    await (rank === 0 ? comm.send(new Int32Array(10), 1) : comm.recv(new Int32Array(10), 0));
  });
  const [zero, one] = w.ranks.map((comm) => comm.stats());
  assert.equal(zero.allreduce.calls, 3);
  assert.ok(zero.allreduce.seconds > 0 && zero.allreduce.seconds < 10);
  // Half of the buffer goes each way twice, and then a few hundred bytes of tree exchanges.
  assert.ok(Math.abs(zero.allreduce.bytesSent / 3 - 400_000) < 1000);
  assert.equal(zero.allreduce.bytes, zero.allreduce.bytesSent + zero.allreduce.bytesReceived);
  assert.deepEqual([zero.send.calls, zero.send.bytesSent], [1, 40]);
  assert.deepEqual([one.recv.calls, one.recv.bytesReceived], [1, 40]);
});

Deno.test("more ranks than the tree is wide: every exchange has inner ranks", async () => {
  await using w = await world(11);
  const outcomes = await onAll(w, async (comm) => {
    for (const { run } of [...COLLECTIVES, ...GROUPS]) await run(comm, 97);
  });
  for (const outcome of outcomes) {
    assert.ok(outcome.status === "fulfilled", String((outcome as PromiseRejectedResult).reason));
  }
  const late = onAll(w, (comm, rank) => comm.bcast(new Float32Array(rank === 10 ? 9 : 8)));
  await everyoneRejects(late, MismatchError, [/rank 10 passed 9 floats, rank 8 passed 8/]);
});

Deno.test("a message of more bytes than a frame's length can say is refused before anything is sent", async () => {
  await using job = await world(2);
  // Room that nobody touches is taken from nothing.
  const huge = new Uint8Array(2 ** 32), [comm] = job.ranks;
  await assert.rejects(
    comm.send(huge, 1),
    /^RangeError: cannot send 4294967296 bytes: a message has 4294967295 at most; send it in parts$/,
  );
  await assert.rejects(
    job.transports[0].send(1, header(1), huge),
    /^RangeError: cannot send 4294967296 bytes to rank 1 at once: a frame holds 4294967295 at most; /,
  );
});

Deno.test("a sum by the tree of more bytes than a frame holds is refused by who would send them", async () => {
  await using job = await world(2);
  const outcomes = await onAll(job, async (comm, rank) => {
    const sum = comm.allreduce(new Uint8Array(2 ** 32), { algorithm: "tree" });
    const words = rank === 0 ? /lost rank 1/ : new RegExp(
      "^RangeError: cannot allreduce \\(collective call 1\\): 4294967296 bytes would go up or down the tree at once, " +
        "and a frame holds 4294967295 at most; pass smaller buffers or take another algorithm$",
    );
    await assert.rejects(sum, words);
    if (rank === 1) job.kill(1); // as a process that has failed ends
  });
  for (const outcome of outcomes) assert.equal(outcome.status, "fulfilled", String(outcome));
});

Deno.test("counts and displacements of fewer or more blocks than there are ranks are refused", async () => {
  await using job = await world(2);
  const words = (call: string, what: string, found: readonly number[]) => ({
    name: "RangeError",
    message: `cannot ${call} needs 2 ${what} that are non-negative integers, ` +
      `found [${found.join(", ")}]`,
  });
  const outcomes = await onAll(job, async (comm) => {
    const one = new Int32Array(1), all = new Int32Array(9), { rank } = comm, good = [1, 1];
    for (const bad of [[], [1], [1, 1, 1]]) {
      for (const [what, ...lists] of [["counts", bad], ["displacements", good, bad]] as const) {
        await assert.rejects(
          async () => await comm.gatherv(one, all, lists[0], rank, lists[1]),
          words("gatherv: recv", what, bad),
        );
        await assert.rejects(
          async () => await comm.scatterv(all, lists[0], one, rank, lists[1]),
          words("scatterv: send", what, bad),
        );
        await assert.rejects(
          async () => await comm.allgatherv(one, all, lists[0], lists[1]),
          words("allgatherv: recv", what, bad),
        );
        await assert.rejects(
          async () => await comm.alltoallv(all, good, all, lists[0], undefined, lists[1]),
          words("alltoallv: recv", what, bad),
        );
      }
    }
    await comm.barrier();
  });
  for (const outcome of outcomes) assert.equal(outcome.status, "fulfilled", String(outcome));
});
