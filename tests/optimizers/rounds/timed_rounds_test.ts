import assert from "node:assert/strict";
import {
  celgc,
  episode,
  localSgd,
  naiveParallel,
  overlapped,
  sgd,
  single,
  slowMo,
  timedRounds,
} from "../../../optimizers/mod.ts";

Deno.test("a round is due when the time has passed, or when the rank has done its share of the rest", () => {
  const { timed, exchange } = timedRounds(celgc({ interval: 1 }), 2);
  assert.equal(timed!.seconds, 2);
  assert.deepEqual(exchange(1), { gradients: "none", weights: "none" });
  assert.deepEqual(exchange(100), { gradients: "none", weights: "none" });
  assert.equal(timed!.isDue(1.9, 5, 6), false);
  assert.equal(timed!.isDue(2, 1, 6), true);
  assert.equal(timed!.isDue(0.1, 6, 6), true);
});

Deno.test("the drift is bounded by the largest number of steps, where one step is bounded", () => {
  const plain = timedRounds(celgc({ interval: 1 }), 1).timed!;
  const steps = [3, 7, 2], equal = [1 / 3, 1 / 3, 1 / 3];
  assert.equal(plain.driftBound(0.5, steps, equal), 2 * 0.5 * 7);
  const withMomentum = timedRounds(
    celgc({ interval: 1, step: { rule: sgd({ momentum: 0.9 }) } }),
    1,
  ).timed!;
  const local = timedRounds(localSgd({ interval: 1 }), 1).timed!;
  for (const { driftBound } of [withMomentum, local]) {
    assert.equal(driftBound(0.5, steps, equal), null);
  }
});

Deno.test("weighed by samples, ranks are bounded by the weighed mean of their steps and the largest", () => {
  const weighed = timedRounds(celgc({ interval: 1 }), 1, "samples").timed!;
  assert.equal(weighed.weighs, true);
  // γ (Σ p_j n_j + max n): 0.5 (0.25·3 + 0.5·7 + 0.25·2 + 7).
  assert.equal(weighed.driftBound(0.5, [3, 7, 2], [0.25, 0.5, 0.25]), 0.5 * (4.75 + 7));
  assert.equal(weighed.driftBound(0.5, [4, 4], [0.1, 0.9]), 2 * 0.5 * 4);
  assert.equal(
    timedRounds(localSgd({ interval: 1 }), 1, "samples").timed!.driftBound(1, [1], [1]),
    null,
  );
});

Deno.test("only plain averages of the weights can go by the clock", () => {
  for (
    const algorithm of [
      naiveParallel(),
      single(),
      slowMo({ interval: 1 }),
      episode({ interval: 1 }),
      overlapped(celgc({ interval: 1 })),
      celgc({ interval: 1, average: "before" }),
      celgc({ interval: 1, step: { clipBy: "max" } }),
    ]
  ) {
    assert.throws(() => timedRounds(algorithm, 1), {
      name: "RangeError",
      message: new RegExp(`^the rounds of ${algorithm.name} cannot go by the clock`),
    });
  }
  assert.throws(() => timedRounds(celgc({ interval: 1 }), 0), /above 0 seconds, not 0/);
});
