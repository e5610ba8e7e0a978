/** Ranks on several hosts: the same results for every placement, few bytes between hosts. */

import assert from "node:assert/strict";
import { type Communicator, PeerLostError } from "../../../runtime/mod.ts";
import { COLLECTIVES } from "../_battery_collectives.ts";
import { COMPRESSED } from "../_battery_compressed.ts";
import { REDUCTIONS } from "../_battery_reductions.ts";
import { program, run } from "../../_helpers/jobs.ts";
import { whyNoSharing } from "../_shared_memory.ts";
import { onAll, type World, world } from "../../_helpers/world.ts";

/** The host of each rank, as letters. */
const PLACEMENTS = ["A", "AB", "AAB", "ABAB", "AABB", "ABBBA", "AAAABBBB", "AABBCCCC", "ABABABAB"];

async function allFulfilled<T>(outcomes: Promise<PromiseSettledResult<T>[]>): Promise<T[]> {
  return (await outcomes).map((outcome, rank) => {
    if (outcome.status === "rejected") {
      throw new Error(`rank ${rank}: ${outcome.reason}`, { cause: outcome.reason });
    }
    return outcome.value;
  });
}

for (const hosts of PLACEMENTS) {
  Deno.test(`every collective is right on ranks on hosts ${hosts}`, async (t) => {
    await using w = await world(hosts.length, { hosts: [...hosts] });
    for (const { name, run } of [...COLLECTIVES, ...REDUCTIONS, ...COMPRESSED]) {
      await t.step(name, async () => {
        await allFulfilled(onAll(w, (comm) => run(comm)));
      });
    }
  });
}

for (const connections of [2, 3]) {
  for (const hosts of ["AB", "ABC", "AABB"]) {
    Deno.test(`every collective is right over ${connections} connections between hosts ${hosts}`, async (t) => {
      await using w = await world(hosts.length, { hosts: [...hosts], connections });
      for (const { name, run } of [...COLLECTIVES, ...REDUCTIONS, ...COMPRESSED]) {
        await t.step(name, async () => {
          await allFulfilled(onAll(w, (comm) => run(comm)));
        });
      }
    });
  }
}

/** Values by which the order of a sum shows, and others, one kind after the other. */
function difficult(rank: number, length: number): Float32Array {
  const noise = (i: number) => Math.sin(i * 12.9898 + rank * 78.233) * 43758.5453 % 1;
  const kinds: ((i: number) => number)[] = [
    (i) => noise(i),
    (i) => noise(i) * 2 ** (i * 7 % 61 - 30),
    (i) => (rank + i) % 2 === 0 ? 1e8 * noise(i - i % 2) : 1e-8 * noise(i),
    (i) => i % 3 === 0 ? -0 : 0,
    (i) => i % 5 === 0 ? -0 : noise(i),
    (i) => 1 + Math.round(noise(i) * 4) * 2 ** -23,
    (i) => noise(i) * 1e-40,
    (i) => i % 97 === rank ? Infinity : noise(i),
    () => 0,
  ];
  return Float32Array.from({ length }, (_, i) => kinds[Math.floor(i / 500) % kinds.length](i));
}

const LENGTH = 60_007;

async function sums(w: World, algorithm: "auto" | "two-level"): Promise<Uint8Array[]> {
  return await allFulfilled(onAll(w, async (comm) => {
    const buffer = difficult(comm.rank, LENGTH), root = buffer.slice();
    for (let call = 0; call < (algorithm === "auto" ? 5 : 1); call++) { // by turns, as it may choose
      buffer.set(difficult(comm.rank, LENGTH));
      await comm.allreduce(buffer, "sum", { algorithm, segmentBytes: 100_000 });
    }
    await comm.reduce(root, "sum", 3);
    if (comm.rank === 3) assert.deepEqual(bits(root), bits(buffer));
    const first = 7500 * comm.rank,
      block = new Float32Array(comm.rank === 7 ? LENGTH - first : 7500);
    await comm.reduceScatter(difficult(comm.rank, LENGTH), block);
    assert.deepEqual(bits(block), bits(buffer.slice(first, first + block.length)));
    return bits(buffer);
  }));
}

const bits = ({ buffer }: Float32Array) => new Uint8Array(buffer);

Deno.test("sums have the same bits on whatever hosts the ranks are, those in the order of ranks", async () => {
  const inputs = Array.from({ length: 8 }, (_, rank) => difficult(rank, LENGTH));
  const expected = new Float32Array(LENGTH);
  for (let i = 0; i < LENGTH; i++) {
    expected[i] = inputs.map((input) => input[i]).reduce((sum, value) => sum + value);
  }
  for (
    const hosts of [
      "AAAAAAAA",
      "AAAABBBB",
      "AABBCCCC",
      "ABABABAB",
      "ABCCBACC",
      "ABCDEFGH",
      "ABBBBBBB",
    ]
  ) {
    await using w = await world(8, { hosts: [...hosts] });
    for (const algorithm of ["auto", "two-level"] as const) {
      for (const [rank, found] of (await sums(w, algorithm)).entries()) {
        assert.deepEqual(found, bits(expected), `${algorithm} on ${hosts}, rank ${rank}`);
      }
    }
  }
});

/** What an allreduce on launched ranks came to, and the bytes that each host sent to the others. */
async function launched(hosts: string, allow: string[], algorithm = "two-level") {
  const { code, failure, lines } = await run({
    ranks: hosts.length,
    program: program("hosts/several_hosts"),
    args: [hosts, algorithm, "1000003", "1"],
    allow: ["env", ...allow],
  });
  assert.equal(code, 0, `${failure?.message}`);
  const found = lines.map((of) => JSON.parse(of.at(-1)!) as { hash: string; sent: number });
  const sent: Record<string, number> = {};
  found.forEach((of, rank) => sent[hosts[rank]] = (sent[hosts[rank]] ?? 0) + of.sent);
  assert.equal(new Set(found.map(({ hash }) => hash)).size, 1);
  return { hash: found[0].hash, sent: Object.values(sent) };
}

const noSharing = await whyNoSharing();

Deno.test({
  name: "a host sends little more than 2n(H−1)/H bytes, within it memory does the work",
  ignore: noSharing !== null,
  async fn() {
    const bytes = 4 * 1_000_003;
    const { hash } = await launched("AAAAA", ["ffi"]);
    for (const hosts of ["AABB", "AAABB", "ABABA", "AABCC"]) {
      const { hash: same, sent } = await launched(hosts, ["ffi"]);
      if (hosts.length === 5) assert.equal(same, hash, hosts);
      const least = 2 * bytes * (sent.length - 1) / sent.length;
      for (const one of sent) assert.ok(one < 1.15 * least, `${hosts}: ${one}, least ${least}`);
    }
    assert.equal((await launched("AABBA", [])).hash, hash);
  },
});

Deno.test("sums have the same bits over several connections", async () => {
  const found = [];
  for (const connections of [1, 3]) {
    await using w = await world(8, { hosts: [..."AAAABBBB"], connections });
    found.push(await sums(w, "two-level"));
  }
  assert.deepEqual(found[1], found[0]);
});

for (const lost of [0, 1, 3]) {
  Deno.test(`rank ${lost} of AAAABBBB ends in the middle: all others name it`, async () => {
    await using w = await world(8, { hosts: [..."AAAABBBB"] });
    const outcomes = onAll(w, async (comm, rank) => {
      for (let i = 0; i < 1000; i++) {
        if (rank === lost && i === 3) return setTimeout(() => w.kill(lost), 2);
        const compress = i % 2 === 0 ? "none" : "mxint8";
        await comm.allreduce(new Float32Array(100_000).fill(i), { compress });
      }
    });
    for (const [rank, outcome] of (await outcomes).entries()) {
      if (rank === lost) continue;
      assert.ok(outcome.status === "rejected", `rank ${rank} noticed nothing`);
      assert.ok(outcome.reason instanceof PeerLostError, `rank ${rank}: ${outcome.reason}`);
      assert.match(outcome.reason.message, new RegExp(`rank ${lost}\\b`));
    }
  });
}

/** Frames and bytes that ranks on these hosts send each other between hosts for a call, after a first one. */
async function crossing(hosts: string, run: (comm: Communicator) => Promise<unknown>) {
  await using w = await world(hosts.length, { hosts: [...hosts] });
  const sent = await allFulfilled(onAll(w, async (comm) => {
    await run(comm);
    await comm.barrier();
    const before = comm.network.betweenHosts.sent;
    await run(comm);
    return comm.network.betweenHosts.sent - before;
  }));
  return sent.reduce((sum, each) => sum + each);
}

Deno.test("a barrier and what travels in its tree cross between two hosts once each way", async () => {
  const barrier = (comm: Communicator) => comm.barrier();
  const bcast = (comm: Communicator) => comm.bcast(new Float32Array(100), 2);
  const empty = await crossing("AB", barrier);
  for (const hosts of ["AAB", "AABB", "ABAB", "AAAABBBB", "ABBBBBBB"]) {
    // A third frame would be half as much again; lengths of what a host says together are a few bytes.
    const both = await crossing(hosts, barrier);
    assert.ok(both >= empty && both < 1.5 * empty, `${hosts}: ${both}, two frames ${empty}`);
    // 400 bytes to all, and to rank 0 where it is not the root's host; little is added beside them.
    const bytes = await crossing(hosts, bcast), least = empty + 400 * (hosts[2] === "A" ? 1 : 2);
    assert.ok(bytes >= least && bytes < least + 100, `${hosts}: ${bytes}, least ${least}`);
  }
  const four = await crossing("AABBCCDD", barrier);
  assert.ok(four >= 3 * empty && four < 3.5 * empty, `${four}, six frames ${3 * empty}`);
});

Deno.test("a reduce-scatter sends little more than n(H−1)/H bytes a host, an allgather every block once", async () => {
  const floats = 160_000;
  const normal = (rank: number) =>
    Float32Array.from({ length: floats }, (_, i) => Math.sin(i * 12.9898 + rank * 78.233));
  for (const hosts of ["AABB", "AAAABBBB", "ABBBCCBA"]) {
    const size = hosts.length, others = new Set(hosts).size - 1;
    const scattered = await crossing(hosts, async (comm) => {
      const recv = new Float32Array(floats / size), send = normal(comm.rank);
      await comm.reduceScatter(send, recv);
      const before = normal(comm.rank);
      assert.ok(send.every((value, i) => value === before[i]), "inputs stay as they are");
    });
    const least = 4 * floats * others;
    assert.ok(scattered < 1.15 * least, `${hosts}: ${scattered}, least ${least}`);
    const gathered = await crossing(hosts, async (comm) => {
      const recv = new Float32Array(floats);
      await comm.allgather(normal(comm.rank).subarray(0, floats / size), recv);
    });
    assert.ok(gathered < 1.05 * least, `${hosts}: ${gathered}, least ${least}`);
  }
});

Deno.test("a compressed sum of mxint8 crosses between hosts as one of all ranks of a host", async () => {
  const count = 1 << 17;
  const noise = (rank: number, i: number) => Math.sin(i * 12.9898 + rank * 78.233) * 43758.5453 % 1;
  const sent = (hosts: string, compress: string) =>
    crossing(hosts, async (comm) => {
      const values = Float32Array.from({ length: count }, (_, i) => noise(comm.rank, i));
      const algorithm = compress === "none" ? "two-level" : "auto";
      await comm.allreduce(values, { algorithm, compress });
    });
  for (const [hosts, most] of [["AABB", 0.28], ["AAAABBBB", 0.29], ["ABBBBBBB", 0.3]] as const) {
    const plain = await sent(hosts, "none");
    for (const [compress, share] of [["mxint8", most], ["mxint4", most - 0.12]] as const) {
      const bytes = await sent(hosts, compress);
      assert.ok(bytes < share * plain, `${compress} on ${hosts}: ${bytes} of ${plain}`);
    }
  }
  const [plain, ranks] = [await sent("AAAABBBB", "none"), await sent("AAAABBBB", "int8")];
  assert.ok(ranks > 0.5 * plain, `${ranks} of ${plain}`); // each rank for itself
});
