/** A run whose ranks are lost and come while it goes on, on ranks of this process, and what it must come to. */

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { membersOf, type Worlds } from "../../../../tasks/data/sampling/worlds.ts";
import { readMetrics } from "../../../../tasks/logs/log_tail.ts";
import type { Options } from "../../../../tasks/options/table.ts";
import { newConfig } from "../../../../tasks/run/folder.ts";
import type { Callback } from "../../../../tasks/training/callbacks/callback.ts";
import { train, type Trained } from "../../../../tasks/training/train.ts";
import { temporaryFolder } from "../../../_helpers/temporary_folder.ts";
import { world } from "../../../_helpers/world.ts";
import { Hall } from "./_hall.ts";
import { byHand, optionsOf, partsOf, replayed, STEPS } from "./_by_hand.ts";

type Hook = "afterStep" | "beforeRound" | "afterRound" | "beforeEvaluation" | "afterEvaluation";

/** Who is lost, and when. */
export interface Loss {
  /** Its number in the job. */
  readonly rank: number;
  readonly hook: Hook;
  readonly step: number;
  /** Milliseconds later. @default {0} */
  readonly after?: number;
}

/** When one knocks at the job; the first gets the number after the last that began with it, and so on. */
export interface Coming {
  /** In whose hook. */
  readonly at: number;
  readonly hook: Hook;
  readonly step: number;
  /** In whose stead. */
  readonly stead: number | null;
  /** Who ends when it is let in, by the number in the job. @default {nobody} */
  readonly ends?: number;
}

/** Trains on ranks of this process, some of which are lost. Returns what one of the others has come to. */
async function live(
  size: number,
  losses: readonly Loss[],
  comings: readonly Coming[],
  given: Partial<Options>,
  from: number | null = null,
) {
  await using folder = await temporaryFolder();
  const options = optionsOf(size, { onFailure: "shrink", ...given });
  await using mesh = await world(size, { onFailure: "return" });
  await using hall = new Hall(mesh);
  const directory = `${folder.path}/run`, dead = new Set<number>();
  // Once one has begun the last step all may have been agreed on some time later: who is lost then was there.
  const late = new Set<number>();
  let begun = 0;
  Deno.mkdirSync(directory);
  // Each rank has a way of its own to the run's folder, so that it can be cut off from that as well.
  const folderOf = (rank: number) => `${folder.path}/${rank}`;
  const all = Array.from({ length: size + comings.length }, (_, rank) => rank);
  for (const rank of all) Deno.symlinkSync(directory, folderOf(rank));
  const kill = (rank: number) => {
    const writer = Math.min(...all.filter((each) => !dead.has(each)));
    dead.add(rank);
    if (rank < size) mesh.kill(rank);
    hall.kill(rank);
    // A process that was killed writes no more; what it has written by then stays, for the others.
    Deno.removeSync(folderOf(rank));
    Deno.mkdirSync(folderOf(rank));
    const log = `${directory}/metrics.jsonl`;
    if (rank !== writer || !existsSync(log)) return;
    Deno.renameSync(log, `${folderOf(rank)}/metrics.jsonl`);
    Deno.copyFileSync(`${folderOf(rank)}/metrics.jsonl`, log);
  };
  const arrivals = comings.map((coming) => ({
    ...coming,
    ready: Promise.withResolvers<void>(),
    calls: Promise.withResolvers<void>(),
  }));
  const dying = (rank: number): Callback => {
    const at = (hook: Hook) => async ({ step }: { readonly step: number }) => {
      for (const coming of arrivals) {
        if (coming.at !== rank || coming.hook !== hook || coming.step !== step) continue;
        await coming.ready.promise;
        coming.calls.resolve();
      }
      const loss = losses.find((each) =>
        each.rank === rank && each.hook === hook && each.step === step
      );
      if (loss && !dead.has(rank)) {
        if (loss.after === undefined) kill(rank);
        else {
          setTimeout(() => {
            if (begun === STEPS) late.add(rank);
            kill(rank);
          }, loss.after);
        }
      }
      await Promise.resolve();
      // A process that was killed does nothing more.
      if (dead.has(rank)) throw new Error("killed");
    };
    return {
      name: "dying",
      beforeStep: ({ step }) => void (begun = Math.max(begun, step)),
      afterStep: at("afterStep"),
      beforeRound: at("beforeRound"),
      afterRound: at("afterRound"),
      beforeEvaluation: at("beforeEvaluation"),
      afterEvaluation: (records) => at("afterEvaluation")(records[0]),
    };
  };
  const { model, task } = partsOf(given);
  const ownParts = (rank: number) => ({
    ...model ? { model } : {},
    ...task
      ? {
        task(place: number, worlds: Worlds) {
          // Nor does one that finds itself alone.
          if (dead.has(rank)) throw new Error("killed");
          return task(place, worlds);
        },
      }
      : {},
    callbacks: [dying(rank)],
    output: { directory: folderOf(rank), config: newConfig(options) },
    checkpoints: { directory: folderOf(rank), from },
  });
  if (from !== null) {
    await using calm = await world(size, { onFailure: "return" });
    await Promise.all(calm.ranks.map((comm, rank) => {
      const checkpoints = { directory: folderOf(rank), from: null };
      return train(comm, options, { ...ownParts(rank), callbacks: [], checkpoints });
    }));
  }
  // What a rank waits for that is alone does not keep a process alive.
  const hold = setInterval(() => {}, 1000);
  const lines: string[] = [], before = console.error;
  console.error = (line: string) => lines.push(line);
  const own = mesh.ranks.map((comm, rank) => train(comm, options, ownParts(rank)));
  const come = arrivals.map(({ stead, ends, ready, calls }, i) =>
    train(
      {
        stead,
        async enter() {
          ready.resolve();
          await calls.promise;
          const { rank, entered } = hall.knock();
          assert.equal(rank, size + i);
          const comm = await entered;
          if (ends !== undefined) kill(ends);
          return comm;
        },
      },
      options,
      ownParts(size + i),
    )
  );
  // Whoever waits to be called does so in vain if another fails.
  for (const [rank, each] of [...own, ...come].entries()) {
    each.catch((error) => {
      if (!dead.has(rank)) { for (const { calls } of arrivals) calls.reject(error); }
    });
  }
  const results = await Promise.allSettled([...own, ...come])
    .finally(() => {
      console.error = before;
      clearInterval(hold);
    });
  const ended: Trained[] = [];
  for (const [rank, result] of results.entries()) {
    if (result.status === "fulfilled") {
      ended.push(result.value);
      dead.delete(rank); // It was over before.
    } else if (!dead.has(rank)) throw result.reason;
  }
  const records = readMetrics(`${directory}/metrics.jsonl`);
  return { ...ended[0], all: ended, dead, late, records, lines };
}

/** Checks a run that had come to its end, with a checkpoint, and loses ranks as it is taken up again there. */
export async function checkResumed(
  size: number,
  losses: readonly Loss[],
  given: Partial<Options>,
): Promise<Worlds> {
  const { summary, all } = await live(
    size,
    losses,
    [],
    { ...given, checkpointEvery: STEPS },
    STEPS,
  );
  assert.equal(all.length, size - losses.length);
  const script: Worlds = summary.membership!;
  const again = await replayed(script, size, { ...given, ranks: size });
  assert.equal(again.summary.weightsHash, summary.weightsHash);
  assert.deepEqual(again.summary.membership, script);
  return script;
}

/** Checks what a run that has lost ranks, and let in others, came to. */
export async function check(
  size: number,
  losses: readonly Loss[],
  given: Partial<Options> = {},
  comings: readonly Coming[] = [],
) {
  const { summary, weights, all, dead, late, records, lines } = await live(
    size,
    losses,
    comings,
    given,
  );
  const script: Worlds = summary.membership ?? [{ step: 0, ranks: size }];
  const told = JSON.stringify({ losses, comings, script });
  assert.deepEqual(
    all.map((each) => each.summary.weightsHash),
    all.map(() => summary.weightsHash),
  );
  assert.equal(summary.identicalWeights, true, told);
  const members = membersOf(script.at(-1)!);
  const missing = members.filter((rank) => late.has(rank) && dead.has(rank));
  assert.ok(all.length <= members.length, told);
  assert.ok(all.length >= members.length - missing.length, told);
  if (comings.length === 0) {
    const living = Array.from({ length: size }, (_, rank) => rank).filter((rank) =>
      !dead.has(rank)
    );
    assert.deepEqual(members.filter((rank) => !missing.includes(rank)), living, told);
  }
  if (Object.keys(given).length === 0) {
    const expected = byHand(script, size);
    const apart = Math.max(...weights.map((x, i) => Math.abs(x - expected.weights[i])));
    assert.ok(apart < 1e-5, `${apart} apart: ${told}`);
    assert.deepEqual(expected.seen, [...expected.seen.keys()], "each sample once");
  }
  const numbers = 1 + Math.max(...script.flatMap(membersOf));
  const again = await replayed(script, numbers, { ...given, checkpointEvery: null, ranks: size });
  assert.equal(again.summary.weightsHash, summary.weightsHash, told);
  assert.deepEqual(again.summary.membership, summary.membership);
  assert.equal(again.summary.rounds, summary.rounds, told);
  // Each step of those that are there is in the log once, and each round.
  for (const rank of new Set(script.flatMap(membersOf))) {
    const steps = records.flatMap((record) =>
      record.type === "step" && record.rank === rank ? [record.step] : []
    );
    assert.deepEqual(steps, [...new Set(steps)], `rank ${rank}, each step once: ${told}`);
    const missing = stepsOf(script, rank).filter((step) => !steps.includes(step));
    assert.deepEqual(missing, [], `rank ${rank}: ${told}`);
  }
  const rounds = records.flatMap((record) => record.type === "round" ? [record] : []);
  assert.deepEqual(rounds.map(({ round }) => round), rounds.map((_, i) => i + 1), told);
  assert.equal(records.filter(({ type }) => type === "summary").length, 1);
  return { script, rounds, lines };
}

/** The steps of a rank that count. */
function stepsOf(script: Worlds, rank: number): number[] {
  return script.flatMap((world, i) => {
    if (!membersOf(world).includes(rank)) return [];
    const next = script[i + 1], lost = next?.lost?.find((each) => each.rank === rank);
    const until = lost ? lost.since : next?.step ?? STEPS;
    return Array.from({ length: Math.max(0, until - world.step) }, (_, k) => world.step + k + 1);
  });
}
