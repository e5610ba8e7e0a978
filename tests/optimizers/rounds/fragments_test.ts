import assert from "node:assert/strict";
import {
  celgc,
  diloco,
  episode,
  fedProx,
  fragmented,
  localSgd,
  naiveParallel,
  parseInterval,
  roundsOf,
  scheduled,
  single,
  slowMo,
  timedRounds,
} from "../../../optimizers/mod.ts";
import { lateBound, takenOver } from "../../../optimizers/rounds/overlap.ts";
import { overlapped } from "../../../optimizers/mod.ts";

Deno.test("each part is averaged once a round, the last where the whole would be", () => {
  for (const [interval, count] of [[1, 1], [8, 4], [5, 3], [2, 5], [7, 7], [12, 1]]) {
    const { fragments, exchange } = fragmented(celgc({ interval }), count);
    const steps: number[][] = Array.from({ length: count }, () => []);
    for (let t = 1; t <= 3 * interval; t++) {
      const due = fragments!.due(t);
      due.forEach((part) => steps[part].push(t));
      assert.equal(exchange(t).weights, due.length > 0 ? "after" : "none");
    }
    for (const [part, at] of steps.entries()) {
      assert.deepEqual(at, [at[0], at[0] + interval, at[0] + 2 * interval]);
      assert.ok(
        at[0] >= (part + 1) * interval / count && at[0] < (part + 1) * interval / count + 1,
      );
    }
  }
});

Deno.test("parts of a round whose length changes are as far apart as that lets them be", () => {
  const rounds = roundsOf(parseInterval("1..2:1,4"), () => 1);
  const { fragments } = fragmented(scheduled((interval) => celgc({ interval }), rounds), 2);
  const due = Array.from({ length: 10 }, (_, i) => fragments!.due(i + 1).join("+"));
  assert.deepEqual(due, ["0+1", "0+1", "", "0", "", "1", "", "0", "", "1"]);
});

Deno.test("what has no rounds of its own, or refers to where one began, is not averaged in parts", () => {
  const common = { interval: 4 };
  for (const algorithm of [celgc(common), localSgd(common), slowMo(common), diloco(common)]) {
    assert.equal(fragmented(algorithm, 2).fragments!.count, 2);
  }
  for (
    const algorithm of [
      ...[naiveParallel(), single(), episode(common), fedProx(common)],
      ...[celgc({ ...common, average: "before" }), timedRounds(celgc({ interval: 1 }), 1)],
    ]
  ) {
    assert.throws(() => fragmented(algorithm, 2), { name: "RangeError", message: /in parts/ });
  }
  assert.throws(() => fragmented(celgc(common), 0), /a number of parts from 1, not 0/);
});

Deno.test("a late average is taken over so many steps after its round", () => {
  const late = overlapped(fragmented(celgc({ interval: 4 }), 2), { delay: 1, mix: 0.5 });
  const steps = Array.from({ length: 9 }, (_, i) => i + 1);
  assert.deepEqual(steps.filter((t) => late.exchange(t).weights !== "none"), [2, 4, 6, 8]);
  assert.deepEqual(steps.filter((t) => takenOver(late, t).length > 0), [3, 5, 7, 9]);
  const waits = overlapped(celgc({ interval: 4 }));
  assert.equal(steps.some((t) => takenOver(waits, t).length > 0), false);
});

Deno.test("the bound of a mix comes to rest where it reproduces itself", () => {
  const overlap = { delay: 2, mix: 0.5 }, interval = 8, whole = 2 * 0.3 * interval;
  let bound = lateBound(overlap, null, whole, interval);
  assert.equal(bound, whole);
  for (let i = 0; i < 60; i++) bound = lateBound(overlap, bound, whole, interval);
  // r = α (r + 2γτ) + 2γ (I − τ)
  const rest = (0.5 * 2 * 0.3 * 2 + 2 * 0.3 * 6) / (1 - 0.5);
  assert.ok(Math.abs(bound! - rest) < 1e-9);
  assert.equal(lateBound({ delay: 2, mix: null }, 99, whole, interval), whole);
  assert.equal(lateBound(overlap, 1, null, interval), null);
});
