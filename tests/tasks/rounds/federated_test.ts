/**
 * The algorithms whose ranks begin each round at one point, of which some take part, on real ranks against
 * their papers' rules written out: weights and control variates in float32, the arithmetic between in float64.
 */

import assert from "node:assert/strict";
import { drawParticipants } from "../../../optimizers/mod.ts";
import type { Options } from "../../../tasks/options/table.ts";
import { resolveOptions } from "../../../tasks/options/resolve.ts";
import { samplesOf } from "../_mlp.ts";
import { initialWeights, lossAndGradient } from "../_serial.ts";
import { trainMlp } from "../_train_mlp.ts";

const RANKS = 4, BATCH = 4, STEPS = 12, INTERVAL = 3, SEED = 5, LR = 0.8;
const ROUNDS = STEPS / INTERVAL;

/** Batches drawn aside are those of steps that no run comes to. */
const ASIDE = 2 ** 24;

type Vector = readonly number[];

const f32 = (v: Vector): Vector => v.map(Math.fround);
const plus = (a: Vector, b: Vector, factor = 1): Vector => a.map((x, i) => x + factor * b[i]);
const norm = (v: Vector) => Math.sqrt(v.reduce((sum, x) => sum + x * x, 0));
const mean = (all: readonly Vector[]): Vector =>
  f32(all.reduce((sum, v) => plus(sum, v)).map((x) => x / all.length));
const gradientAt = (x: Vector, t: number, rank: number): Vector =>
  lossAndGradient([...x], samplesOf(t, rank, RANKS, BATCH)).gradient;
const everyone = Array.from({ length: RANKS }, (_, rank) => rank);

/** A round, as a serial program needs it. */
interface RoundByHand {
  readonly number: number;
  readonly ranks: readonly number[];
  /** Its steps. */
  readonly steps: readonly number[];
}

interface ByHand {
  readonly weights: Vector;
  /** Whether a step was clipped, by rank and step; of ranks that sat it out: no. */
  readonly clipped: readonly boolean[][];
}

/** Goes through the rounds. @param round gives the weights that the next begins with */
function byHand(
  drawn: (round: number) => readonly number[],
  round: (x: Vector, at: RoundByHand, note: (rank: number, t: number) => void) => Vector,
): ByHand {
  let x: Vector = initialWeights(SEED);
  const clipped = everyone.map(() => new Array<boolean>(STEPS).fill(false));
  for (let number = 1; number <= ROUNDS; number++) {
    const steps = Array.from({ length: INTERVAL }, (_, k) => (number - 1) * INTERVAL + k + 1);
    const note = (rank: number, t: number) => clipped[rank][t - 1] = true;
    x = round(x, { number, ranks: drawn(number), steps }, note);
  }
  return { weights: x, clipped };
}

/** The length of a step: `own` is its direction's norm, `deciding` the one that says whether to clip. */
const lengthOf = (own: number, deciding: number, clip: number) =>
  deciding <= clip / LR ? LR : clip / own;

function minibatchClip(drawn: (round: number) => readonly number[], clip: number): ByHand {
  return byHand(drawn, (x, { ranks, steps }, note) => {
    const gradients = ranks.flatMap((rank) => steps.map((t) => gradientAt(x, t, rank)));
    const g = mean(gradients), length = lengthOf(norm(g), norm(g), clip);
    // All ranks take the step.
    if (length < LR) everyone.forEach((rank) => note(rank, steps.at(-1)!));
    return f32(plus(x, g, -length));
  });
}

function episode(drawn: (round: number) => readonly number[], clip: number): ByHand {
  return byHand(drawn, (x, { number, ranks, steps }, note) => {
    const own = new Map(ranks.map((rank) => [rank, gradientAt(x, ASIDE + number - 1, rank)]));
    const common = mean([...own.values()]);
    return mean(ranks.map((rank) => {
      let y = x;
      for (const t of steps) {
        const d = plus(plus(gradientAt(y, t, rank), own.get(rank)!, -1), common);
        const length = lengthOf(norm(d), norm(common), clip);
        if (norm(common) > clip / LR) note(rank, t);
        y = f32(plus(y, d, -length));
      }
      return y;
    }));
  });
}

/** What differs between the algorithms with control variates. */
interface Controlled {
  readonly clip: number;
  readonly decides: "own" | "common";
  /** Control variates by option II of SCAFFOLD's paper. @default {the mean gradient} */
  readonly optionTwo?: boolean;
}

function controlled(drawn: (round: number) => readonly number[], o: Controlled): ByHand {
  const x0 = initialWeights(SEED);
  let own = everyone.map((rank) =>
    mean(Array.from({ length: INTERVAL }, (_, k) => gradientAt(x0, ASIDE + k, rank)))
  );
  let common = mean(own);
  return byHand(drawn, (x, { ranks, steps }, note) => {
    const gradients = new Map<number, Vector>(), ends = new Map<number, Vector>();
    for (const rank of ranks) {
      let y = x, sum: Vector = x.map(() => 0);
      for (const t of steps) {
        const g = gradientAt(y, t, rank), d = plus(plus(g, own[rank], -1), common);
        const deciding = o.decides === "own" ? norm(d) : norm(common);
        const length = lengthOf(norm(d), deciding, o.clip);
        if (deciding > o.clip / LR) note(rank, t);
        y = f32(plus(y, d, -length));
        sum = plus(sum, g);
      }
      ends.set(rank, y);
      gradients.set(rank, f32(sum.map((v) => v / INTERVAL)));
    }
    const renewed = own.map((c, rank) => {
      if (!ranks.includes(rank)) return c;
      if (!o.optionTwo) return gradients.get(rank)!;
      return plus(plus(c, common, -1), plus(x, ends.get(rank)!, -1), 1 / (INTERVAL * LR));
    });
    // The sum of c_i⁺ − c_i over the ranks of the round: the others' are zero.
    const change = renewed.map((c, rank) => plus(c, own[rank], -1));
    common = f32(plus(common, change.reduce((sum, v) => plus(sum, v)), 1 / RANKS));
    own = renewed;
    return mean([...ends.values()]);
  });
}

function amplified(
  drawn: (round: number) => readonly number[],
  { period, amplification }: { period: number; amplification: number },
): ByHand {
  let old: Vector = initialWeights(SEED), common: Vector = old.map(() => 0);
  const own = everyone.map((): Vector => common), sums = everyone.map((): Vector => common);
  const counts = everyone.map(() => 0);
  return byHand(drawn, (x, { number, ranks, steps }) => {
    let next = mean(ranks.map((rank) => {
      let y = x;
      for (const t of steps) {
        const g = gradientAt(y, t, rank);
        sums[rank] = plus(sums[rank], g);
        counts[rank]++;
        y = f32(plus(y, plus(plus(g, own[rank], -1), common), -LR));
      }
      return y;
    }));
    if (number % period !== 0) return next;
    next = old = f32(plus(old, plus(next, old, -1), amplification));
    for (const rank of everyone.filter((each) => counts[each] > 0)) {
      const renewed = sums[rank].map((v) => v / counts[rank]);
      common = plus(common, plus(renewed, own[rank], -1), 1 / RANKS);
      own[rank] = renewed;
      sums[rank] = sums[rank].map(() => 0);
      counts[rank] = 0;
    }
    return next;
  });
}

async function trained(options: Partial<Options>) {
  const { weights, records, summary } = await trainMlp({
    ranks: RANKS,
    batchSize: BATCH,
    maxSteps: STEPS,
    interval: INTERVAL,
    seed: SEED,
    lr: LR,
    ...options,
  });
  assert.equal(summary.identicalWeights, true);
  assert.equal(summary.rounds, ROUNDS);
  const clipped = everyone.map((rank) =>
    records.flatMap((r) => r.type === "step" && r.rank === rank ? [r.clipped] : [])
  );
  const rounds = records.flatMap((r) => r.type === "round" ? [r] : []);
  return { weights, summary, clipped, rounds };
}

function same(run: Awaited<ReturnType<typeof trained>>, expected: ByHand) {
  const distance = Math.max(...run.weights.map((w, i) => Math.abs(w - expected.weights[i])));
  assert.ok(distance < 3e-6, `${distance} from the serial program`);
  assert.deepEqual(run.clipped, expected.clipped);
  assert.ok(norm(plus(run.weights, initialWeights(SEED), -1)) > 0.1, "nothing was learnt");
}

const bothKinds = ({ clipped }: ByHand) => {
  const all = clipped.flat();
  assert.ok(all.includes(true) && all.includes(false), "both kinds of step are covered");
};

const UNCLIPPED = 1e9;

/** All ranks, or two that are drawn anew for each round. */
const DRAWS: [Partial<Options>, (round: number) => readonly number[]][] = [
  [{}, () => everyone],
  [{ participants: 2 }, (round) => drawParticipants(SEED, round, RANKS, 2)],
];

for (const [options, drawn] of DRAWS) {
  const among = options.participants ? `${options.participants} of ${RANKS}` : "all";

  Deno.test(`minibatch-clip with ${among} ranks is its serial program`, async () => {
    const clip = 0.2, run = await trained({ ...options, algorithm: "minibatch-clip", clip });
    const expected = minibatchClip(drawn, clip);
    same(run, expected);
    bothKinds(expected);
    assert.equal(run.summary.maxDrift, 0);
    assert.equal(run.summary.driftBound, 0);
  });

  Deno.test(`episode with ${among} ranks is its serial program`, async () => {
    const clip = 0.32, run = await trained({ ...options, algorithm: "episode", clip });
    const expected = episode(drawn, clip);
    same(run, expected);
    bothKinds(expected);
    assert.equal(run.summary.driftBound, null);
  });

  Deno.test(`scaffold with ${among} ranks is its serial program, by its paper's option II`, async () => {
    const run = await trained({ ...options, algorithm: "scaffold" });
    same(run, controlled(drawn, { clip: UNCLIPPED, decides: "own", optionTwo: true }));
    assert.equal(run.summary.clipRate, null);
    assert.equal(run.summary.driftBound, null);
  });

  Deno.test(`scaffold-clip with ${among} ranks is its serial program`, async () => {
    const clip = 0.3, run = await trained({ ...options, algorithm: "scaffold-clip", clip });
    const expected = controlled(drawn, { clip, decides: "own" });
    same(run, expected);
    bothKinds(expected);
    // No step is longer than γ, and all begin at one point.
    assert.equal(run.summary.driftBound, 2 * clip * INTERVAL);
    assert.ok(run.summary.maxDrift! > 0 && run.summary.maxDrift! <= run.summary.driftBound);
  });

  Deno.test(`episode++ with ${among} ranks is its serial program`, async () => {
    const clip = 0.32, run = await trained({ ...options, algorithm: "episode++", clip });
    const expected = controlled(drawn, { clip, decides: "common" });
    same(run, expected);
    bothKinds(expected);
    assert.equal(run.summary.driftBound, null);
  });
}

Deno.test("amplified-scaffold with ranks that are there in turn is its serial program", async () => {
  const lr = { outerLr: 1.4 }, algorithm = "amplified-scaffold";
  // Two ranks for a round, then the other two: a period has two rounds.
  const periodic = await trained({ algorithm, sampling: "periodic:2,1", ...lr });
  const turns = (round: number) => round % 2 === 1 ? [0, 1] : [2, 3];
  same(periodic, amplified(turns, { period: 2, amplification: 1.4 }));
  assert.deepEqual(
    periodic.rounds.map(({ participants }) => participants),
    [1, 2, 3, 4].map(turns),
  );
  const given = await trained({ algorithm, participants: 3, period: 4, ...lr });
  const drawn = (round: number) => drawParticipants(SEED, round, RANKS, 3);
  same(given, amplified(drawn, { period: 4, amplification: 1.4 }));
  const plain = await trained({ algorithm });
  same(plain, amplified(() => everyone, { period: 1, amplification: 1.5 }));
});

Deno.test("a rank that is not drawn sits its steps out and gets the average of the others", async () => {
  const run = await trained({
    algorithm: "scaffold-clip",
    participants: 2,
    clip: 0.3,
    momentum: 0.9,
  });
  assert.ok(run.rounds.every(({ participants }) => participants.length === 2));
  assert.equal(run.rounds.length, ROUNDS, "no closing average: all ranks stand at one point");
});

Deno.test("what these algorithms cannot do is refused", () => {
  for (
    const [given, message] of [
      [{ algorithm: "scaffold", overlap: true }, /averages of scaffold cannot be overlapped/],
      [{ algorithm: "minibatch-clip", overlap: true }, /minibatch-clip cannot be overlapped/],
      [{ algorithm: "episode++", syncEvery: 1 }, /rounds of episode\+\+ cannot go by the clock/],
      [{ algorithm: "scaffold", average: "before" }, /averages after the step, not before it/],
      [{ algorithm: "scaffold-clip", task: "generated-text" }, /draws mini-batches aside/],
      [{ algorithm: "celgc", period: 2 }, /--period 2 has no effect with --algorithm celgc/],
      [{ algorithm: "amplified-scaffold", period: 0 }, /--period must be a whole number from 1/],
      [
        { algorithm: "amplified-scaffold", outerMomentum: 0.5 },
        /--outer-momentum 0.5 has no effect/,
      ],
    ] as const
  ) assert.throws(() => resolveOptions(given), message);
});
