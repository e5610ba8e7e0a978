import assert from "node:assert/strict";
import { RendezvousClient } from "../../../runtime/rendezvous/client.ts";
import { dialMember } from "../../../runtime/security/dialer.ts";
import { type Endpoint, listenAt } from "../../../runtime/security/endpoint.ts";
import { HandshakeError, RendezvousError } from "../../../runtime/base/errors.ts";
import { credentials, RENDEZVOUS_RANK } from "../../../runtime/security/handshake.ts";
import { type RendezvousEvents, RendezvousServer } from "../../../runtime/rendezvous/server.ts";

const JOB = await credentials("rendezvous-test", crypto.getRandomValues(new Uint8Array(32)));

/** A rendezvous on loopback for `size` ranks. */
function open(
  size: number,
  events: RendezvousEvents = {},
  options: { alone?: boolean; deadline?: number } = {},
) {
  const listener = listenAt({ kind: "tcp", hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const server = new RendezvousServer({ listener, job: JOB, size, events, ...options });
  const address = { hostname: "127.0.0.1", port, job: JOB, size };
  const clients: RendezvousClient[] = [];
  return {
    server,
    port,
    async rank(rank: number): Promise<RendezvousClient> {
      const deadline = performance.now() + 60_000;
      const client = await RendezvousClient.connect({ ...address, rank, deadline });
      clients.push(client);
      return client;
    },
    /** A proven connection of a rank that does not keep to the protocol. */
    rogue: (rank: number): Promise<Deno.Conn> =>
      dialMember({
        endpoints: [{ kind: "tcp", hostname: "127.0.0.1", port }],
        job: JOB,
        purpose: "rendezvous",
        self: rank,
        peer: RENDEZVOUS_RANK,
        name: "the rendezvous",
        deadline: performance.now() + 5000,
      }),
    [Symbol.dispose]() {
      for (const client of clients) client.close();
      server.close();
    },
  };
}

function at(port: number): Endpoint[] {
  return [{ kind: "tcp", hostname: "127.0.0.1", port }];
}

Deno.test("all ranks get the same table, in the order of the ranks, once all have joined", async () => {
  const joined: number[] = [];
  using rendezvous = open(3, { joined: (rank) => joined.push(rank) });
  const clients = await Promise.all([2, 0, 1].map((rank) => rendezvous.rank(rank)));
  const early = clients.slice(0, 2).map((client, i) => client.join(`host${[2, 0][i]}`, at(i + 1)));
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual(rendezvous.server.missing, [1]);
  const tables = await Promise.all([...early, clients[2].join("host1", at(3))]);
  const expected = [
    { host: "host0", endpoints: at(2) },
    { host: "host1", endpoints: at(3) },
    { host: "host2", endpoints: at(1) },
  ];
  for (const table of tables) assert.deepEqual(table, expected);
  assert.deepEqual(joined.toSorted(), [0, 1, 2]);
  await assert.rejects(Deno.connect({ hostname: "127.0.0.1", port: rendezvous.port }), {
    name: "ConnectionRefused",
  });
});

Deno.test("a rank that joins a second time is refused, and the job is not harmed", async () => {
  using rendezvous = open(2);
  const first = await rendezvous.rank(0);
  const table = first.join("a", at(1));
  await assert.rejects(rendezvous.rank(0), (error) => {
    assert(error instanceof HandshakeError);
    assert.match(error.message, /the rendezvous refused rank 0 .*: duplicate rank/);
    return true;
  });
  await assert.rejects(rendezvous.rank(7), /refused rank 7 .*: unexpected rank/);
  const second = await rendezvous.rank(1);
  await second.join("b", at(2));
  assert.equal((await table).length, 2);
});

Deno.test("reports, aborts and goodbyes reach the server", async () => {
  const heard: unknown[] = [];
  const all = Promise.withResolvers<void>();
  const note = (...what: unknown[]) => {
    heard.push(what);
    if (heard.length === 4) all.resolve();
  };
  using rendezvous = open(1, {
    report: (rank, { message, operation, step, lost }) =>
      note(rank, message, operation, step, lost),
    abort: (rank, code, message) => note(rank, code, message),
    finalized: (rank) => note(rank, "finalized"),
    gone: (rank) => note(rank, "gone"),
  });
  const client = await rendezvous.rank(0);
  await client.join("a", at(1));
  client.start({ lost() {}, abort() {}, gone() {}, pending: () => [] });
  await client.report({ message: "x".repeat(1e6), operation: "bcast", step: 3, lost: null });
  await client.abort(7, "enough");
  await client.finalize();
  client.close();
  await all.promise;
  assert.deepEqual(heard, [
    [0, `${"x".repeat(4000)} …`, "bcast", 3, null],
    [0, 7, "enough"],
    [0, "finalized"],
    [0, "gone"],
  ]);
});

Deno.test("the ranks hear of a lost rank, of an abort and of the end of the server", async () => {
  const told: unknown[] = [];
  using rendezvous = open(2, { pending: (...what) => told.push(what) });
  const clients = await Promise.all([0, 1].map((rank) => rendezvous.rank(rank)));
  await Promise.all(clients.map((client, rank) => client.join(`host${rank}`, at(rank + 1))));
  const heard: unknown[][] = [[], []];
  let gone = 0;
  for (const [rank, client] of clients.entries()) {
    client.start({
      lost: (...what) => heard[rank].push(what),
      abort: (...what) => heard[rank].push(what),
      gone: () => gone++,
      pending: () => Array(rank * 20).fill("barrier".repeat(50)),
    });
  }
  rendezvous.server.announce({ type: "lost", rank: 1, reason: "it was ended by SIGKILL" });
  rendezvous.server.announce({ type: "abort", code: 9, message: "enough" });
  // Listening to the rendezvous does not keep a process alive; these timers do.
  const pause = () => new Promise((resolve) => setTimeout(resolve, 10));
  while (heard.some((own) => own.length < 2)) await pause();
  rendezvous.server.announce({ type: "inquiry" });
  while (told.length < 2) await pause();
  const barrier = `${"barrier".repeat(50).slice(0, 200)} …`;
  assert.deepEqual(told.toSorted(), [[0, []], [1, Array(8).fill(barrier)]]);
  rendezvous.server.close();
  while (gone < 2) await pause();
  for (const own of heard) assert.deepEqual(own, [[1, "it was ended by SIGKILL"], [9, "enough"]]);
});

Deno.test("a rank that waits for the others hears that one of them is lost", async () => {
  using rendezvous = open(2);
  const client = await rendezvous.rank(0);
  const table = client.join("a", at(1));
  await new Promise((resolve) => setTimeout(resolve, 50));
  rendezvous.server.announce({ type: "lost", rank: 1, reason: "it ended with exit code 3" });
  await assert.rejects(table, (error) => {
    assert(error instanceof RendezvousError);
    assert.equal(
      error.message,
      "rank 0 cannot join: rank 1 is lost: it ended with exit code 3",
    );
    return true;
  });
});

Deno.test("without a launcher, ranks that have joined are told by the deadline who has not", async () => {
  using rendezvous = open(4, {}, { alone: true, deadline: performance.now() + 4000 });
  const clients = await Promise.all([2, 0].map((rank) => rendezvous.rank(rank)));
  const tables = clients.map((client, i) => client.join("a", at(i + 1)));
  for (const [i, ended] of (await Promise.allSettled(tables)).entries()) {
    assert(ended.status === "rejected" && ended.reason instanceof RendezvousError);
    assert.equal(
      ended.reason.message,
      `rank ${[2, 0][i]} cannot join: not all ranks have joined in time; missing: ranks 1, 3`,
    );
  }
  await assert.rejects(Deno.connect({ hostname: "127.0.0.1", port: rendezvous.port }));
});

Deno.test("without a launcher, a rank that leaves before all have joined ends the job", async () => {
  const joined = Promise.withResolvers<number>();
  const deadline = performance.now() + 300_000;
  using rendezvous = open(3, { joined: joined.resolve }, { alone: true, deadline });
  const stays = await rendezvous.rank(0), leaves = await rendezvous.rank(2);
  const table = stays.join("a", at(1));
  assert.equal(await joined.promise, 0);
  leaves.close();
  await assert.rejects(table, {
    name: "RendezvousError",
    message: /rank 2 left before all had joined; missing: ranks 1, 2/,
  });
});

Deno.test("a newcomer hears of all ranks that the job has had, however many", async () => {
  using rendezvous = open(1);
  const first = await rendezvous.rank(0), wishes = { onFailure: "return" } as const;
  await first.join("a host with a long name", at(1), undefined, wishes);
  const number = 30_000, host = "h".repeat(63);
  for (let rank = 1; rank <= number; rank++) rendezvous.server.expect(rank);
  const newcomer = await rendezvous.rank(number);
  first.onKnock = (rank) => {
    first.usher({ type: "invite", rank, members: [0], newcomers: [rank] });
  };
  first.start({ lost() {}, abort() {}, gone() {}, pending: () => [] });
  const { hosts } = await newcomer.knock({ host, endpoints: at(2), ...wishes });
  assert.deepEqual([hosts.length, hosts[number]], [number + 1, host]);
});

Deno.test("who is let in knows that those let in with it wait no longer, before the rendezvous says so", async () => {
  using rendezvous = open(1);
  const first = await rendezvous.rank(0), wishes = { onFailure: "return" } as const;
  await first.join("a", at(1), undefined, wishes);
  first.start({ lost() {}, abort() {}, gone() {}, pending: () => [] });
  for (const rank of [1, 2]) rendezvous.server.expect(rank);
  const knocked = Promise.withResolvers<void>();
  first.onKnock = () => first.waiting.size === 2 && knocked.resolve();
  const [one, other] = [await rendezvous.rank(1), await rendezvous.rank(2)];
  const invited = one.knock({ host: "a", endpoints: at(2), ...wishes });
  const otherInvited = other.knock({ host: "a", endpoints: at(3), ...wishes });
  await knocked.promise;
  const usher = (type: "invite" | "welcome", rank: number) => {
    const members = [0, 1, 2];
    if (type === "welcome") first.usher({ type, rank, context: 1, members });
    else first.usher({ type, rank, members: [0], newcomers: [1, 2] });
  };
  for (const rank of [1, 2]) usher("invite", rank);
  // Of the second the rendezvous has not heard yet.
  usher("welcome", 1);
  await one.welcomed(await invited);
  assert.deepEqual([...one.waiting], []);
  usher("welcome", 2);
  await other.welcomed(await otherInvited);
  assert.deepEqual([...other.waiting], []);
});

Deno.test("a rank does not wait for ever for a rendezvous that says nothing", async () => {
  using rendezvous = open(2);
  const client = await rendezvous.rank(0);
  await assert.rejects(client.join("a", at(1), performance.now() - 1), {
    name: "RendezvousError",
    message: /rank 0 cannot join: the rendezvous has not said in time/,
  });
});

const text = (value: unknown) => {
  const bytes = new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));
  const message = new Uint8Array(4 + bytes.length);
  new DataView(message.buffer).setUint32(0, bytes.length);
  message.set(bytes, 4);
  return message;
};

for (
  const [what, bytes] of [
    ["an oversized length", Uint8Array.of(0xff, 0xff, 0xff, 0xff)],
    ["a message just above the limit", text("x".repeat((64 << 10) + 1))],
    ["no JSON", text("hello")],
    ["no object", text([1])],
    ["an unknown message", text({ type: "surrender" })],
    [
      "a join with too many endpoints",
      text({
        type: "join",
        host: "a",
        pid: 1,
        endpoints: new Array(6).fill({ kind: "tcp", hostname: "a", port: 1 }),
      }),
    ],
    [
      "a join with a wrong port",
      text({
        type: "join",
        host: "a",
        pid: 1,
        endpoints: [{ kind: "tcp", hostname: "a", port: 1e6 }],
      }),
    ],
    [
      "a report on a rank that is none",
      text({
        type: "report",
        message: "",
        operation: null,
        step: null,
        lost: 5,
      }),
    ],
    ["an exit code that is none", text({ type: "abort", code: 256, message: "" })],
  ] as const
) {
  Deno.test(`${what} from a rank ends its connection and nothing else`, async () => {
    const gone = Promise.withResolvers<number>();
    using rendezvous = open(2, { gone: gone.resolve });
    using rogue = await rendezvous.rogue(1);
    await rogue.write(bytes);
    assert.equal(await gone.promise, 1);
    assert.equal(rendezvous.server.missing.length, 2);
    await rendezvous.rank(0);
  });
}
