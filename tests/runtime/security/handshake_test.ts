import assert from "node:assert/strict";
import { dialMember } from "../../../runtime/security/dialer.ts";
import { dial, type Endpoint, listenAt } from "../../../runtime/security/endpoint.ts";
import { HandshakeError, RendezvousError } from "../../../runtime/base/errors.ts";
import {
  AuthenticatingListener,
  type AuthenticatingListenerOptions,
} from "../../../runtime/security/authenticating_listener.ts";
import {
  type Credentials,
  credentials,
  GREETING_BYTES,
  initiate,
  type Purpose,
  respond,
} from "../../../runtime/security/handshake.ts";

const SECRET = crypto.getRandomValues(new Uint8Array(32));
const JOB = await credentials("test-job", SECRET);

/** A listener of rank 0 in a job of four, and who has come in. */
class House implements Disposable {
  readonly inside = new Map<number, Deno.Conn>();
  readonly endpoint: Endpoint;
  readonly listener: AuthenticatingListener;
  #entered = new Map<number, () => void>();

  constructor(options: Partial<AuthenticatingListenerOptions> = {}, readonly self = 0) {
    const listener = listenAt({ kind: "tcp", hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr as Deno.NetAddr;
    this.endpoint = { kind: "tcp", hostname: "127.0.0.1", port };
    this.listener = new AuthenticatingListener({
      listener,
      job: JOB,
      purpose: "mesh",
      self,
      isExpected: (rank) => rank < 4,
      onAccepted: (rank, connection) => {
        this.inside.set(rank, connection);
        this.#entered.get(rank)?.();
      },
      ...options,
    });
  }

  /** Resolves once a rank is inside. */
  async entered(rank: number): Promise<void> {
    if (!this.inside.has(rank)) await new Promise<void>((r) => this.#entered.set(rank, r));
  }

  /** Knocks as a rank does. */
  knock(rank: number, job: Credentials = JOB, patienceMs = 30_000): Promise<Deno.Conn> {
    return dialMember({
      endpoints: [this.endpoint],
      job,
      purpose: "mesh",
      self: rank,
      peer: this.self,
      name: `rank ${this.self}`,
      deadline: performance.now() + patienceMs,
    });
  }

  [Symbol.dispose](): void {
    this.listener.close();
    for (const connection of this.inside.values()) connection.close();
  }
}

/** Reads until the other end closes; an abrupt close counts. */
async function readToEnd(connection: Deno.Conn): Promise<Uint8Array> {
  const all: number[] = [], buffer = new Uint8Array(4096);
  try {
    for (let n; (n = await connection.read(buffer)) !== null;) all.push(...buffer.subarray(0, n));
  } catch {
    // Reset.
  }
  return Uint8Array.from(all);
}

async function readExactly(connection: Deno.Conn, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length;) {
    const n = await connection.read(bytes.subarray(at));
    assert(n !== null, `the stream ended after ${at} of ${length} bytes`);
    at += n;
  }
  return bytes;
}

/** What a listener that has closed a connection leaves to be read after `sent` was written to it. */
async function reaction(endpoint: Endpoint, sent: Uint8Array): Promise<Uint8Array> {
  using connection = await dial(endpoint);
  await connection.write(sent).catch(() => {});
  return await readToEnd(connection);
}

Deno.test("the handshake lets a rank in, in frames of at most 256 bytes", async () => {
  assert(GREETING_BYTES <= 256);
  using house = new House();
  using connection = await house.knock(2);
  await house.entered(2);
  await connection.write(Uint8Array.of(7));
  assert.deepEqual(await readExactly(house.inside.get(2)!, 1), Uint8Array.of(7));
});

Deno.test("a dialer with the wrong secret is dropped and told why it may be", async () => {
  using house = new House();
  const wrong = await credentials("test-job", crypto.getRandomValues(new Uint8Array(32)));
  await assert.rejects(house.knock(1, wrong), (error) => {
    assert(error instanceof HandshakeError);
    assert.match(error.message, /rank 0 at 127\.0\.0\.1:\d+ hung up on rank 1 .* secret/);
    return true;
  });
  assert.equal(house.inside.size, 0);
  (await house.knock(1)).close();
});

Deno.test("a dialer of another job with the same secret is dropped", async () => {
  using house = new House();
  await assert.rejects(house.knock(1, await credentials("other-job", SECRET)), HandshakeError);
  assert.equal(house.inside.size, 0);
});

Deno.test("a proof for one purpose is worth nothing for another", async () => {
  using house = new House({ purpose: "rendezvous" });
  await assert.rejects(house.knock(1), HandshakeError);
  assert.equal(house.inside.size, 0);
});

Deno.test("a listener without the secret is not trusted, whatever it says", async () => {
  using listener = listenAt({ kind: "tcp", hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const impostor = (async () => {
    using connection = await listener.accept();
    // Goes through the motions, but cannot check the proof; so it makes the verdict up.
    await connection.write(frame(1));
    await readExactly(connection, GREETING_BYTES);
    await connection.write(frame(3));
  })();
  const endpoint: Endpoint = { kind: "tcp", hostname: "127.0.0.1", port };
  using connection = await dial(endpoint);
  await assert.rejects(initiate(connection, JOB, "mesh", 1, 0), (error) => {
    assert(error instanceof HandshakeError && error.final);
    assert.match(error.message, /cannot trust rank 0: it does not know the secret of job test-job/);
    return true;
  });
  await impostor;
});

function frame(kind: number): Uint8Array {
  const bytes = crypto.getRandomValues(new Uint8Array(GREETING_BYTES));
  bytes.set(new TextEncoder().encode("CLGC"));
  bytes[4] = 5;
  bytes[5] = kind;
  bytes[6] = 0;
  return bytes;
}

/** A man in the middle: passes three frames between a dialer and a listener and keeps them. */
async function tap(endpoint: Endpoint, purpose: Purpose = "mesh") {
  using between = listenAt({ kind: "tcp", hostname: "127.0.0.1", port: 0 });
  const { port } = between.addr as Deno.NetAddr;
  const taken = (async () => {
    using near = await between.accept();
    using far = await dial(endpoint);
    const frames: Uint8Array[] = [];
    for (const [from, to] of [[far, near], [near, far], [far, near]]) {
      frames.push(await readExactly(from, GREETING_BYTES));
      await to.write(frames.at(-1)!);
    }
    return frames;
  })();
  using connection = await dial({ kind: "tcp", hostname: "127.0.0.1", port });
  await initiate(connection, JOB, purpose, 3, 0);
  return await taken;
}

Deno.test("a replayed proof is refused, because the challenge is another", async () => {
  using house = new House();
  const [challenge, proof] = await tap(house.endpoint);
  await house.entered(3);
  house.inside.get(3)!.close();
  house.inside.delete(3);

  using other = new House();
  for (const endpoint of [house.endpoint, other.endpoint]) {
    const heard = await reaction(endpoint, proof);
    assert.equal(heard.length, GREETING_BYTES, "nothing but a challenge comes back");
    assert.notDeepEqual(heard, challenge);
  }
  assert.equal(other.inside.size + house.inside.size, 0);
});

Deno.test("a listener's own messages, sent back to it, prove nothing", async () => {
  using house = new House();
  const [, , verdict] = await tap(house.endpoint);
  await house.entered(3);
  for (const own of ["challenge", "verdict"]) {
    using connection = await dial(house.endpoint);
    const challenge = await readExactly(connection, GREETING_BYTES);
    const reflected = (own === "challenge" ? challenge : verdict).slice();
    reflected[5] = 2; // calls itself a proof
    new DataView(reflected.buffer).setUint32(8, 1);
    await connection.write(reflected);
    assert.equal((await readToEnd(connection)).length, 0);
  }
  assert.deepEqual([...house.inside.keys()], [3]);
});

Deno.test("a rank's proof cannot be turned against that rank's own listener", async () => {
  using victim = new House({}, 1); // rank 1 listens, and dials what it takes for rank 0
  using relay = listenAt({ kind: "tcp", hostname: "127.0.0.1", port: 0 });
  const { port } = relay.addr as Deno.NetAddr;
  const attack = (async () => {
    using dialled = await relay.accept();
    using own = await dial(victim.endpoint);
    await dialled.write(await readExactly(own, GREETING_BYTES));
    await own.write(await readExactly(dialled, GREETING_BYTES));
    const answered = await readToEnd(own);
    return answered.length;
  })();
  using connection = await dial({ kind: "tcp", hostname: "127.0.0.1", port });
  await assert.rejects(initiate(connection, JOB, "mesh", 1, 0), HandshakeError);
  assert.equal(await attack, 0);
  assert.equal(victim.inside.size, 0);
});

Deno.test("a second connection for the same rank is refused, and the first one stays", async () => {
  using house = new House();
  using first = await house.knock(2);
  await assert.rejects(house.knock(2), (error) => {
    assert(error instanceof HandshakeError);
    assert.equal(error.message, "rank 0 refused rank 2 of job test-job: duplicate rank");
    return true;
  });
  await assert.rejects(house.knock(4), /refused rank 4 of job test-job: unexpected rank/);
  await first.write(Uint8Array.of(9));
  assert.deepEqual(await readExactly(house.inside.get(2)!, 1), Uint8Array.of(9));
});

Deno.test("a rank that is let in late does not come twice", async () => {
  using listener = listenAt({ kind: "tcp", hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  let came = 0;
  const slow = (async () => {
    using connection = await listener.accept();
    came++;
    await respond(connection, JOB, [{ purpose: "mesh", self: 0, admit: () => null }]);
    await readToEnd(connection);
  })();
  // The verdict comes when the dialer would have given up a listener that had said nothing.
  const between = listenAt({ kind: "tcp", hostname: "127.0.0.1", port: 0 });
  const passed = (async () => {
    using near = await between.accept();
    using far = await dial({ kind: "tcp", hostname: "127.0.0.1", port });
    await near.write(await readExactly(far, GREETING_BYTES));
    await far.write(await readExactly(near, GREETING_BYTES));
    const verdict = await readExactly(far, GREETING_BYTES);
    await new Promise((wake) => setTimeout(wake, 400));
    await near.write(verdict);
    await readToEnd(near);
  })();
  {
    using connection = await dialMember({
      endpoints: [{
        kind: "tcp",
        hostname: "127.0.0.1",
        port: (between.addr as Deno.NetAddr).port,
      }],
      ...{ job: JOB, purpose: "mesh", self: 2, peer: 0, name: "rank 0", patienceMs: 100 },
      deadline: performance.now() + 30_000,
    });
    assert.ok(connection);
  }
  await Promise.all([slow, passed]);
  between.close();
  assert.equal(came, 1);
});

Deno.test("a verdict cannot be changed on its way", async () => {
  using listener = listenAt({ kind: "tcp", hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const refuser = (async () => {
    using connection = await listener.accept();
    const tampering = {
      read: (into: Uint8Array) => connection.read(into),
      write: (bytes: Uint8Array) => {
        if (bytes[5] === 3) bytes[6] = 0; // "duplicate rank" becomes "welcome"
        return connection.write(bytes);
      },
    };
    await respond(tampering, JOB, [{ purpose: "mesh", self: 0, admit: () => "duplicate rank" }]);
  })();
  using connection = await dial({ kind: "tcp", hostname: "127.0.0.1", port });
  await Promise.all([
    assert.rejects(initiate(connection, JOB, "mesh", 2, 0), /cannot trust rank 0/),
    assert.rejects(refuser, /refused rank 2: duplicate rank/),
  ]);
});

Deno.test("port scans, floods and oversized lengths are dropped at once and without a word", async () => {
  using house = new House({ deadlineMs: 60_000 }); // at which they would be dropped in any case
  const text = (words: string) => new TextEncoder().encode(words);
  const noise: Record<string, Uint8Array> = {
    "HTTP": text("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "SSH": text("SSH-2.0-OpenSSH_9.6\r\n"),
    "TLS hello": Uint8Array.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]),
    "256 zeros": new Uint8Array(256),
    "256 random bytes": crypto.getRandomValues(new Uint8Array(256)),
    "an oversized length": Uint8Array.from([255, 255, 255, 255, 255, 255, 255, 255]),
    "a megabyte": new Uint8Array(1 << 20).fill(0x43),
    "another version": frame(2).fill(99, 4, 5),
    "a proof out of nowhere, with more behind it": new Uint8Array([...frame(2), ...frame(2)]),
  };
  for (const [name, bytes] of Object.entries(noise)) {
    const started = performance.now();
    const heard = await reaction(house.endpoint, bytes);
    // After a reset even the challenge may be lost on the way.
    assert(heard.length === GREETING_BYTES || heard.length === 0, `${name}: ${heard.length} bytes`);
    assert(performance.now() - started < 15_000, `${name} was not dropped at once`);
  }
  (await house.knock(1)).close();
  assert.deepEqual([...house.inside.keys()], [1]);
});

Deno.test("who connects and says nothing, or stops halfway, is dropped at the deadline", async () => {
  using house = new House({ deadlineMs: 300 });
  using silent = await dial(house.endpoint);
  using halfway = await dial(house.endpoint);
  await halfway.write(frame(2).subarray(0, 79));
  const started = performance.now();
  for (const connection of [silent, halfway]) {
    assert.equal((await readToEnd(connection)).length, GREETING_BYTES);
  }
  const took = performance.now() - started;
  assert(took >= 200 && took < 15_000, `${took} ms`);
  assert.equal(house.listener.pending, 0);
});

Deno.test("200 strangers at once take up bounded room and do not delay a rank", async () => {
  using house = new House({ mostPending: 32, deadlineMs: 60_000 });
  const strangers = await Promise.all(
    Array.from({ length: 200 }, () => dial(house.endpoint)),
  );
  try {
    const started = performance.now();
    const ranks = await Promise.all([1, 2, 3].map((rank) => house.knock(rank)));
    const took = performance.now() - started;
    assert(took < 15_000, `the ranks took ${took} ms`);
    assert(house.listener.pending <= 32, `${house.listener.pending} are pending`);
    await Promise.all([1, 2, 3].map((rank) => house.entered(rank)));
    for (const rank of ranks) rank.close();
  } finally {
    for (const stranger of strangers) stranger.close();
  }
});

Deno.test("a dialer tries again while nobody listens, and says so at its deadline", async () => {
  const free = listenAt({ kind: "tcp", hostname: "127.0.0.1", port: 0 });
  const { port } = free.addr as Deno.NetAddr;
  free.close();
  const knock = (patienceMs: number) =>
    dialMember({
      endpoints: [{ kind: "unix", path: "/no/such/socket" }, {
        kind: "tcp",
        hostname: "127.0.0.1",
        port,
      }],
      job: JOB,
      purpose: "mesh",
      self: 1,
      peer: 0,
      name: "rank 0",
      deadline: performance.now() + patienceMs,
    });
  await assert.rejects(knock(100), (error) => {
    assert(error instanceof RendezvousError);
    assert.match(error.message, /rank 1 cannot reach rank 0 at 127\.0\.0\.1:\d+: .*refused/i);
    return true;
  });
  const late = knock(30_000);
  await new Promise((resolve) => setTimeout(resolve, 100));
  using _gate = new AuthenticatingListener({
    listener: listenAt({ kind: "tcp", hostname: "127.0.0.1", port }),
    job: JOB,
    purpose: "mesh",
    self: 0,
    isExpected: () => true,
    onAccepted: (_, connection) => connection.close(),
  });
  (await late).close();
});

Deno.test("a secret that is not 32 bytes long is refused", async () => {
  await assert.rejects(credentials("job", new Uint8Array(16)), /32 bytes long, not 16/);
});
