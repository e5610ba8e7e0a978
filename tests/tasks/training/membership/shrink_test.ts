/**
 * Ranks are lost in every phase of a run, and the others go on: what they come to is what copies of the network come to
 * that leave by hand, and a replay of the record has the same bits.
 */

import assert from "node:assert/strict";
import { Random } from "../../../../runtime/base/random.ts";
import type { Options } from "../../../../tasks/options/table.ts";
import { STEPS } from "./_by_hand.ts";
import { check, checkResumed } from "./_living.ts";

const unsanitized = { sanitizeOps: false, sanitizeResources: false }; // the engine keeps its threads

for (const hook of ["afterStep", "beforeRound", "afterRound"] as const) {
  for (const rank of [2, 0]) {
    Deno.test({
      ...unsanitized,
      name: `rank ${rank} of 3 is lost in ${hook}, and the others go on`,
      async fn() {
        const step = hook === "afterStep" ? 5 : 6;
        const { script, rounds } = await check(3, [{ rank, hook, step }]);
        const others = [0, 1, 2].filter((each) => each !== rank);
        assert.deepEqual(script, [
          { step: 0, ranks: 3 },
          { step: 6, ranks: 2, members: others, lost: [{ rank, since: 4 }] },
        ]);
        assert.deepEqual(rounds[1].participants, [0, 1, 2]);
        assert.deepEqual(rounds[2].participants, others);
      },
    });
  }
}

Deno.test({
  ...unsanitized,
  name: "two ranks are lost, at once or one after the other, and one of four goes on alone",
  async fn() {
    await check(4, [{ rank: 1, hook: "beforeRound", step: 4 }, {
      rank: 3,
      hook: "beforeRound",
      step: 4,
    }]);
    await check(4, [{ rank: 0, hook: "afterRound", step: 4 }, {
      rank: 1,
      hook: "beforeRound",
      step: 8,
    }]);
    await check(2, [{ rank: 0, hook: "beforeRound", step: 4 }]);
  },
});

Deno.test({
  ...unsanitized,
  name: "a rank is lost in an evaluation, with a checkpoint behind it, and at the end",
  async fn() {
    const often = { evalEvery: 0.02, checkpointEvery: 3 };
    await check(3, [{ rank: 2, hook: "beforeEvaluation", step: 6 }], often);
    await check(3, [{ rank: 0, hook: "afterEvaluation", step: 9 }], often);
    await check(3, [{ rank: 1, hook: "beforeEvaluation", step: STEPS }]);
    await check(3, [{ rank: 0, hook: "afterEvaluation", step: STEPS }]);
    // The last round is before the last step: the mean that the run comes to is formed at its end.
    const apart = { interval: 5 }, late = { hook: "afterEvaluation", step: STEPS } as const;
    await check(3, [{ ...late, rank: 1 }], apart);
    await check(3, [{ ...late, rank: 1, after: 1 }], apart);
  },
});

Deno.test({
  ...unsanitized,
  name: "a rank is lost as a run that had come to its end is taken up again",
  async fn() {
    const lost = { rank: 1, hook: "afterRound", step: STEPS } as const;
    const script = await checkResumed(3, [lost], { interval: 5 });
    assert.deepEqual(script, [
      { step: 0, ranks: 3 },
      { step: 12, ranks: 2, members: [0, 2], lostAfter: [{ rank: 1, since: 10 }] },
    ]);
    await checkResumed(3, [lost], { interval: 4, participants: 2 });
  },
});

for (
  const given of [
    { compress: "int8" },
    { algorithm: "slowmo", momentum: 0 },
    { algorithm: "scaffold-clip", momentum: 0 },
    { algorithm: "sparseloco" },
    { participants: 2 },
    { fragments: 2 },
    { ema: 0.9, evalEvery: 0.02 },
  ] as Partial<Options>[]
) {
  Deno.test({
    ...unsanitized,
    name: `a rank is lost, and a replay has the same bits: ${JSON.stringify(given)}`,
    async fn() {
      await check(3, [{ rank: 1, hook: "beforeRound", step: 4 }], given);
    },
  });
}

Deno.test({
  ...unsanitized,
  name: "a rank is lost at any moment of an exchange",
  async fn() {
    const random = new Random(7, "moments");
    for (let i = 0; i < 12; i++) {
      const rank = Math.floor(random.uniform() * 3),
        step = 2 * (1 + Math.floor(random.uniform() * 5));
      await check(3, [{ rank, hook: "beforeRound", step, after: random.uniform() * 6 }]);
    }
  },
});
