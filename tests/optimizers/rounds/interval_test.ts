import assert from "node:assert/strict";
import {
  celgc,
  episode,
  fedProx,
  formatInterval,
  parseInterval,
  roundsOf,
  scheduled,
} from "../../../optimizers/mod.ts";
import { peakAhead } from "../../../optimizers/rounds/interval.ts";

/** The rounds of the first steps, as `begin-end`, one after the other. */
function rounds(
  text: Parameters<typeof parseInterval>[0],
  steps: number,
  rate = (_t: number) => 1,
) {
  const { roundOf } = roundsOf(parseInterval(text), rate);
  const found: string[] = [];
  for (let t = 1; t <= steps; t++) {
    const { begin, end } = roundOf(t);
    assert.ok(begin < t && t <= end, `step ${t} is not in its round ${begin}-${end}`);
    if (found.at(-1) !== `${begin}-${end}`) found.push(`${begin}-${end}`);
  }
  return found;
}

Deno.test("each part of a schedule begins where the last has ended, with a round", () => {
  assert.deepEqual(rounds(4, 10), ["0-4", "4-8", "8-12"]);
  assert.deepEqual(rounds("1..3:1,4", 12), ["0-1", "1-2", "2-3", "3-7", "7-11", "11-15"]);
  assert.deepEqual(rounds("1..5:2,6..9:3,4", 14), [
    ...["0-2", "2-4", "4-5"],
    ...["5-8", "8-9"],
    ...["9-13", "13-17"],
  ]);
});

Deno.test("the quadratic rule takes the learning rate of each round's first step", () => {
  // η is 0.5 in steps 1 to 6, 0.25 up to 14, then 0.1: (0.5/η)² is 1, 4, 25.
  const rate = (t: number) => t <= 6 ? 0.5 : t <= 14 ? 0.25 : 0.1;
  assert.deepEqual(rounds("qsr:base=2,alpha=0.5", 45, rate), [
    ...["0-2", "2-4", "4-6"],
    ...["6-10", "10-14"],
    ...["14-39", "39-64"],
  ]);
  assert.deepEqual(rounds("1..3:1,qsr:base=2,alpha=0.5", 8, rate), [
    ...["0-1", "1-2", "2-3", "3-5", "5-7", "7-11"],
  ]);
});

Deno.test("a learning rate near 0 asks for a round that outlasts the run", () => {
  for (const last of [1e-11, 0]) {
    // The rule asks for 4 · 10¹⁸ steps, or for infinitely many.
    const rule = roundsOf(parseInterval("qsr:base=2,alpha=0.02"), (t) => t <= 4 ? 1 : last);
    const { exchange, driftBound } = scheduled((interval) => celgc({ interval }), rule);
    const meets = [2, 4, 6, 1000].map((t) => exchange(t).weights);
    assert.deepEqual(meets, ["after", "after", "none", "none"]);
    assert.equal(driftBound(1, undefined, 7), 14);
  }
});

Deno.test("steps are asked about in any order", () => {
  const spec = parseInterval("qsr:base=1,alpha=1"), rate = (t: number) => 1 / Math.sqrt(1 + t / 9);
  const straight = roundsOf(spec, rate), other = roundsOf(spec, rate);
  const forth = Array.from({ length: 200 }, (_, i) => straight.roundOf(i + 1));
  assert.ok(forth.at(-1)!.end - forth.at(-1)!.begin > 10);
  for (let t = 200; t >= 1; t--) assert.deepEqual(other.roundOf(t), forth[t - 1]);
});

Deno.test("while the learning rate rises, the rule takes that of the peak", () => {
  const rate = (t: number) => t <= 4 ? t / 4 : 1 / t;
  const ahead = peakAhead(rate, 10);
  assert.deepEqual([1, 2, 4, 5, 10, 11].map(ahead), [1, 1, 1, 1 / 5, 1 / 10, 1 / 11]);
});

Deno.test("a schedule is spelled in one way", () => {
  for (
    const [text, spelled] of [
      ["1..1000:1,16", "1..1000:1,16"],
      [
        " 1..10:08 , 11..20:4, qsr:alpha=1.750e-2,base=4",
        "1..10:8,11..20:4,qsr:base=4,alpha=0.0175",
      ],
      ["qsr:base=6,alpha=.5", "qsr:base=6,alpha=0.5"],
    ] as const
  ) {
    const spec = parseInterval(text as `${string}:${string}`);
    assert.equal(formatInterval(spec), spelled);
  }
  assert.equal(formatInterval(parseInterval(8)), 8);
});

Deno.test("a bad schedule is refused with what is wrong about it", () => {
  for (
    const [text, message] of [
      ["1..0:4,2", /"1\.\.0:4,2" has 1\.\.0:4, which ends before it begins/],
      ["2..9:4,2", /has 2\.\.9:4, which begins at step 2 and not at 1/],
      ["1..9:4,9..12:2,1", /has 9\.\.12:2, which begins at step 9 and not at 10/],
      ["1..9:0,2", /has "0" where a number of steps from 1 stands/],
      ["1..9:2", /has "1\.\.9:2" where a number of steps from 1 stands/],
      ["1..9:2,4,8", /has "4", which is no FROM\.\.TO:I/],
      ["1-9:2,4", /has "1-9:2", which is no FROM\.\.TO:I/],
      ["qsr:base=4", /has qsr:base=4, which is no qsr:base=STEPS,alpha=ABOVE_0/],
      ["qsr:base=4,alpha=0", /has qsr:base=4,alpha=0, which is no/],
      ["qsr:base=4,alpha=1e999", /which is no qsr/],
      ["qsr:base=1.5,alpha=1", /has "1\.5" where a number of steps/],
      ["qsr:base=4,beta=1", /which is no qsr/],
      ["4qsr:base=4,alpha=1", /has "4" before qsr/],
      ["qsr:base=4,alpha=1,qsr:base=9,alpha=2", /has qsr twice/],
      ["qsr:base=4,alpha=1=2", /which is no qsr/],
      ["qsr:base=0x10,alpha=1", /has "0x10" where a number of steps/],
    ] as const
  ) {
    assert.throws(() => parseInterval(text), { name: "RangeError", message });
  }
});

Deno.test("a round of a schedule is one of the same algorithm with as long an interval", () => {
  const step = { clipBy: "max" } as const;
  const plan = roundsOf(parseInterval("1..3:1,4"), () => 1);
  const algorithm = scheduled((interval) => celgc({ interval, step }), plan);
  const around = Array.from({ length: 8 }, (_, i) => algorithm.exchange(i + 1));
  assert.deepEqual(around.map(({ weights }) => weights === "after"), [
    ...[true, true, true],
    ...[false, false, false, true],
    false,
  ]);
  assert.deepEqual(around.map(({ gradients }) => gradients === "norm"), [
    ...[true, true, true],
    ...[true, false, false, false],
    true,
  ]);
  assert.equal(algorithm.driftBound(0.5, undefined, 4), 2 * 0.5 * 4);
  assert.equal(algorithm.driftBound(0.5, undefined, 1), 2 * 0.5);
  const prox = scheduled((interval) => fedProx({ interval }), plan);
  assert.deepEqual(
    Array.from({ length: 8 }, (_, i) => prox.update.transform!.feeds(i + 1).round_begins),
    [1, 1, 1, 1, 0, 0, 0, 1],
  );
  const episodic = scheduled((interval) => episode({ interval }), plan);
  assert.deepEqual([4, 5, 8].map((t) => episodic.exchange(t).gradients), [
    ...["correct", "none", "correct"],
  ]);
});
