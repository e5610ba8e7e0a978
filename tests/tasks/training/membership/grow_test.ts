/**
 * Ranks come to a run while it goes on, most of them in the stead of lost ones: what they come to is what copies of the
 * network come to that leave and come by hand, and a replay of the record has the same bits.
 */

import assert from "node:assert/strict";
import { drawParticipants } from "../../../../optimizers/mod.ts";
import { Random } from "../../../../runtime/base/random.ts";
import type { Options } from "../../../../tasks/options/table.ts";
import { OptionError } from "../../../../tasks/options/kinds.ts";
import { trainInProcess } from "../../../_helpers/train_in_process.ts";
import { check, type Coming, type Loss } from "./_living.ts";

const unsanitized = { sanitizeOps: false, sanitizeResources: false }; // the engine keeps its threads

const BACK = [
  { step: 0, ranks: 3 },
  { step: 4, ranks: 2, members: [0, 2], lost: [{ rank: 1, since: 2 }] },
  { step: 6, ranks: 3, members: [0, 2, 1] },
];

const TEXT = { task: "generated-text", trainSize: 3000, testSize: 300 } as const;

const LSTM = { ...TEXT, embedding: 8, hidden: 12, layers: 2, bptt: 12, lr: 5 };

const lost: Loss = { rank: 1, hook: "beforeRound", step: 4 };
const back: Coming = { at: 0, hook: "beforeRound", step: 6, stead: 1 };

Deno.test({
  ...unsanitized,
  name: "a rank that is started again is back with the average after a round",
  async fn() {
    const { script, rounds, lines } = await check(3, [lost], {}, [back]);
    assert.deepEqual(script, BACK);
    assert.deepEqual(
      rounds.slice(0, 4).map(({ participants }) => participants),
      [[0, 1, 2], [0, 2], [0, 2], [0, 2, 1]],
    );
    assert.deepEqual(lines, ["rank 1 is back at step 6: 3 ranks"]);
  },
});

Deno.test({
  ...unsanitized,
  name: "one comes at once with the loss, in nobody's stead, or where the first was lost",
  async fn() {
    const { script } = await check(3, [lost], {}, [{ ...back, step: 4 }]);
    assert.deepEqual(script.map(({ step }) => step), [0, 4, 4]);
    const more = await check(2, [], {}, [{ at: 1, hook: "afterRound", step: 4, stead: null }]);
    assert.deepEqual(more.script, [{ step: 0, ranks: 2 }, {
      step: 4,
      ranks: 3,
      members: [0, 1, 2],
    }]);
    assert.ok(more.lines.includes("rank 2 has come at step 4: 3 ranks"), more.lines.join("\n"));
    const first = await check(3, [{ rank: 0, hook: "afterRound", step: 4 }], {}, [
      { at: 1, hook: "afterStep", step: 7, stead: 0 },
    ]);
    assert.deepEqual(first.script.at(-1), { step: 8, ranks: 3, members: [1, 2, 0] });
  },
});

Deno.test({
  ...unsanitized,
  name: "ranks come until nobody is left of those who began",
  async fn() {
    const { script } = await check(
      2,
      [
        { rank: 1, hook: "beforeRound", step: 2 },
        { rank: 0, hook: "beforeRound", step: 8 },
        { rank: 2, hook: "afterRound", step: 10 },
      ],
      {},
      [
        { at: 0, hook: "beforeRound", step: 4, stead: 1 },
        { at: 2, hook: "beforeRound", step: 8, stead: 0 },
      ],
    );
    assert.deepEqual(script.at(-1), {
      ...{ step: 10, ranks: 1, members: [0] },
      lost: [{ rank: 1, since: 8 }],
    });
  },
});

Deno.test({
  ...unsanitized,
  name: "one of two that come is lost when it is let in, and so is one that lets them in",
  async fn() {
    const twice: Coming[] = [{ ...back, ends: 3 }, { ...back, stead: null }];
    const { script } = await check(3, [lost], {}, twice);
    assert.equal(script.at(-1)!.ranks, 3);
    await check(3, [lost, { rank: 2, hook: "afterRound", step: 6 }], {}, [back]);
    const random = new Random(11, "moments");
    for (let i = 0; i < 6; i++) {
      const rank = [0, 2, 3][i % 3], hook = rank === 3 ? "beforeRound" : "afterRound";
      const moment: Loss = { rank, hook, step: rank === 3 ? 8 : 6, after: random.uniform() * 8 };
      await check(3, [lost, moment], {}, [back]);
    }
  },
});

Deno.test({
  ...unsanitized,
  name: "one that was not drawn for a round and is lost after it leaves its samples to the others",
  async fn() {
    const [first, second, third] = [1, 2, 3].map((round) => drawParticipants(5, round, 3, 2));
    const undrawn = [0, 1, 2].find((rank) => !third.includes(rank))!;
    assert.ok(undrawn > 0 && second.includes(undrawn) && first.length === 2);
    const coming: Coming = { ...back, stead: null, ends: undrawn };
    const { script } = await check(3, [], { participants: 2 }, [coming]);
    const others = [0, 1, 2].filter((rank) => rank !== undrawn);
    assert.deepEqual(script, [
      { step: 0, ranks: 3 },
      {
        ...{ step: 6, ranks: 3, members: [...others, 3] },
        lostAfter: [{ rank: undrawn, since: 4 }],
      },
    ]);
  },
});

Deno.test({
  ...unsanitized,
  name: "one that comes and ends at once leaves no trace",
  async fn() {
    const controls = { algorithm: "scaffold-clip", momentum: 0 } as const;
    const none = await check(2, [], controls, [{ ...back, stead: null, ends: 2 }]);
    assert.deepEqual(none.script, [{ step: 0, ranks: 2 }]);
    const { script } = await check(3, [lost], { ...LSTM, compress: "int8" }, [
      back,
      { ...back, step: 10, stead: null, ends: 4 },
    ]);
    assert.deepEqual(script, BACK);
  },
});

for (
  const given of [
    { compress: "int8" },
    { compress: "topk:0.2" },
    { algorithm: "slowmo", momentum: 0 },
    { algorithm: "scaffold-clip", momentum: 0 },
    { algorithm: "scaffold-clip", momentum: 0, participants: 2 },
    { algorithm: "diloco", optimizer: "adamw", momentum: 0, lr: 0.01 },
    { algorithm: "sparseloco" },
    { participants: 2 },
    { fragments: 2, accumulate: 2 },
    { ema: 0.9, evalEvery: 0.02, checkpointEvery: 3 },
    { averageStates: true, interval: "1..4:1,2" },
    { ...TEXT, model: "gpt", layers: 1, heads: 2, width: 12, context: 10, momentum: 0 },
  ] as Partial<Options>[]
) {
  Deno.test({
    ...unsanitized,
    name: `a rank comes back, and a replay has the same bits: ${JSON.stringify(given)}`,
    async fn() {
      await check(3, [lost], given, [back]);
    },
  });
}

Deno.test({
  ...unsanitized,
  name: "data that is too little for as many ranks as may come is told before the first step",
  async fn() {
    const small = {
      ...LSTM,
      trainSize: 300,
      batchSize: 20,
      maxSteps: 1,
      ranks: 2,
      elastic: "1..8",
    };
    await assert.rejects(trainInProcess(small, () => ({})), (error: Error) => {
      assert.ok(error instanceof OptionError);
      assert.match(error.message, /--elastic allows 8 ranks, .* 300 tokens in 160 columns/);
      return true;
    });
  },
});
