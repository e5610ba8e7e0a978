import assert from "node:assert/strict";
import { drawParticipants, formatSampling, parseSampling } from "../../optimizers/mod.ts";
import { participationWeights } from "../../optimizers/participants.ts";
import { checkSampling, participantsBy, periodOf } from "../../optimizers/sampling.ts";

const SEED = 3;

/** How often each rank is drawn. */
function counts(rounds: number, ranks: number, count: number, rule: string): number[] {
  const sampling = parseSampling(rule), times = new Array<number>(ranks).fill(0);
  for (let round = 1; round <= rounds; round++) {
    const drawn = drawParticipants(SEED, round, ranks, count, sampling);
    assert.equal(new Set(drawn).size, count);
    assert.deepEqual(drawn, [...drawn].sort((a, b) => a - b));
    drawn.forEach((rank) => times[rank]++);
  }
  return times;
}

/** Probability of each item to be among `count` drawn one after the other: every order, one by one. */
function inclusion(weights: readonly number[], count: number): number[] {
  const found = weights.map(() => 0);
  const draw = (drawn: readonly number[], probability: number) => {
    if (drawn.length === count) return drawn.forEach((each) => found[each] += probability);
    const left = weights.reduce((sum, w, i) => sum + (drawn.includes(i) ? 0 : w), 0);
    weights.forEach((w, i) => {
      if (!drawn.includes(i)) draw([...drawn, i], probability * w / left);
    });
  };
  draw([], 1);
  return found;
}

Deno.test("dirichlet draws each rank as often as its probability says, without replacement", () => {
  const ranks = 5, rounds = 6000;
  for (const [alpha, count] of [[0.5, 1], [0.5, 3], [2, 2]] as const) {
    const weights = participationWeights(SEED, ranks, alpha);
    assert.ok(Math.abs(weights.reduce((a, b) => a + b) - 1) < 1e-12);
    const expected = inclusion(weights, count);
    for (const [rank, times] of counts(rounds, ranks, count, `dirichlet:${alpha}`).entries()) {
      const p = expected[rank], five = 5 * Math.sqrt(rounds * p * (1 - p)) + 1;
      assert.ok(
        Math.abs(times - rounds * p) < five,
        `α ${alpha}, ${rank}: ${times}, ${rounds * p}`,
      );
    }
  }
});

Deno.test("dirichlet draws so many ranks even where one has next to all probability", () => {
  const weights = participationWeights(SEED, 8, 1e-4);
  assert.ok(weights.filter((weight) => weight === 0).length >= 2, `${weights}`);
  const times = counts(200, 8, 3, "dirichlet:0.0001");
  assert.equal(times[weights.indexOf(Math.max(...weights))], 200);
  assert.ok(times.every((each) => each > 0), "ranks of no weight come in an order that varies");
});

Deno.test("periodic has each group of neighbours for so many rounds, in turn", () => {
  // As the authors' code has it, which counts rounds from 0.
  const ranks = 6, available = 2, rounds = 3, sampling = parseSampling("periodic:2,3");
  for (let r = 0; r < 40; r++) {
    const group = Math.floor(r / rounds) % (ranks / available);
    const there = [0, 1].map((i) => group * available + i);
    assert.deepEqual(drawParticipants(SEED, r + 1, ranks, 2, sampling), there);
    const [one] = drawParticipants(SEED, r + 1, ranks, 1, sampling);
    assert.ok(there.includes(one));
  }
  const times = counts(18 * 400, ranks, 1, "periodic:2,3");
  for (const each of times) assert.ok(Math.abs(each - 1200) < 5 * Math.sqrt(1200 / 2), `${times}`);
  assert.equal(periodOf(sampling, ranks), 9);
  assert.equal(participantsBy(sampling), 2);
  assert.equal(periodOf(parseSampling("uniform"), ranks), 1);
});

Deno.test("a draw is a function of seed, round and rule", () => {
  const schedule = (seed: number, rule: string) =>
    Array.from({ length: 20 }, (_, i) => drawParticipants(seed, i + 1, 8, 2, parseSampling(rule)));
  for (const rule of ["uniform", "dirichlet:0.5", "periodic:4,2"]) {
    assert.deepEqual(schedule(3, rule), schedule(3, rule));
    assert.notDeepEqual(schedule(3, rule), schedule(4, rule), rule);
  }
});

Deno.test("a rule is read, written in one way, and refused with the forms there are", () => {
  for (const rule of ["uniform", "dirichlet:0.5", "periodic:2,10"]) {
    assert.equal(formatSampling(parseSampling(rule)), rule);
  }
  assert.equal(formatSampling(parseSampling("dirichlet:5e-1")), "dirichlet:0.5");
  for (
    const rule of [
      "",
      "cyclic",
      "uniform:1",
      "dirichlet",
      "dirichlet:0",
      "dirichlet:-1",
      "dirichlet,1",
      "dirichlet:1e999",
      "dirichlet:1,2",
      "periodic:2",
      "periodic:2,0",
      "periodic:1.5,2",
      "periodic,2,2",
      "periodic:2:2",
      "periodic:a,b",
    ]
  ) {
    assert.throws(
      () => parseSampling(rule),
      /drawn uniform, dirichlet:ALPHA .* or periodic:A,R/,
      rule,
    );
  }
});

Deno.test("what cannot be drawn is refused with the numbers", () => {
  const refused = (rule: string, ranks: number, count: number, message: RegExp) => {
    assert.throws(() => checkSampling(parseSampling(rule), ranks, count), message);
    assert.throws(() => drawParticipants(SEED, 1, ranks, count, parseSampling(rule)), RangeError);
  };
  refused("periodic:3,2", 8, 2, /3 does not divide the 8 ranks/);
  refused("periodic:2,2", 8, 4, /2 ranks are there at a time, so 4 cannot take part/);
  refused("dirichlet:1", 8, 8, /all 8 of them take part in each round: give fewer participants/);
});
