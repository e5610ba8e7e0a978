import assert from "node:assert/strict";
import {
  adamW,
  celgc,
  drawParticipants,
  fedProx,
  localSgd,
  naiveParallel,
  PLAIN_STEP,
  scaffoldClip,
  sgd,
  single,
  slowMo,
} from "../../optimizers/mod.ts";

/** The steps from 1 to `last` at which something holds. */
const stepsWhere = (last: number, holds: (t: number) => boolean) =>
  Array.from({ length: last }, (_, i) => i + 1).filter(holds);

Deno.test("CELGC averages the weights after every I-th step and sends nothing else", () => {
  const { exchange } = celgc({ interval: 4 });
  assert.deepEqual(stepsWhere(12, (t) => exchange(t).weights === "after"), [4, 8, 12]);
  assert.deepEqual(stepsWhere(12, (t) => exchange(t).weights === "before"), []);
  assert.deepEqual(stepsWhere(12, (t) => exchange(t).gradients !== "none"), []);
});

Deno.test("CELGC as in the authors' code averages before the step, the first included", () => {
  const { exchange } = celgc({ interval: 4, average: "before" });
  assert.deepEqual(stepsWhere(12, (t) => exchange(t).weights === "before"), [1, 5, 9]);
  assert.deepEqual(stepsWhere(12, (t) => exchange(t).weights === "after"), []);
});

Deno.test("a norm of the averaged gradient is refreshed at the first step of each round", () => {
  for (const clipBy of ["global-average", "max"] as const) {
    const { exchange } = celgc({ interval: 3, step: { clipBy } });
    assert.deepEqual(stepsWhere(9, (t) => exchange(t).gradients === "norm"), [1, 4, 7]);
  }
});

Deno.test("the bound on the drift is 2γI, and only claimed where the paper proves it", () => {
  assert.equal(celgc({ interval: 8 }).driftBound(0.25), 4);
  assert.equal(celgc({ interval: 8, step: { clipBy: "max" } }).driftBound(0.25), 4);
  for (
    const step of [{ rule: sgd({ momentum: 0.9 }) }, { rule: sgd({ weightDecay: 1e-4 }) }, {
      rule: adamW(),
    }, { clipBy: "global-average" }] as const
  ) {
    assert.equal(celgc({ interval: 8, step }).driftBound(0.25), null, JSON.stringify(step));
  }
  assert.equal(localSgd({ interval: 8 }).driftBound(0.25), null);
  // Of fewer steps than a round has.
  for (const create of [celgc, fedProx, scaffoldClip]) {
    assert.equal(create({ interval: 8 }).driftBound(0.25, undefined, 2), 1);
  }
});

Deno.test("the baseline averages gradients and weights at every step", () => {
  const { exchange } = naiveParallel();
  for (const t of [1, 2, 3]) {
    assert.deepEqual(exchange(t), { gradients: "replace", weights: "after" });
  }
});

Deno.test("local SGD is CELGC without clipping; a single rank sends nothing", () => {
  const rule = sgd({ momentum: 0.9 }), local = localSgd({ interval: 2, step: { rule } });
  assert.deepEqual(local.update, { ...PLAIN_STEP, rule, clips: false });
  assert.deepEqual(stepsWhere(4, (t) => local.exchange(t).weights === "after"), [2, 4]);
  assert.deepEqual(single().exchange(1), { gradients: "none", weights: "none" });
});

Deno.test("where the learning rate is 0, SlowMo lets the average and its momentum stand", () => {
  const { outer } = slowMo({ interval: 1 });
  const average = Float32Array.of(1, 2), momentum = Float32Array.of(0.5, 0);
  const start = Float32Array.of(1, 3);
  outer!.move(average, start, momentum, { learningRate: 0, clipThreshold: 1 });
  assert.deepEqual([[...average], [...momentum]], [[1, 2], [0.5, 0]]);
});

Deno.test("an interval that is no positive number of steps is refused", () => {
  for (const interval of [0, -1, 1.5, NaN]) {
    assert.throws(() => celgc({ interval }), RangeError);
  }
});

Deno.test("participants are drawn from the seed, evenly, and replayed by a rerun", () => {
  const counts = new Array(8).fill(0);
  for (let round = 1; round <= 4000; round++) {
    const drawn = drawParticipants(3, round, 8, 6);
    assert.equal(new Set(drawn).size, 6);
    assert.deepEqual(drawn, [...drawn].sort((a, b) => a - b));
    drawn.forEach((rank) => counts[rank]++);
  }
  // Each rank takes part in 3/4 of the rounds; five standard deviations of a binomial count.
  const five = 5 * Math.sqrt(4000 * 0.75 * 0.25);
  for (const count of counts) assert.ok(Math.abs(count - 3000) < five, `counts ${counts}`);
  assert.deepEqual(drawParticipants(3, 17, 8, 6), drawParticipants(3, 17, 8, 6));
  const schedule = (seed: number) =>
    Array.from({ length: 20 }, (_, round) => drawParticipants(seed, round + 1, 8, 6));
  assert.notDeepEqual(schedule(3), schedule(4));
  assert.deepEqual(drawParticipants(3, 1, 4, 4), [0, 1, 2, 3]);
  assert.throws(() => drawParticipants(3, 1, 8, 9), /not 9/);
});
