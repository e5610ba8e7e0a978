/**
 * Ranks are lost in every phase of a run, and the others go on: what they come to is what copies of the network come to
 * that leave by hand, and a replay of the record has the same bits.
 */

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { Random } from "../../../../runtime/base/random.ts";
import { membersOf, type Worlds } from "../../../../tasks/data/sampling/worlds.ts";
import { readMetrics } from "../../../../tasks/logs/log_tail.ts";
import type { Options } from "../../../../tasks/options/table.ts";
import { newConfig } from "../../../../tasks/run/folder.ts";
import type { Callback } from "../../../../tasks/training/callbacks/callback.ts";
import { train, type Trained } from "../../../../tasks/training/train.ts";
import { temporaryFolder } from "../../../_helpers/temporary_folder.ts";
import { world } from "../../../_helpers/world.ts";
import { mlp } from "../../_mlp.ts";
import { byHand, optionsOf, replayed, STEPS, task } from "./_by_hand.ts";

type Hook = "afterStep" | "beforeRound" | "afterRound" | "beforeEvaluation" | "afterEvaluation";

/** Who is lost, and when. */
interface Loss {
  readonly rank: number;
  readonly hook: Hook;
  readonly step: number;
  /** Milliseconds later. @default {0} */
  readonly after?: number;
}

/** Trains on ranks of this process, some of which are lost. Returns what one of the others has come to. */
async function shrunk(size: number, losses: readonly Loss[], given: Partial<Options> = {}) {
  await using folder = await temporaryFolder();
  const options = optionsOf(size, { onFailure: "shrink", ...given });
  await using mesh = await world(size, { onFailure: "return" });
  const directory = `${folder.path}/run`, dead = new Set<number>();
  Deno.mkdirSync(directory);
  // Each rank has a way of its own to the run's folder, so that it can be cut off from that as well.
  const folderOf = (rank: number) => `${folder.path}/${rank}`;
  for (const rank of mesh.ranks.keys()) Deno.symlinkSync(directory, folderOf(rank));
  const kill = (rank: number) => {
    const writer = Math.min(...[...mesh.ranks.keys()].filter((each) => !dead.has(each)));
    dead.add(rank);
    mesh.kill(rank);
    // A process that was killed writes no more; what it has written by then stays, for the others.
    Deno.removeSync(folderOf(rank));
    Deno.mkdirSync(folderOf(rank));
    const log = `${directory}/metrics.jsonl`;
    if (rank !== writer || !existsSync(log)) return;
    Deno.renameSync(log, `${folderOf(rank)}/metrics.jsonl`);
    Deno.copyFileSync(`${folderOf(rank)}/metrics.jsonl`, log);
  };
  const dying = (rank: number): Callback => {
    const own = losses.filter((loss) => loss.rank === rank);
    const at = (hook: Hook) => async ({ step }: { readonly step: number }) => {
      const loss = own.find((each) => each.hook === hook && each.step === step);
      if (loss && !dead.has(rank)) {
        if (loss.after === undefined) kill(rank);
        else setTimeout(() => kill(rank), loss.after);
      }
      await Promise.resolve();
      // A process that was killed does nothing more.
      if (dead.has(rank)) throw new Error("killed");
    };
    return {
      name: "dying",
      afterStep: at("afterStep"),
      beforeRound: at("beforeRound"),
      afterRound: at("afterRound"),
      beforeEvaluation: at("beforeEvaluation"),
      afterEvaluation: (records) => at("afterEvaluation")(records[0]),
    };
  };
  const results = await Promise.allSettled(mesh.ranks.map((comm, rank) =>
    train(comm, options, {
      model: mlp,
      task(place, worlds) {
        // Nor does one that finds itself alone.
        if (dead.has(rank)) throw new Error("killed");
        return task(place, worlds);
      },
      callbacks: [dying(rank)],
      output: { directory: folderOf(rank), config: newConfig(options) },
      checkpoints: { directory: folderOf(rank), from: null },
    })
  ));
  const ended: Trained[] = [];
  for (const [rank, result] of results.entries()) {
    if (result.status === "fulfilled") {
      ended.push(result.value);
      dead.delete(rank); // It was over before.
    } else if (!dead.has(rank)) throw result.reason;
  }
  return { ...ended[0], all: ended, dead, records: readMetrics(`${directory}/metrics.jsonl`) };
}

/** Checks what a run that has lost ranks came to. */
async function check(size: number, losses: readonly Loss[], given: Partial<Options> = {}) {
  const { summary, weights, all, dead, records } = await shrunk(size, losses, given);
  const script: Worlds = summary.membership ?? [{ step: 0, ranks: size }];
  const living = Array.from({ length: size }, (_, rank) => rank).filter((rank) => !dead.has(rank));
  const told = JSON.stringify({ losses, script });
  assert.deepEqual(
    all.map((each) => each.summary.weightsHash),
    living.map(() => summary.weightsHash),
  );
  assert.equal(summary.identicalWeights, true, told);
  // Some milliseconds after the last round but one all may have been agreed on: who is lost then was there.
  const late = losses.filter(({ step, after }) => after !== undefined && step === STEPS - 2);
  const members = membersOf(script.at(-1)!);
  const lived = members.filter((rank) =>
    !late.some((loss) => loss.rank === rank && dead.has(rank))
  );
  assert.deepEqual(lived, living, told);
  if (Object.keys(given).length === 0) {
    const expected = byHand(script, size);
    const apart = Math.max(...weights.map((x, i) => Math.abs(x - expected.weights[i])));
    assert.ok(apart < 1e-5, `${apart} apart: ${told}`);
    assert.deepEqual(expected.seen, [...expected.seen.keys()], "each sample once");
  }
  const again = await replayed(script, size, { ...given, checkpointEvery: null });
  assert.equal(again.summary.weightsHash, summary.weightsHash, told);
  assert.deepEqual(again.summary.membership, summary.membership);
  assert.equal(again.summary.rounds, summary.rounds, told);
  // Each step of those that are there is in the log once, and each round.
  for (const rank of living) {
    const steps = records.flatMap((record) =>
      record.type === "step" && record.rank === rank ? [record.step] : []
    );
    assert.deepEqual(
      steps,
      Array.from({ length: STEPS }, (_, i) => i + 1),
      `rank ${rank}: ${told}`,
    );
  }
  const rounds = records.flatMap((record) => record.type === "round" ? [record] : []);
  assert.deepEqual(rounds.map(({ round }) => round), rounds.map((_, i) => i + 1), told);
  assert.equal(records.filter(({ type }) => type === "summary").length, 1);
  return { script, rounds };
}

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
