import assert from "node:assert/strict";
import {
  celgc,
  fragmented,
  naiveParallel,
  overlapped,
  scaffoldClip,
  sparseLoco,
} from "../../../optimizers/mod.ts";
import {
  allreduceCost,
  allreduceSeconds,
  allreduceTraffic,
} from "../../../runtime/collectives/allreduce_cost.ts";
import { codecOf } from "../../../runtime/compression/registry.ts";
import { parseInterval, roundsOf } from "../../../optimizers/rounds/interval.ts";
import { scheduled } from "../../../optimizers/rounds/scheduled.ts";
import type { Measured } from "../../../tasks/plan/measured.ts";
import { bandwidth } from "../../../tasks/plan/measuring/exchange_times.ts";
import { predict } from "../../../tasks/plan/predict.ts";

/** A megabyte a second, ten milliseconds. */
const NETWORK = { latencySeconds: 0.01, bytesPerSecond: 1e6 };

const MEASURED: Measured = {
  device: "none",
  ranks: 8,
  run: { steps: 10, epochs: 1 },
  parameters: 100_000,
  shared: 110_000,
  step: { none: { mean: 0.1, slowest: 0.12 }, replace: { mean: 0.15, slowest: 0.15 } },
  round: { mean: 0.001, slowest: 0.002 },
  network: NETWORK,
  allreduce: [{ floats: 25_000, seconds: 0.5 }, { floats: 100_000, seconds: 2 }, {
    floats: 110_000,
    seconds: 2.5,
  }],
};

const near = (actual: number, expected: number) =>
  assert.ok(Math.abs(actual - expected) < 1e-9 * expected + 1e-12, `${actual}, not ${expected}`);

Deno.test("an allreduce costs its latencies and its bytes", () => {
  near(allreduceSeconds(NETWORK, 1, 1e6), 0);
  // Within the tree exchange: to rank 0 and back.
  near(allreduceSeconds(NETWORK, 2, 1000), 2 * 0.01 + 2 * 0.001);
  near(allreduceSeconds(NETWORK, 8, 1000), 2 * 0.01 + 14 * 0.001);
  near(allreduceSeconds(NETWORK, 9, 0), 4 * 0.01);
  // An agreement, then two steps that carry (N−1)/N each.
  near(allreduceSeconds(NETWORK, 2, 1e6), 4 * 0.01 + 1);
  near(allreduceSeconds(NETWORK, 8, 1e6), 4 * 0.01 + 1.75);
  // A network so fast that only the round trips count: 16 segments of half a MiB, four at a time.
  const fast = { latencySeconds: 1, bytesPerSecond: Infinity };
  near(allreduceSeconds(fast, 2, 16 << 20), 2 + 4 * 2);
  near(allreduceTraffic(8, 1000), 14_000);
});

Deno.test("on several hosts an allreduce costs what each sends once", () => {
  // 8 ranks on 2 hosts: half of the buffer as exact partial sums, half of it as results.
  near(allreduceSeconds(NETWORK, 8, 1e6, 2), 4 * 0.01 + 0.5 * (1 + 4.2 / 4));
  near(allreduceTraffic(8, 1e6, 2), 2 * 0.5e6 * (1 + 4.2 / 4));
  near(allreduceSeconds(NETWORK, 8, 1e6, 1), 0);
  near(allreduceTraffic(8, 1e6, 1), 0);
  near(allreduceSeconds(NETWORK, 8, 1e6, 8), allreduceSeconds(NETWORK, 8, 1e6));
  // Direct exchange sends for each rank what a host need send once.
  const direct = allreduceCost("direct", NETWORK, 64, 1e8, 8);
  near(direct.hostBytes, 2 * 8 * 1e8 * 56 / 64);
  assert.ok(allreduceCost("two-level", NETWORK, 64, 1e8, 8).hostBytes < direct.hostBytes / 7);
});

Deno.test("a run on several hosts is predicted from the ranks of one", () => {
  const one = predict(MEASURED, naiveParallel(), 10, {
    network: NETWORK,
    participants: 64,
    scale: { ranks: 64, hosts: 8 },
  });
  const own = predict(MEASURED, naiveParallel(), 10).seconds;
  assert.ok(one.seconds > own + 10 * allreduceSeconds(NETWORK, 64, 400_000, 8) * 0.99);
});

Deno.test("a run is its steps on the slowest rank, and its exchanges as they were measured", () => {
  const every4 = predict(MEASURED, celgc({ interval: 4 }), 10);
  near(every4.seconds, 10 * 0.12 + 3 * (2.5 + 0.002));
  near(every4.communicationShare, 1 - 10 * 0.1 / every4.seconds);
  assert.deepEqual(
    [every4.rounds, every4.bytesSent],
    [3, 3 * 14 * 440_000],
    "the mean at the end is the third",
  );
  const baseline = predict(MEASURED, naiveParallel(), 10);
  near(baseline.seconds, 10 * (0.15 + 2 + 2.5 + 0.002));
  assert.deepEqual([baseline.rounds, baseline.bytesSent], [10, 10 * 14 * (400_000 + 440_000)]);
});

Deno.test("another network adds what it costs, among those that take part", () => {
  const own = predict(MEASURED, celgc({ interval: 5 }), 10).seconds;
  const on = (ranks?: number) =>
    predict(MEASURED, celgc({ interval: 5 }), 10, { network: NETWORK, participants: ranks });
  near(on().seconds - own, 2 * allreduceSeconds(NETWORK, 8, 440_000));
  const atEnd = 2.5 + 0.002 + allreduceSeconds(NETWORK, 8, 440_000);
  near(on(6).seconds - own, 2 * allreduceSeconds(NETWORK, 6, 440_000) + atEnd);
  assert.equal(
    on(6).bytesSent,
    (2 * 10 + 14) * 440_000,
    "all ranks take part in the mean at the end",
  );
});

Deno.test("an average that travels while steps go on is waited for where it is taken over", () => {
  const over = (interval: number, delay: number | null = null) =>
    predict(MEASURED, overlapped(celgc({ interval }), { delay, mix: null }), 40);
  // Running statistics do not come late: 2 s for the weights alone. They are longer than 5 steps.
  near(over(5).seconds, 5 * 0.12 + 0.002 + 8 * 2);
  // 20 steps are longer; the last average is waited for at the end.
  near(over(20).seconds, 40 * 0.12 + 2 * 0.002 + 2);
  near(over(20).hiddenSeconds, 2);
  // Ten steps hide 1.2 s of either, then 0.8 s are waited for; all of the last.
  near(over(20, 10).seconds, 40 * 0.12 + 2 * 0.002 + 0.8 + 2);
  near(over(20, 10).hiddenSeconds, 1.2);
});

Deno.test("weights in parts travel one after the other, as many bytes, fewer at a time", () => {
  const parts = [{ trained: 70_000, statistics: 10_000 }, { trained: 30_000, statistics: 0 }];
  const measured = { ...MEASURED, parts: { 2: parts } };
  const whole = predict(measured, celgc({ interval: 4 }), 8, { network: NETWORK });
  const inParts = predict(measured, fragmented(celgc({ interval: 4 }), 2), 8, { network: NETWORK });
  // The first part has its round in the middle, and one more at the end.
  const ending = allreduceTraffic(8, 320_000);
  assert.deepEqual([inParts.rounds, inParts.bytesSent], [5, whole.bytesSent + ending]);
  assert.deepEqual([inParts.meanInterval, whole.meanInterval], [4, 4]);
  near(whole.peakBytesSent, 440_000 * 14 / 8);
  near(inParts.peakBytesSent, 320_000 * 14 / 8);
  const own = (floats: number) => Math.max(0, 2.5 + 2 / 85_000 * (floats - 110_000));
  const each = [80_000, 30_000].map((n) => own(n) + allreduceSeconds(NETWORK, 8, 4 * n));
  near(inParts.seconds, 8 * 0.12 + 5 * 0.002 + 3 * each[0] + 2 * each[1]);
  assert.throws(
    () => predict(measured, fragmented(celgc({ interval: 4 }), 3), 8, { network: NETWORK }),
    /weights in 3 parts were not measured/,
  );
  // An average has the link to itself: that of the second part waits for the first's.
  const slow = predict(measured, overlapped(fragmented(celgc({ interval: 2 }), 2)), 2, {
    network: NETWORK,
  });
  const alone = [70_000, 30_000].map((n) => own(n) + allreduceSeconds(NETWORK, 8, 4 * n));
  const closing = own(70_000) + allreduceSeconds(NETWORK, 8, 4 * 70_000) + 0.002;
  near(slow.seconds, 0.12 + 0.002 + alone[0] + alone[1] + closing);
});

Deno.test("a schedule's rounds are counted as they come", () => {
  const spec = parseInterval("1..4:1,8");
  const algorithm = scheduled(
    (interval) => celgc({ interval }),
    roundsOf(spec, () => 1),
  );
  const { rounds, meanInterval, bytesSent } = predict(MEASURED, algorithm, 20);
  assert.deepEqual([rounds, bytesSent], [6, 6 * 14 * 440_000]);
  near(meanInterval, 20 / 6);
});

Deno.test("what SparseLoCo's ranks owe goes to each of the others, control variates beside the weights", () => {
  const codec = codecOf("topk:0.5:int8")!, step = MEASURED.step.none!;
  const measured = { ...MEASURED, step: { ...MEASURED.step, correct: step } };
  const sparse = predict(measured, sparseLoco({ interval: 5, compress: codec.name }), 10, {
    network: NETWORK,
  });
  const statistics = allreduceTraffic(8, 40_000), sent = 8 * 7 * codec.bytes(100_000);
  assert.equal(sparse.bytesSent, 2 * (sent + statistics));
  // In the time of an allreduce in which a rank sends as much: 7 messages.
  const link = allreduceCost("direct", NETWORK, 8, codec.bytes(100_000) * 4).seconds;
  assert.ok(sparse.seconds > 10 * 0.12 + 2 * (0.002 + link));
  const controlled = predict(measured, scaffoldClip({ interval: 5 }), 10);
  const plain = predict(measured, celgc({ interval: 5 }), 10);
  const more = controlled.bytesSent - plain.bytesSent;
  assert.equal(more % allreduceTraffic(8, 400_000), 0);
  assert.ok(more / allreduceTraffic(8, 400_000) >= 2);
  near(controlled.seconds - plain.seconds, 2 * 2); // those of the start are not timed
});

Deno.test("a step that was not timed is not made up", () => {
  const corrected = celgc({ interval: 2, step: { clipBy: "max" } });
  assert.throws(() => predict(MEASURED, corrected, 10), /no step .* to norm was timed/);
});

Deno.test("a network's bandwidth is what more bytes cost, and no noise makes it a wonder", () => {
  const MEGABYTE = 1e6;
  near(bandwidth(MEGABYTE, 1.1, 2.1, 0.1), MEGABYTE); // a tenth of a second of latency
  near(bandwidth(MEGABYTE, 1, 2, 0), MEGABYTE);
  near(bandwidth(MEGABYTE, 50.1, 50.2, 50), 10 * MEGABYTE); // nearly all of it latency
  // The longer message happened to be as fast as the shorter one, or faster.
  for (const shorter of [2, 2.5]) near(bandwidth(MEGABYTE, shorter, 2, 0), 4 * MEGABYTE);
});

Deno.test("compressed exchanges are as many bytes as the codec makes of them", () => {
  const codec = codecOf("int8")!, every5 = celgc({ interval: 5 }), among = { ranks: 8, hosts: 8 };
  const at = (participants: number) =>
    predict(MEASURED, every5, 10, { network: NETWORK, participants, scale: among, codec });
  // Running statistics travel with them as they are.
  const encoded = codec.bytes(100_000) + 40_000;
  assert.equal(at(8).bytesSent, 2 * 14 * encoded);
  // Two drawn ranks send displacements, all eight the sums of their slices; all meet at the end.
  const drawn = 7 * encoded * (2 + 8) / 8;
  assert.equal(at(2).bytesSent, 2 * drawn + allreduceTraffic(8, 440_000));
  assert.equal(at(8).peakBytesSent, encoded + 6 * (codec.bytes(49 * 256) + 5000));
  // What the machine itself needs is on the line through what was measured.
  const saved = predict(MEASURED, every5, 10, { network: NETWORK }).seconds - at(8).seconds;
  const link = (bytes: number) => allreduceCost("direct", NETWORK, 8, bytes).seconds;
  const own = 2 / 85_000 * (110_000 - encoded / 4);
  near(saved, 2 * (own + link(440_000) - link(encoded)));
  // And the codec's work, of two ranks' inputs where two are drawn.
  const cost = { encode: 1e-6, add: 2e-6, finish: 4e-6, decode: 8e-6 };
  const measured = { ...MEASURED, codecs: { [codec.name]: cost } };
  for (const [participants, adds] of [[8, 8], [2, 2]]) {
    const { seconds } = predict(measured, every5, 10, {
      network: NETWORK,
      participants,
      scale: among,
      codec,
    });
    const own = 100_000 / 8, others = 100_000 - own;
    const work = 1e-6 * others + 2e-6 * adds * own + 4e-6 * own + 8e-6 * 100_000;
    near(seconds - at(participants).seconds, 2 * work);
  }
});
