import { Buffer } from "node:buffer";
import assert from "node:assert/strict";
import { MeshTransport } from "../../../runtime/transport/mesh_transport.ts";
import { Random } from "../../../runtime/base/random.ts";
import { FRAME_BYTES } from "../../../runtime/transport/connection.ts";
import { header, type Mesh, mesh, pair, Recorder } from "../../_helpers/mesh.ts";

/** Bytes that differ by rank, frame and place. */
function payload(rank: number, number: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let x = (rank * 2654435761 + number * 40503 + 12345) >>> 0;
  for (let i = 0; i < length; i++) {
    bytes[i] = (x = (Math.imul(x, 1664525) + 1013904223) >>> 0) >>> 24;
  }
  return bytes;
}

function kindOf(connection: Deno.Conn | undefined): string {
  return connection!.localAddr.transport;
}

for (const transport of ["tcp", "unix"] as const) {
  Deno.test(`frames of all sizes arrive whole and in order over ${transport}`, async () => {
    // On a busy machine, too, nobody waits for so long as to ask for a sign of life, which would be counted.
    await using net = await mesh(3, { transport, timeoutMs: 600_000 });
    assert.equal(kindOf(net.connections[2][0]), transport);
    const random = new Random(5, "wire-test", transport);
    const lengths = Array.from({ length: 400 }, () => {
      const scale = [1, 100, 5000, 40_000, 300_000][random.integer(5)];
      return random.integer(scale + 1);
    });
    lengths.push(0, 1, 32 << 10, (32 << 10) + 1, 64 << 10, 1 << 20, 5_000_011);
    const sends: Promise<void>[] = [];
    for (const [number, length] of lengths.entries()) {
      for (const from of net.transports) {
        for (const to of net.transports) {
          if (to === from) continue;
          sends.push(from.send(to.rank, header(number), payload(from.rank, number, length)));
        }
      }
      // Some leave while earlier ones are still on their way, some on a quiet wire.
      if (number % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await Promise.all(sends);
    for (const [rank, sink] of net.sinks.entries()) {
      await sink.until(() => sink.arrivals.length === 2 * lengths.length);
      for (const peer of [0, 1, 2].filter((other) => other !== rank)) {
        const own = sink.arrivals.filter((arrival) => arrival.peer === peer);
        assert.deepEqual(own.map(({ number }) => number), [...lengths.keys()]);
        for (const { number, payload: got } of own) {
          const expected = payload(peer, number, lengths[number]);
          assert(Buffer.from(got).equals(expected), `frame ${number} of rank ${peer}`);
        }
      }
    }
    const bytes = lengths.reduce((sum, length) => sum + length + FRAME_BYTES, 0);
    assert.deepEqual(net.transports[0].traffic, { sent: 2 * bytes, received: 2 * bytes });
  });
}

Deno.test("a buffer may be reused as soon as its send has resolved", async () => {
  await using net = await mesh(2);
  for (const length of [100, 200_000]) {
    const buffer = new Uint8Array(length);
    for (let number = 0; number < 50; number++) {
      buffer.fill(number);
      await net.transports[0].send(1, header(number), buffer);
    }
    buffer.fill(255);
    const [, sink] = net.sinks;
    await sink.until(() => sink.arrivals.length === 50);
    for (const { number, payload: got } of sink.arrivals.splice(0)) {
      assert(got.every((byte) => byte === number), `frame ${number} of ${length} bytes`);
    }
  }
});

Deno.test("ranks of one host choose Unix sockets, ranks of different hosts TCP", async () => {
  await using net = await mesh(3, { transport: "auto", hosts: ["a", "a", "b"] });
  assert.equal(kindOf(net.connections[1][0]), "unix");
  assert.equal(kindOf(net.connections[2][0]), "tcp");
  assert.equal(kindOf(net.connections[2][1]), "tcp");
});

Deno.test("a rank that says goodbye has first delivered everything", async () => {
  await using net = await mesh(2);
  const [leaving, staying] = net.transports, [, sink] = net.sinks;
  const big = payload(0, 1, 20_000_000);
  leaving.send(1, header(1), big);
  await leaving.close();
  await sink.until(() => sink.losses.length === 1);
  assert.equal(sink.arrivals.length, 1);
  assert(Buffer.from(sink.arrivals[0].payload).equals(big));
  assert.deepEqual(sink.losses, [{ peer: 0, cause: undefined }]);
  await assert.rejects(staying.send(0, header(2)), /rank 0 has left the job/);
  await assert.rejects(leaving.send(1, header(2)), /rank 0 has left the job/);
});

Deno.test("all ranks can say goodbye at once, again and again", async () => {
  for (let round = 0; round < 20; round++) {
    await using net = await mesh(4);
    for (const from of net.transports) {
      for (let to = 0; to < 4; to++) {
        if (to !== from.rank) from.send(to, header(round), payload(from.rank, round, 50_000));
      }
    }
    await Promise.all(net.transports.map((transport) => transport.close()));
    for (const sink of net.sinks) {
      assert(sink.losses.every(({ cause }) => cause === undefined));
      assert.equal(sink.arrivals.length, 3);
    }
  }
});

Deno.test("a connection that breaks is a loss, once, and what waits for it fails", async () => {
  await using net = await mesh(2);
  const [, survivor] = net.transports, [, sink] = net.sinks;
  const stuck = survivor.send(0, header(1), new Uint8Array(50_000_000));
  net.connections[0][1]!.close();
  await Promise.all([assert.rejects(stuck), sink.until(() => sink.losses.length > 0)]);
  assert.equal(sink.losses.length, 1);
  assert.equal(sink.losses[0].peer, 0);
  assert(sink.losses[0].cause instanceof Error);
  await assert.rejects(survivor.send(0, header(2)));
  await survivor.close();
});

/** A transport of rank 1 whose peer is this test, byte by byte. */
async function puppet(timeoutMs = 60_000) {
  const [hand, string] = await pair();
  const transport = new MeshTransport({
    rank: 1,
    size: 2,
    hosts: ["a", "b"],
    connections: [string, undefined],
    control: null,
    timeoutMs,
  });
  const sink = new Recorder();
  transport.start(sink);
  return {
    hand,
    transport,
    sink,
    async [Symbol.asyncDispose]() {
      // A goodbye, and leave for the other's.
      await hand.write(frame(3, 0)).catch(() => {});
      await hand.write(frame(4, 0)).catch(() => {});
      await transport.close().catch(() => {});
      hand.close();
    },
  };
}

function frame(kind: number, length: number, number = 0): Uint8Array {
  const bytes = new Uint8Array(FRAME_BYTES);
  new DataView(bytes.buffer).setUint32(0, length);
  new DataView(bytes.buffer).setUint32(4, kind);
  bytes.set(header(number), 8);
  return bytes;
}

Deno.test("frames that come in pieces, or many at once, are told apart", async () => {
  await using peer = await puppet();
  const bytes = Uint8Array.from([0, 3, 1, 70_000, 0].flatMap((length, number) => [
    ...frame(0, length, number),
    ...payload(0, number, length),
  ]));
  for (const piece of [1, 7, 71, 72, 73, 1000, bytes.length]) {
    // The first frames in pieces, each on its own, the rest as it comes.
    const cut = Math.min(bytes.length, 300);
    for (let at = 0; at < cut; at += piece) {
      await writeAll(peer.hand, bytes.subarray(at, Math.min(at + piece, cut)));
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    for (let at = cut; at < bytes.length; at += 1000 * piece) {
      await writeAll(peer.hand, bytes.subarray(at, at + 1000 * piece));
    }
    await peer.sink.until(() => peer.sink.arrivals.length === 5);
    const got = peer.sink.arrivals.splice(0);
    assert.deepEqual(got.map((arrival) => arrival.number), [0, 1, 2, 3, 4]);
    assert(Buffer.from(got[3].payload).equals(payload(0, 3, 70_000)), `pieces of ${piece}`);
  }
});

async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
}

for (
  const [what, bytes] of [
    ["a frame of an unknown kind", frame(77, 0)],
    ["a signal with a payload", frame(1, 10)],
    ["an end inside a frame", frame(0, 0).subarray(0, 40)],
    ["an end inside a payload", frame(0, 1000)],
  ] as const
) {
  Deno.test(`${what} breaks the connection, not the process`, async () => {
    await using peer = await puppet();
    await peer.hand.write(bytes);
    await (peer.hand as Deno.TcpConn).closeWrite();
    await peer.sink.until(() => peer.sink.losses.length === 1);
    assert(peer.sink.losses[0].cause instanceof Error);
  });
}

Deno.test("a length that the receiver does not take is refused before memory is taken", async () => {
  const [hand, string] = await pair();
  const transport = new MeshTransport({
    rank: 1,
    size: 2,
    hosts: ["a", "b"],
    connections: [string, undefined],
    control: null,
    timeoutMs: 60_000,
  });
  const lost = Promise.withResolvers<Error | undefined>();
  transport.start({
    begin: (_peer, _header, length) => {
      throw new RangeError(`${length} bytes are too many`);
    },
    end: () => assert.fail("nothing can be complete"),
    lost: (_peer, cause) => lost.resolve(cause),
  });
  const hold = setInterval(() => {}, 1000);
  await hand.write(frame(0, 0xffffffff));
  assert.match((await lost.promise)!.message, /4294967295 bytes are too many/);
  clearInterval(hold);
  await transport.close();
  hand.close();
});

Deno.test("a peer that is waited for is asked for a sign of life, and lost if it gives none", async () => {
  await using peer = await puppet(400);
  const started = performance.now();
  using _wait = peer.transport.expecting(0);
  const asked = new Uint8Array(FRAME_BYTES);
  await peer.hand.read(asked);
  assert.equal(new DataView(asked.buffer).getUint32(4), 1, "a ping");
  await peer.sink.until(() => peer.sink.losses.length === 1);
  const took = performance.now() - started;
  assert.match(peer.sink.losses[0].cause!.message, /no sign of life for 0\.4 s/);
  assert(took >= 350 && took < 15_000, `${took} ms`);
});

Deno.test("a peer that answers is not lost, however long it is waited for", async () => {
  await using net = await mesh(2, { timeoutMs: 200 });
  const wait = net.transports[1].expecting(0);
  await new Promise((resolve) => setTimeout(resolve, 900));
  wait[Symbol.dispose]();
  assert.deepEqual(net.sinks[1].losses, []);
  await net.transports[0].send(1, header(1));
  await net.sinks[1].until(() => net.sinks[1].arrivals.length === 1);
});

Deno.test("a peer that falls silent between its goodbye and its acknowledgement is lost", async () => {
  await using peer = await puppet(400);
  await peer.hand.write(frame(3, 0)); // its goodbye
  await peer.sink.until(() => peer.sink.losses.length === 1);
  assert.equal(peer.sink.losses[0].cause, undefined);
  await assert.rejects(
    peer.transport.close(),
    /cannot complete the goodbye to it: lost rank 0 on a: it gave no sign of life for 0\.4 s/,
  );
  assert.match(peer.sink.losses[1].cause!.message, /no sign of life/);
});

Deno.test("a peer that nobody waits for may be silent", async () => {
  await using peer = await puppet(150);
  await new Promise((resolve) => setTimeout(resolve, 600));
  assert.deepEqual(peer.sink.losses, []);
});

Deno.test("a peer that takes nothing in is lost, because a send waits for it", async () => {
  await using peer = await puppet(400);
  await assert.rejects(
    peer.transport.send(0, header(1), new Uint8Array(64 << 20)),
    /no sign of life for 0\.4 s/,
  );
});

Deno.test("a send to a peer that takes nothing in does not fail before its loss has been noted", async () => {
  const [hand, string] = await pair(), order: string[] = [];
  const transport = new MeshTransport({
    ...{ rank: 1, size: 2, hosts: ["a", "b"], connections: [string, undefined] },
    ...{ control: null, timeoutMs: 400 },
  });
  transport.start({
    begin: () => assert.fail("nothing comes"),
    end: () => assert.fail("nothing comes"),
    async lost() {
      for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setTimeout(resolve));
      order.push("noted");
    },
  });
  const sent = transport.send(0, header(1), new Uint8Array(64 << 20));
  await sent.catch(() => order.push("refused"));
  assert.deepEqual(order, ["noted", "refused"]);
  await transport.close().catch(() => {});
  hand.close();
});

Deno.test("a pause of the waiting process itself is not held against its peers", async () => {
  await using net = await mesh(2, { timeoutMs: 200 });
  const wait = net.transports[1].expecting(0);
  const until = performance.now() + 700;
  while (performance.now() < until); // a long computation: neither rank can answer meanwhile
  await new Promise((resolve) => setTimeout(resolve, 100));
  wait[Symbol.dispose]();
  assert.deepEqual(net.sinks.flatMap(({ losses }) => losses), []);
});

Deno.test("small frames to a slow peer wait in bounded memory", async () => {
  await using peer = await puppet();
  const small = new Uint8Array(30_000);
  let resolved = 0;
  const sends = Array.from(
    { length: 2000 },
    (_, number) =>
      peer.transport.send(0, header(number), small).then(() => {
        resolved++;
      }),
  );
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert(resolved < 1500, `${resolved} of 2000 sends of 30 kB claim to be done, nobody reads`);
  let bytes = 0;
  const buffer = new Uint8Array(1 << 20);
  while (bytes < 2000 * (30_000 + FRAME_BYTES)) bytes += (await peer.hand.read(buffer))!;
  await Promise.all(sends);
});

Deno.test("a frame to nobody is refused", async () => {
  await using net: Mesh = await mesh(2);
  await assert.rejects(net.transports[0].send(0, header(1)), /no connection to rank 0/);
  await assert.rejects(net.transports[0].send(2, header(1)), /no connection to rank 2/);
});
