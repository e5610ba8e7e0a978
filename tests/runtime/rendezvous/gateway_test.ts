import assert from "node:assert/strict";
import { Gateway, registerAt } from "../../../runtime/rendezvous/gateway.ts";
import { AuthenticatingListener } from "../../../runtime/security/authenticating_listener.ts";
import { makeCertificate } from "../../../runtime/security/certificate.ts";
import { dialMember } from "../../../runtime/security/dialer.ts";
import { type Endpoint, listenAt } from "../../../runtime/security/endpoint.ts";
import { HandshakeError } from "../../../runtime/base/errors.ts";
import { credentials, KNOCK, RENDEZVOUS_RANK } from "../../../runtime/security/handshake.ts";

const JOB = await credentials("gateway-test", crypto.getRandomValues(new Uint8Array(32)));
const OTHER = await credentials("gateway-test", crypto.getRandomValues(new Uint8Array(32)));
const TLS = await makeCertificate();

const listen = () => listenAt({ kind: "tcp", hostname: "127.0.0.1", port: 0 });
const portOf = (listener: Deno.Listener) => (listener.addr as Deno.NetAddr).port;
const soon = () => performance.now() + 5000;

/** A rank that listens behind a gateway and sends back whatever it hears. */
async function echo(gateway: Gateway, rank: number, job = JOB): Promise<Disposable> {
  const listener = listenAt({ kind: "tcp", hostname: "127.0.0.1", port: 0 }, TLS);
  const connections: Deno.Conn[] = [];
  const own = new AuthenticatingListener({
    listener,
    job,
    purpose: "mesh",
    self: rank,
    isExpected: () => true,
    again: true,
    onAccepted: (_, connection) => {
      connections.push(connection);
      connection.readable.pipeTo(connection.writable).catch(() => {});
    },
  });
  const address = { hostname: gateway.near, port: gateway.port };
  await registerAt(address, { job: JOB, rank, own: portOf(listener), deadline: soon() });
  return {
    [Symbol.dispose]() {
      own.close();
      for (const connection of connections) {
        try {
          connection.close();
        } catch {
          // It has ended by itself.
        }
      }
    },
  };
}

/** Dials a rank through a gateway. */
function dial(
  gateway: Gateway,
  peer: number,
  options: Partial<Parameters<typeof dialMember>[0]> = {},
) {
  const endpoint: Endpoint = { kind: "gateway", hostname: gateway.near, port: gateway.port };
  return dialMember({
    endpoints: [endpoint],
    job: JOB,
    purpose: "mesh",
    self: 0,
    peer,
    name: `rank ${peer}`,
    tls: TLS,
    deadline: soon(),
    ...options,
  });
}

/** Sends bytes and reads as many back, meanwhile. */
async function exchange(connection: Deno.Conn, bytes: Uint8Array): Promise<Uint8Array> {
  const back = new Uint8Array(bytes.length);
  const write = (async () => {
    for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
  })();
  for (let at = 0; at < back.length;) {
    const n = await connection.read(back.subarray(at));
    assert.ok(n !== null, `the end after ${at} of ${back.length} bytes`);
    at += n;
  }
  await write;
  return back;
}

const MANY = Uint8Array.from({ length: 5_000_011 }, (_, i) => i * 7 + (i >> 8));

Deno.test("ranks behind a gateway are reached at its port, each by who has come for it", async () => {
  using gateway = new Gateway({ listener: listen(), job: JOB });
  using _one = await echo(gateway, 1);
  using _two = await echo(gateway, 2);
  for (const peer of [1, 2]) {
    using connection = await dial(gateway, peer);
    assert.deepEqual(await exchange(connection, MANY), MANY);
  }
});

Deno.test("a host that can only dial out fetches at the relay who has come for its ranks", async () => {
  using hidden = new Gateway({ listener: listen(), job: JOB });
  const asked: number[] = [];
  using relay: Gateway = new Gateway({
    listener: listen(),
    job: JOB,
    fetchFor: (rank) =>
      rank !== 3 ? undefined : (ticket) => {
        asked.push(ticket);
        hidden.fetch(3, ticket, { hostname: relay.near, port: relay.port });
      },
  });
  using _three = await echo(hidden, 3);
  using connection = await dial(relay, 3);
  assert.deepEqual(await exchange(connection, MANY), MANY);
  assert.equal(asked.length, 1);
  // A ticket is good once.
  await assert.rejects(
    hidden.fetch(3, asked[0], { hostname: relay.near, port: relay.port }),
    HandshakeError,
  );
});

Deno.test("a rank that never fetches, or has ended, is no wait without end", async () => {
  const waits: number[] = [];
  using relay = new Gateway({
    listener: listen(),
    job: JOB,
    fetchFor: () => (ticket) => waits.push(ticket),
  });
  await assert.rejects(dial(relay, 5, { deadline: performance.now() + 300 }));
  using gateway = new Gateway({ listener: listen(), job: JOB });
  {
    using _one = await echo(gateway, 1);
  }
  await assert.rejects(dial(gateway, 1, { deadline: performance.now() + 300 }));
  assert.ok(waits.length >= 1);
});

Deno.test("who does not know the secret, or comes for a rank that is not there, is not passed on", async () => {
  using gateway = new Gateway({ listener: listen(), job: JOB });
  using _one = await echo(gateway, 1);
  // Knows the secret of the gateway, but not that of the rank behind it: both have to be proved to.
  using _two = await echo(gateway, 2, OTHER);
  const deadline = performance.now() + 300;
  await assert.rejects(dial(gateway, 1, { job: OTHER, deadline }));
  await assert.rejects(dial(gateway, 2), HandshakeError);
  await assert.rejects(dial(gateway, 7, { deadline: performance.now() + 300 }));
  // The certificate is that of the rank.
  const { ca } = await makeCertificate();
  await assert.rejects(dial(gateway, 1, { tls: { ...TLS, ca } }), /cannot trust rank 1 at /);
});

Deno.test("what begins with TLS goes to the launcher's own listener, and strangers nowhere", async () => {
  const inner = listenAt({ kind: "tcp", hostname: "127.0.0.1", port: 0 }, TLS);
  const came = Promise.withResolvers<number>();
  using _own = new AuthenticatingListener({
    listener: inner,
    job: JOB,
    purpose: "rendezvous",
    self: RENDEZVOUS_RANK,
    isExpected: () => true,
    onAccepted: (rank, connection) => {
      connection.close();
      came.resolve(rank);
    },
  });
  using gateway = new Gateway({ listener: listen(), job: JOB, tlsPort: portOf(inner) });
  const address = { hostname: gateway.near, port: gateway.port };
  using _connection = await dialMember({
    endpoints: [{ kind: "tcp", ...address }],
    job: JOB,
    purpose: "rendezvous",
    self: 4,
    peer: RENDEZVOUS_RANK,
    name: "the rendezvous",
    tls: TLS,
    deadline: soon(),
  });
  assert.equal(await came.promise, 4);
  for (const bytes of [[0x47, 0x45, 0x54], [0], [KNOCK ^ 1]]) {
    using stranger = await Deno.connect(address);
    await stranger.write(Uint8Array.from(bytes));
    assert.equal(await stranger.read(new Uint8Array(1)).catch(() => null), null);
  }
});

for (
  const [what, bytes] of [
    ["never finishes TLS", [0x16]],
    ["speaks no TLS", [0x16, ...new Array(300).fill(0x41)]],
  ] as const
) {
  Deno.test(`a stranger who ${what} and stays holds nothing open at the launcher`, async () => {
    const inner = listenAt({ kind: "tcp", hostname: "127.0.0.1", port: 0 }, TLS);
    using _own = new AuthenticatingListener({
      listener: inner,
      job: JOB,
      purpose: "rendezvous",
      self: RENDEZVOUS_RANK,
      isExpected: () => true,
      onAccepted: (_, connection) => connection.close(),
      onExpired: ({ remoteAddr }) => gateway.cut((remoteAddr as Deno.NetAddr).port),
      deadlineMs: 100,
    });
    using gateway: Gateway = new Gateway({ listener: listen(), job: JOB, tlsPort: portOf(inner) });
    using stranger = await Deno.connect({ hostname: gateway.near, port: gateway.port });
    await stranger.write(Uint8Array.from(bytes));
    while (await stranger.read(new Uint8Array(64)).catch(() => null) !== null);
    // It does not hang up itself. What goes through the gateway comes to its end nevertheless.
    let timer;
    const late = new Promise((resolve) => timer = setTimeout(() => resolve("late"), 20_000));
    assert.notEqual(await Promise.race([gateway.drain(60_000), late]), "late");
    clearTimeout(timer);
  });
}

Deno.test("a gateway that is closed ends what goes through it", async () => {
  const gateway = new Gateway({ listener: listen(), job: JOB });
  using _one = await echo(gateway, 1);
  using connection = await dial(gateway, 1);
  await exchange(connection, Uint8Array.of(1, 2, 3));
  gateway.close();
  assert.equal(await connection.read(new Uint8Array(1)).catch(() => null), null);
});
