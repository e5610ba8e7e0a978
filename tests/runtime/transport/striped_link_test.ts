/** Several connections a pair of ranks: order, bytes, loss, and the window that makes them worth having. */

import { Buffer } from "node:buffer";
import assert from "node:assert/strict";
import { carryingMs, parseLink } from "../../../runtime/transport/access_link.ts";
import { FRAME_BYTES, PacketKind } from "../../../runtime/transport/connection.ts";
import { MeshTransport } from "../../../runtime/transport/mesh_transport.ts";
import { LeapingClock } from "../../_helpers/leaping_clock.ts";
import { header, mesh, pair, Recorder } from "../../_helpers/mesh.ts";

const TWO_HOSTS = ["a", "b"];
/** Around the lengths at which a payload takes one connection more, and far beyond them. */
const LENGTHS = [0, 1, 40_000, 65_535, 65_536, 65_537, 98_304, 3_000_001, 17, 131_072, 0, 524_288];

for (const connections of [1, 2, 3, 8]) {
  for (const link of [undefined, "400mbit,2ms,window=100KiB"]) {
    Deno.test(`frames keep order and bytes over ${connections} connections${link ? `, ${link}` : ""}`, async () => {
      const shape = link === undefined ? {} : { link: parseLink(link) };
      await using net = await mesh(2, { hosts: TWO_HOSTS, connections, ...shape });
      assert.equal(net.strands[0][1]!.length, connections);
      const lengths = [...LENGTHS, ...LENGTHS.toReversed()];
      const bytesOf = (from: number, number: number) =>
        Buffer.alloc(lengths[number], Uint8Array.of(from + 1, number, 3, 5, 7, 11, 13));
      await Promise.all(
        net.transports.flatMap((from) =>
          lengths.map((_, number) =>
            from.send(1 - from.rank, header(number), bytesOf(from.rank, number))
          )
        ),
      );
      for (const [rank, sink] of net.sinks.entries()) {
        await sink.until(() => sink.arrivals.length === lengths.length);
        assert.deepEqual(sink.arrivals.map(({ number }) => number), [...lengths.keys()]);
        for (const { number, payload } of sink.arrivals) {
          assert(bytesOf(1 - rank, number).equals(payload), `${number}`);
        }
      }
      const total = lengths.reduce((sum, length) => sum + length + FRAME_BYTES, 0);
      const { sent, received } = net.transports[0].traffic;
      assert.ok(sent >= total && sent < 1.01 * total + 10_000, `${sent} of ${total}`);
      assert.ok(received >= total && received < 1.01 * total + 10_000);
    });
  }
}

Deno.test("ranks of one host have one connection, those of two as many as both want", async () => {
  await using net = await mesh(3, { hosts: ["a", "a", "b"], connections: 3 });
  assert.deepEqual(net.strands[0].map((strands) => strands?.length), [undefined, 1, 3]);
});

Deno.test("a goodbye comes after all that was sent before it, over whichever connection", async () => {
  for (let round = 0; round < 10; round++) {
    await using net = await mesh(2, { hosts: TWO_HOSTS, connections: 4 });
    const [zero, one] = net.transports, [, sink] = net.sinks;
    for (let number = 0; number < 10; number++) {
      zero.send(1, header(number), new Uint8Array(number % 2 === 0 ? 300_000 : 10));
    }
    await Promise.all([zero.close(), one.close()]);
    assert.equal(sink.arrivals.length, 10);
    assert.deepEqual(sink.losses, [{ peer: 0, cause: undefined }]);
  }
});

for (const strand of [0, 1, 2]) {
  Deno.test(`connection ${strand} of 3 that breaks is the loss of the peer, once, and all sends fail`, async () => {
    await using net = await mesh(2, { hosts: TWO_HOSTS, connections: 3 });
    const [, survivor] = net.transports, [, sink] = net.sinks;
    const stuck = survivor.send(0, header(1), new Uint8Array(50_000_000));
    net.strands[0][1]![strand].close();
    await Promise.all([assert.rejects(stuck), sink.until(() => sink.losses.length > 0)]);
    assert.deepEqual(sink.losses.map(({ peer }) => peer), [0]);
    assert(sink.losses[0].cause instanceof Error);
    await assert.rejects(survivor.send(0, header(2)));
    await survivor.close();
  });
}

Deno.test("what one connection carries is a window a round trip, several carry several", async () => {
  // Seven windows with their headers: the last leaves after six round trips, of four connections after one.
  const link = parseLink("1gbit,20ms,window=256KiB"), bytes = 7 * (256 << 10) - 1024;
  const trip = 2 * link.delayMs, carrying = carryingMs(link, bytes);
  assert.ok(carrying < trip, "the link is not what takes the time");
  for (const [connections, trips] of [[1, 6], [4, 1]]) {
    using clock = new LeapingClock();
    await using net = await mesh(2, { hosts: TWO_HOSTS, connections, link });
    const start = clock.now();
    await net.transports[0].send(1, header(0), new Uint8Array(bytes));
    await net.sinks[1].until(() => net.sinks[1].arrivals.length === 1);
    const ms = clock.now() - start, least = (trips + 0.5) * trip;
    // Timers count whole ms, and while the last is read its acknowledgement may come.
    const most = least + carrying + trips + trip / 2;
    assert.ok(ms >= least && ms <= most, `${ms} ms over ${connections} connections`);
  }
});

/** A transport of rank 1 with two connections to this test. */
async function puppet() {
  const pairs = [await pair(), await pair()];
  const transport = new MeshTransport({
    rank: 1,
    size: 2,
    hosts: TWO_HOSTS,
    connections: [pairs.map(([, string]) => string), undefined],
    control: null,
    timeoutMs: 60_000,
  });
  const sink = new Recorder();
  transport.start(sink);
  return {
    hands: pairs.map(([hand]) => hand),
    sink,
    async [Symbol.asyncDispose]() {
      for (const [hand] of pairs) hand.close();
      await transport.close().catch(() => {});
    },
  };
}

function packet(kind: number, payload: Uint8Array = new Uint8Array(0), number = 0): Uint8Array {
  const bytes = new Uint8Array(FRAME_BYTES + payload.length);
  new DataView(bytes.buffer).setUint32(0, payload.length);
  new DataView(bytes.buffer).setUint32(4, kind);
  bytes.set(header(number), 8);
  bytes.set(payload, FRAME_BYTES);
  return bytes;
}

function head(length: number, number = 0): Uint8Array {
  const payload = new Uint8Array(4);
  new DataView(payload.buffer).setUint32(0, length);
  return packet(PacketKind.HEAD, payload, number);
}

const part = (length: number, fill: number) =>
  packet(PacketKind.PART, new Uint8Array(length).fill(fill));

async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
}

Deno.test("parts that come before their header wait, and frames after it wait for all parts", async () => {
  await using peer = await puppet();
  const [first, second] = peer.hands, pause = () => new Promise((go) => setTimeout(go, 50));
  await writeAll(second, part(40_000, 2));
  await pause();
  assert.equal(peer.sink.arrivals.length, 0);
  await writeAll(first, head(80_000, 1));
  await writeAll(first, part(40_000, 1));
  await writeAll(first, head(70_000, 2));
  await writeAll(first, part(35_000, 3));
  await writeAll(first, packet(PacketKind.DATA, Uint8Array.of(9), 3));
  await peer.sink.until(() => peer.sink.arrivals.length === 1);
  await pause();
  assert.equal(peer.sink.arrivals.length, 1);
  await writeAll(second, part(35_000, 4));
  await peer.sink.until(() => peer.sink.arrivals.length === 3);
  const [one, two, three] = peer.sink.arrivals;
  assert.deepEqual([one.number, two.number, three.number], [1, 2, 3]);
  assert.deepEqual([one, two].map(({ payload }) => [payload[0], payload.at(-1)]), [[1, 2], [3, 4]]);
});

for (
  const [what, strand, bytes] of [
    ["a frame over another than the first connection", 1, packet(PacketKind.DATA)],
    ["a header over another than the first connection", 1, head(80_000)],
    ["a part without a header", 0, part(40_000, 1)],
    ["a header within a frame in parts", 0, new Uint8Array([...head(80_000), ...head(80_000)])],
    ["a header of a payload that is too short for parts", 0, head(60_000)],
    [
      "a part of another length",
      0,
      new Uint8Array([...head(80_000), ...part(39_999, 1)]),
    ],
  ] as const
) {
  Deno.test(`${what} is refused`, async () => {
    await using peer = await puppet();
    await writeAll(peer.hands[strand], bytes);
    await peer.sink.until(() => peer.sink.losses.length === 1);
    assert(peer.sink.losses[0].cause instanceof Error);
    assert.match(peer.sink.losses[0].cause.message, /out of place|in parts|got a buffer/);
  });
}
