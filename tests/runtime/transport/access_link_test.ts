/** Shaped links. The clock is asked for lower bounds: a busy machine makes everything later. */

import { Buffer } from "node:buffer";
import assert from "node:assert/strict";
import { PeerLostError } from "../../../runtime/base/errors.ts";
import {
  carryingMs,
  formatLink,
  hostLink,
  parseLink,
} from "../../../runtime/transport/access_link.ts";
import { FRAME_BYTES } from "../../../runtime/transport/connection.ts";
import { run } from "../../_helpers/jobs.ts";
import { header, mesh } from "../../_helpers/mesh.ts";

/** One kilobyte a millisecond. */
const SLOW = parseLink("8mbit,30ms");

Deno.test("a link is a bandwidth, a delay or both, in one spelling", () => {
  for (
    const [text, bitsPerSecond, delayMs, spelled] of [
      ["100mbit,20ms", 1e8, 20, "100mbit,20ms"],
      ["20ms,100mbit", 1e8, 20, "100mbit,20ms"],
      ["1.5gbit", 1.5e9, 0, "1.5gbit"],
      ["512 kbit", 512e3, 0, "512kbit"],
      [".5Mbit , 1500us", 5e5, 1.5, "500kbit,1.5ms"],
      ["50us", Infinity, 0.05, "50us"],
      ["2s", Infinity, 2000, "2s"],
      ["0ms", Infinity, 0, "0us"],
      ["0.0000001kbit,.0000005us", 1e-7 * 1e3, 5e-10, "1e-7kbit,5e-7us"],
      ["1000000000000000000000gbit", 1e30, 0, "1e+21gbit"],
    ] as const
  ) {
    assert.deepEqual(parseLink(text), { bitsPerSecond, delayMs });
    assert.equal(formatLink(parseLink(text)), spelled);
    assert.deepEqual(parseLink(spelled), parseLink(text));
  }
  const windowed = parseLink("1gbit,50ms,window=4MiB");
  assert.deepEqual(windowed, { bitsPerSecond: 1e9, delayMs: 50, windowBytes: 4 << 20 });
  assert.equal(formatLink(parseLink("Window = 1536kib, 10ms")), "10ms,window=1.5MiB");
  assert.equal(formatLink(windowed), "1gbit,50ms,window=4MiB");
  for (const text of ["1ms,window=4", "1ms,window=1B", "1ms,window=2GiB", "1ms,window=4ms"]) {
    assert.throws(() => parseLink(text), { name: "RangeError", message: /window is from 536B to/ });
  }
  assert.throws(() => parseLink("1gbit,window=4MiB"), { message: /needs a delay/ });
  for (
    const text of [
      "",
      "fast",
      "100",
      "0mbit",
      "-1mbit",
      "1mbit,2mbit",
      "1ms,1ms",
      "2000h",
      "2e9s",
      "5constructor",
    ]
  ) {
    assert.throws(() => parseLink(text), {
      name: "RangeError",
      message: /such as 100mbit,20ms; not/,
    });
  }
});

Deno.test("a frame takes its bytes over the bandwidth, and the delay", async () => {
  await using net = await mesh(2, { link: SLOW });
  const start = performance.now();
  await net.transports[0].send(1, header(1), new Uint8Array(200_000).fill(7));
  await net.sinks[1].until(() => net.sinks[1].arrivals.length === 1);
  const ms = performance.now() - start;
  assert.ok(ms >= 230, `${ms} ms`);
  assert.ok(net.sinks[1].arrivals[0].payload.every((byte) => byte === 7));
  const delayed = performance.now();
  await net.transports[1].send(0, header(2));
  await net.sinks[0].until(() => net.sinks[0].arrivals.length === 1);
  assert.ok(performance.now() - delayed >= 30);
});

Deno.test("what a rank sends, and what all send to one rank, shares that rank's link", async () => {
  await using net = await mesh(3, { link: SLOW });
  const [hub, ...others] = net.transports, payload = new Uint8Array(50_000);
  const out = performance.now();
  for (const { rank } of others) await hub.send(rank, header(0), payload);
  const arrived = others.map(async ({ rank }) => {
    await net.sinks[rank].until(() => net.sinks[rank].arrivals.length === 1);
    return performance.now() - out;
  });
  const [first, last] = (await Promise.all(arrived)).sort((a, b) => a - b);
  assert.ok(first >= 80 && last >= 130, `${first} ms, ${last} ms`);
  const back = performance.now();
  for (const other of others) await other.send(0, header(0), payload);
  await net.sinks[0].until(() => net.sinks[0].arrivals.length === 2);
  assert.ok(performance.now() - back >= 130);
});

Deno.test("frames of all sizes keep their order and their bytes on a link", async () => {
  const link = parseLink("400mbit,3ms");
  await using net = await mesh(2, { link });
  const lengths = Array.from({ length: 300 }, (_, i) => (i * 7919) % 3000);
  lengths.push(0, 1, 40_000, 2_000_000, 17, 6_000_000, 100_000, 0);
  const start = performance.now();
  const bytesOf = (number: number) => Buffer.alloc(lengths[number], number % 251);
  const sends = lengths.flatMap((_, number) =>
    net.transports.map((from) => from.send(1 - from.rank, header(number), bytesOf(number)))
  );
  await Promise.all(sends);
  const bytes = lengths.reduce((sum, length) => sum + length + FRAME_BYTES, 0);
  for (const sink of net.sinks) {
    await sink.until(() => sink.arrivals.length === lengths.length);
    assert.deepEqual(sink.arrivals.map(({ number }) => number), [...lengths.keys()]);
    for (const { number, payload } of sink.arrivals) assert(bytesOf(number).equals(payload));
  }
  assert.ok(performance.now() - start >= carryingMs(link, bytes) + link.delayMs);
});

Deno.test("a small frame's buffer is free at once, a large one's when its send has resolved", async () => {
  await using net = await mesh(2, { link: parseLink("200mbit") });
  for (const [number, length] of [1000, 5_000_000].entries()) {
    const buffer = new Uint8Array(length).fill(number + 1);
    await net.transports[0].send(1, header(number), buffer);
    buffer.fill(99);
  }
  const { arrivals } = net.sinks[1];
  await net.sinks[1].until(() => arrivals.length === 2);
  for (const [i, { payload }] of arrivals.entries()) assert(payload.every((b) => b === i + 1));
});

Deno.test("a goodbye comes after all that was sent before it", async () => {
  const net = await mesh(2, { link: SLOW });
  for (let number = 0; number < 20; number++) {
    await net.transports[0].send(1, header(number), new Uint8Array(2000));
  }
  const [, sink] = net.sinks;
  await Promise.all([net.transports[0].close(), sink.until(() => sink.losses.length > 0)]);
  assert.equal(sink.arrivals.length, 20);
  assert.deepEqual(sink.losses, [{ peer: 0, cause: undefined }]);
  await net[Symbol.asyncDispose]();
});

Deno.test("who loses a rank while its goodbye waits for what it has sent hears of that", async () => {
  await using net = await mesh(3, { link: SLOW });
  const [leaves] = net.transports, [, other] = net.sinks;
  await leaves.send(1, header(0), new Uint8Array(20_000));
  net.connections[2][0]!.close();
  await assert.rejects(leaves.close(), (error) => {
    assert.ok(error instanceof PeerLostError, `${error}`);
    assert.deepEqual([error.rank, error.operation], [2, "the goodbye to it"]);
    return true;
  });
  // To the others the job is lost as well.
  await other.until(() => other.losses.length > 0);
  assert.ok(other.losses[0].cause instanceof Error);
});

Deno.test("a rank that is killed on a slow link is lost at once", async () => {
  await using net = await mesh(2, { link: parseLink("1kbit,60s") });
  const start = performance.now();
  net.transports[0].send(1, header(0), new Uint8Array(1000)).catch(() => {});
  net.connections[0][1]!.close();
  const [, sink] = net.sinks;
  await sink.until(() => sink.losses.length > 0);
  assert.ok(sink.losses[0].cause instanceof Error);
  assert.ok(performance.now() - start < 20_000, "the link's delay");
});

Deno.test("who waits for a slow link does not take it for silence", async () => {
  await using net = await mesh(2, { link: parseLink("80kbit,300ms"), timeoutMs: 400 });
  const [, sink] = net.sinks;
  using _wait = net.transports[1].expecting(0);
  await net.transports[0].send(1, header(0), new Uint8Array(10_000));
  await sink.until(() => sink.arrivals.length + sink.losses.length > 0);
  assert.deepEqual([sink.arrivals.length, sink.losses], [1, []]);
});

Deno.test("ranks on a link compute the same bits, and all their bytes go over it", async () => {
  const floats = 60_000, ranks = 3;
  const program = new URL("../programs/shaped.ts", import.meta.url);
  const job = { ranks, program, args: [String(floats)], allow: ["ffi"] };
  const free = await run(job), shaped = await run({ ...job, link: "50mbit,5ms" });
  assert.deepEqual([free.code, shaped.code], [0, 0]);
  for (let rank = 0; rank < ranks; rank++) {
    const { hash } = JSON.parse(free.lines[rank][0]);
    const { hash: same, ms, sent } = JSON.parse(shaped.lines[rank][0]);
    assert.equal(same, hash);
    // Of the sum each rank sends 2(N−1)/N of the buffer, then all of it to the next.
    const bytes = (4 / 3 + 1) * 4 * floats;
    assert.ok(sent >= bytes, `${sent} bytes`);
    assert.ok(ms >= carryingMs(parseLink("50mbit"), bytes), `${ms} ms`);
  }
});

Deno.test("a link that is none is refused before anything starts", async () => {
  const program = new URL("../programs/shaped.ts", import.meta.url);
  await assert.rejects(run({ ranks: 2, program, link: "slow" }), {
    name: "RangeError",
    message: /^cannot launch: a link is .* not "slow"$/,
  });
});

Deno.test("a link is every rank's own on one host, and a host's where there are several", () => {
  const link = parseLink("1gbit,50ms");
  const own = hostLink(link, 1, ["here", "here"]);
  assert.deepEqual([own.shape, own.isOwn, own.isPassed(0)], [link, true, false]);
  const shared = hostLink(link, 1, ["a", "b", "b", "a", "b"]);
  assert.deepEqual(shared.shape, { bitsPerSecond: 1e9 / 3, delayMs: 50 });
  assert.deepEqual([0, 2, 3, 4].map(shared.isPassed), [false, true, false, true]);
  assert.equal(shared.isOwn, false);
});
