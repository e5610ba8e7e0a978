/**
 * Schedules of intervals, weights averaged in parts, late and mixed averages on real ranks, against the same
 * taken serially in float64, by hand.
 */

import assert from "node:assert/strict";
import type { Options } from "../../../tasks/options/table.ts";
import { readMetrics } from "../../../tasks/logs/log_tail.ts";
import { newConfig } from "../../../tasks/run/folder.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";
import { trainInProcess } from "../../_helpers/train_in_process.ts";
import { mlp, mlpTask, samplesOf } from "../_mlp.ts";
import { initialWeights, lossAndGradient } from "../_serial.ts";

const BATCH = 4, SEED = 5, LR = 0.8, CLIP = 0.3;

/** Where the parts of the network begin and end: of 30, 5, 15 and 3 weights. */
const CUTS: Record<number, number[]> = { 1: [0, 53], 2: [0, 30, 53], 4: [0, 30, 35, 50, 53] };

interface Serial {
  ranks: number;
  steps: number;
  parts?: number;
  /** The parts that are averaged after step t. */
  due: (t: number) => number[];
  rate?: (t: number) => number;
  /** Steps after which an average is taken over; null: in the part's next round. */
  delay?: number | null;
  mix?: number;
  late?: boolean;
  /** Nesterov's outer step: its learning rate and momentum. */
  outer?: [number, number];
}

const norm = (v: number[]) => Math.sqrt(v.reduce((sum, x) => sum + x * x, 0));

/** The algorithm in one process. Drifts are listed when their averages are taken over, then those of the end. */
function bySerialSteps({ ranks, steps, parts = 1, due, ...o }: Serial) {
  const start = initialWeights(SEED), cuts = CUTS[parts];
  const x = Array.from({ length: ranks }, () => [...start]);
  const began = [...start], momentum = start.map(() => 0);
  const waiting = new Map<
    number,
    { t: number; own: number[][]; drift: number; global: number[] }
  >();
  const rounds: { step: number; part: number; drift: number }[] = [];
  const range = (p: number) => Array.from({ length: cuts[p + 1] - cuts[p] }, (_, i) => cuts[p] + i);
  /** The mean of a part, its drift, and where the outer optimizer goes from it. */
  const average = (p: number) => {
    const own = x.map((xi) => range(p).map((i) => xi[i]));
    const mean = own[0].map((_, i) => own.reduce((sum, v) => sum + v[i], 0) / ranks);
    const drift = Math.max(...own.map((v) => norm(v.map((xi, i) => xi - mean[i]))));
    return { own, mean, drift };
  };
  const outer = (p: number, mean: number[]) => {
    if (!o.outer) return mean;
    const [rate, mu] = o.outer;
    return range(p).map((i, at) => {
      const displacement = began[i] - mean[at];
      momentum[i] = mu * momentum[i] + displacement;
      return began[i] -= rate * (displacement + mu * momentum[i]);
    });
  };
  const takeOver = (p: number, t: number) => {
    const travelled = waiting.get(p);
    if (!travelled) return;
    waiting.delete(p);
    rounds.push({ step: t, part: p, drift: travelled.drift });
    x.forEach((xi, rank) =>
      range(p).forEach((i, at) => {
        const { global, own } = travelled;
        xi[i] = o.mix === undefined
          ? global[at] + (xi[i] - own[rank][at])
          : global[at] + o.mix * (xi[i] - global[at]);
      })
    );
  };
  for (let t = 1; t <= steps; t++) {
    const rate = o.rate?.(t) ?? LR;
    x.forEach((xi, rank) => {
      const { gradient } = lossAndGradient(xi, samplesOf(t, rank, ranks, BATCH));
      const scale = Math.min(rate, CLIP / norm(gradient));
      gradient.forEach((g, i) => xi[i] -= scale * g);
    });
    for (let p = 0; p < parts; p++) {
      const now = due(t).includes(p);
      if (o.delay && waiting.get(p)?.t === t - o.delay) takeOver(p, t);
      if (!now) continue;
      takeOver(p, t);
      const { own, mean, drift } = average(p), global = outer(p, mean);
      if (o.late) waiting.set(p, { t, own, drift, global });
      else {
        rounds.push({ step: t, part: p, drift });
        x.forEach((xi) => range(p).forEach((i, at) => xi[i] = global[at]));
      }
    }
  }
  for (const [p, { drift }] of [...waiting].sort(([a], [b]) => a - b)) {
    rounds.push({ step: steps, part: p, drift });
  }
  for (let p = 0; p < parts; p++) {
    const apart = o.late || !due(steps).includes(p);
    if (ranks > 1 && apart) rounds.push({ step: steps, part: p, drift: average(p).drift });
  }
  const weights = start.map((_, i) => x.reduce((sum, xi) => sum + xi[i], 0) / ranks);
  return { weights, rounds };
}

async function train(given: Partial<Options>) {
  await using folder = await temporaryFolder();
  const directory = folder.path;
  const common: Partial<Options> = { batchSize: BATCH, seed: SEED, lr: LR, clip: CLIP };
  const rest: Partial<Options> = { epochs: 1000, evalEvery: 1000, link: "0us" };
  const { summary, weights } = await trainInProcess(
    { ...common, ...rest, ...given },
    (comm, options) => ({
      model: mlp,
      task: mlpTask(comm.rank, options.ranks, BATCH),
      output: { directory, config: newConfig(options) },
    }),
  );
  const records = readMetrics(`${directory}/metrics.jsonl`);
  const rounds = records.flatMap((record) => record.type === "round" ? [record] : []);
  return { summary, weights: [...weights], rounds };
}

/** A run and its serial counterpart come to the same weights, by the same rounds. */
async function same(given: Partial<Options>, serial: Serial) {
  const what = JSON.stringify(given);
  const { weights, rounds, summary } = await train(given), expected = bySerialSteps(serial);
  const distance = norm(weights.map((x, i) => x - expected.weights[i]));
  assert.ok(distance < 2e-5, `${what}: ${distance} apart`);
  assert.deepEqual(
    rounds.map(({ step, fragment = 0 }) => [step, fragment]),
    expected.rounds.map(({ step, part }) => [step, part]),
    what,
  );
  rounds.forEach(({ drift, driftBound }, i) => {
    assert.ok(Math.abs(drift - expected.rounds[i].drift) < 2e-5, `${what}: drift of round ${i}`);
    if (driftBound !== null) assert.ok(drift <= driftBound, `${what}: ${drift} > ${driftBound}`);
  });
  assert.equal(summary.rounds, rounds.length);
  assert.equal(summary.identicalWeights, true);
  return { rounds, summary };
}

const every = (interval: number) => (t: number) => t % interval === 0 ? [0] : [];

/** Each part so many steps after the one before it, and every `interval` steps. */
const inParts = (at: number[], interval: number) => (t: number) =>
  at.flatMap((step, part) => (t - step) % interval === 0 && t >= step ? [part] : []);

Deno.test("a schedule's rounds are where it says, on any number of ranks", async () => {
  const due = (t: number) => t <= 3 || t === 7 || t === 11 ? [0] : [];
  for (const ranks of [1, 2, 3, 4, 8]) {
    const { rounds } = await same(
      { ranks, maxSteps: 13, interval: "1..3:1,4" },
      { ranks, steps: 13, due },
    );
    const bounds = rounds.map(({ driftBound }) => driftBound);
    const steps = ranks === 1 ? [1, 1, 1, 4, 4] : [1, 1, 1, 4, 4, 2];
    assert.deepEqual(bounds, steps.map((each) => 2 * CLIP * each));
  }
});

Deno.test("the quadratic rule follows the learning rate as it decays", async () => {
  // η falls to a half after 6 steps: I = max(2, ⌊(0.8/η)²⌋) is 2, then 4.
  const ranks = 3, rate = (t: number) => t <= 6 ? LR : LR / 2;
  const { rounds } = await same({
    ...{ ranks, maxSteps: 13, interval: "qsr:base=2,alpha=0.8", decayFactor: 0.5 },
    decayAt: [6 * ranks * BATCH / 1000],
  }, { ranks, steps: 13, rate, due: (t) => [2, 4, 6, 10].includes(t) ? [0] : [] });
  assert.deepEqual(rounds.map(({ driftBound }) => driftBound! / (2 * CLIP)), [2, 2, 2, 4, 3]);
});

Deno.test("weights in parts are averaged part by part, each within Lemma 1's bound", async () => {
  for (const ranks of [1, 2, 3, 4, 8]) {
    const { rounds, summary } = await same(
      { ranks, maxSteps: 10, interval: 4, fragments: 2 },
      { ranks, steps: 10, parts: 2, due: inParts([2, 4], 4) },
    );
    assert.ok(rounds.every(({ driftBound }) => driftBound === 2 * CLIP * 4));
    if (ranks === 1) continue;
    const whole = await train({ ranks, maxSteps: 10, interval: 4 });
    assert.ok(summary.peakBytesSent! <= whole.summary.peakBytesSent! * 0.6);
  }
});

Deno.test("two ranks send as many bytes in parts as in one piece", async () => {
  const common: Partial<Options> = { ranks: 2, interval: 4, maxSteps: 16 };
  const [whole, parts] = [await train(common), await train({ ...common, fragments: 4 })];
  // What the parts add is the end: three of them have not just been averaged.
  const last = parts.rounds.filter(({ final }) => final);
  assert.deepEqual(last.map(({ fragment }) => fragment), [0, 1, 2]);
  const each = whole.summary.totalBytesSent / 4;
  assert.equal(parts.summary.totalBytesSent, whole.summary.totalBytesSent + each * 50 / 53);
  assert.equal(parts.summary.peakBytesSent, whole.summary.peakBytesSent! * 30 / 53);
});

Deno.test("late averages are taken over after their delay, mixed or not, in parts, with an outer step", async () => {
  const ranks = 3, steps = 17, interval = 4;
  const common: Partial<Options> = { ranks, maxSteps: steps, interval, overlap: true };
  const serial = { ranks, steps, late: true, due: every(interval) };
  const inTwo = { ...serial, parts: 2, due: inParts([2, 4], interval) };
  await same({ ...common, delay: 2 }, { ...serial, delay: 2 });
  await same({ ...common, delay: 1, mix: 0.5 }, { ...serial, delay: 1, mix: 0.5 });
  await same({ ...common, mix: 0 }, { ...serial, mix: 0 });
  await same({ ...common, fragments: 2 }, inTwo);
  // Rounds shorter than the delay take averages over earlier, and those after them wait for it again.
  const longer = (t: number) => t <= 3 || t % 4 === 3 ? [0] : [];
  await same({ ...common, interval: "1..3:1,4", delay: 3 }, { ...serial, due: longer, delay: 3 });
  const outer = { algorithm: "diloco", outerLr: 0.7, outerMomentum: 0.9 } as const;
  await same({ ...common, ...outer }, { ...serial, outer: [0.7, 0.9] });
  for (const ranks of [1, 2, 4, 8]) {
    await same(
      { ...common, ...outer, ranks, fragments: 2, delay: 1, mix: 0.5 },
      { ...inTwo, ranks, delay: 1, mix: 0.5, outer: [0.7, 0.9] },
    );
  }
});

Deno.test("outer optimizers step part by part", async () => {
  const ranks = 3, steps = 11;
  const given: Partial<Options> = { ranks, maxSteps: steps, interval: 3, fragments: 4 };
  await same(
    { ...given, algorithm: "diloco" },
    { ranks, steps, parts: 4, due: inParts([1, 2, 3, 3], 3), outer: [0.7, 0.9] },
  );
});

Deno.test("some of the ranks can average in a round of a part", async () => {
  const { rounds, summary } = await train({
    ...{ ranks: 3, maxSteps: 9, interval: 4, fragments: 2, participants: 2 },
  });
  assert.equal(summary.identicalWeights, true);
  const drawn = rounds.filter(({ final }) => !final);
  assert.deepEqual(drawn.map(({ fragment }) => fragment), [0, 1, 0, 1]);
  assert.ok(
    drawn.every(({ participants, driftBound }) => participants.length === 2 && driftBound === null),
  );
  assert.deepEqual(rounds.filter(({ final }) => final).map(({ fragment }) => fragment), [0, 1]);
});
