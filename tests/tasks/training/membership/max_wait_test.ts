/** Ranks that are late are left out of a round and come back; the same run again, from its record, has the same bits. */

import assert from "node:assert/strict";
import { permissionsFor } from "../../../../runtime/devices/open.ts";
import { BY_BATCHES, Deal } from "../../../../tasks/data/sampling/deal.ts";
import { membersOf, type Worlds } from "../../../../tasks/data/sampling/worlds.ts";
import type { Options } from "../../../../tasks/options/table.ts";
import { resolveOptions } from "../../../../tasks/options/resolve.ts";
import { LeftError } from "../../../../tasks/training/membership/members.ts";
import { train, type Trained, type TrainParts } from "../../../../tasks/training/train.ts";
import { run } from "../../../_helpers/jobs.ts";
import { checkpointSteps } from "../../../../tasks/run/checkpoint.ts";
import { temporaryFolder } from "../../../_helpers/temporary_folder.ts";
import { world } from "../../../_helpers/world.ts";
import { mlp, mlpTask } from "../../_mlp.ts";

const BATCH = 3;

const sleep = (ms: number) => new Promise<void>((wake) => setTimeout(wake, ms));

/** What each rank ends with; null for one that was left out at the end. */
async function ranksTrain(
  given: Partial<Options>,
  parts: (rank: number) => TrainParts,
): Promise<{ ended: (Trained | null)[]; lines: string[] }> {
  const options = resolveOptions({
    ...{ device: "cpu", ranks: 3, batchSize: BATCH, maxSteps: 24, interval: 2, momentum: 0.6 },
    ...{ lr: 0.8, clip: 0.3, seed: 5, epochs: 1000, evalEvery: 1000 },
    ...given,
  });
  const lines: string[] = [], before = console.error;
  console.error = (line: string) => lines.push(line);
  try {
    await using mesh = await world(options.ranks);
    const results = await Promise.allSettled(mesh.ranks.map((comm) =>
      train(comm, options, {
        model: mlp,
        task(place, worlds) {
          const { ranks } = worlds.at(-1)!, deal = Deal.of(worlds, BATCH, BY_BATCHES, ranks);
          const samples = (t: number) =>
            Array.from({ length: BATCH }, (_, i) => deal.place(t - 1, i, place));
          return mlpTask(place, ranks, BATCH, samples);
        },
        ...parts(comm.rank),
      })
    ));
    const ended = results.map((result) => {
      if (result.status === "fulfilled") return result.value;
      if (result.reason instanceof LeftError) return null;
      throw result.reason;
    });
    return { ended, lines };
  } finally {
    console.error = before;
  }
}

/** Ranks take a moment for each step, and some much longer for certain ones. */
const slow =
  (delays: Readonly<Record<number, Readonly<Record<number, number>>>>) => (rank: number) => ({
    callbacks: [{
      name: "slow",
      beforeStep: ({ step }: { step: number }) => sleep(delays[rank]?.[step] ?? 15),
    }],
  });

/** Runs again what a run's record says, and compares. */
async function replays(first: Trained, given: Partial<Options> = {}): Promise<void> {
  const script = first.summary.membership as Worlds;
  const { ended } = await ranksTrain(given, () => ({ replay: script }));
  const again = ended.find((each) => each !== null)!;
  assert.equal(again.summary.weightsHash, first.summary.weightsHash);
  assert.deepEqual(again.summary.membership, script);
}

Deno.test("a rank that is late is left out, comes back with the average, and a replay has the same bits", async () => {
  const given = { maxSteps: 100 };
  const { ended, lines } = await ranksTrain({ ...given, maxWait: 0.2 }, slow({ 2: { 6: 700 } }));
  const [first, ...others] = ended;
  for (const other of others) assert.equal(other!.summary.weightsHash, first!.summary.weightsHash);
  const worlds = first!.summary.membership as Worlds;
  assert.deepEqual(worlds.map(membersOf), [[0, 1, 2], [0, 1], [0, 1, 2]]);
  assert.equal(worlds[1].step, 6);
  assert.deepEqual(worlds[1].lost, [{ rank: 2, since: 4 }]);
  assert.ok(worlds[2].step > 6 && worlds[2].step < 100, `back after step ${worlds[2].step}`);
  assert.match(
    lines.find((line) => line.startsWith("left out"))!,
    /^left out: rank 2, which had not come to the others after step 6 within 0.2 s$/,
  );
  assert.ok(
    lines.some((line) => line === `rank 2 is back after step ${worlds[2].step}, with the average`),
  );
  await replays(first!, given);
});

Deno.test("ranks that are in time are as without a limit", async () => {
  const { ended: [limited], lines } = await ranksTrain({ maxWait: 60 }, slow({}));
  const { ended: [free] } = await ranksTrain({}, () => ({}));
  assert.equal(limited!.summary.weightsHash, free!.summary.weightsHash);
  assert.equal(limited!.summary.membership, undefined);
  assert.deepEqual(lines.filter((line) => /left out|is back/.test(line)), []);
});

Deno.test("a rank that is late for the end has no part in it, and ends as well", async () => {
  const given = { maxWait: 0.2, maxSteps: 8 };
  const { ended } = await ranksTrain(given, slow({ 1: { 7: 1500 } }));
  assert.equal(ended[1], null);
  const [first, , last] = ended;
  assert.equal(first!.summary.weightsHash, last!.summary.weightsHash);
  assert.deepEqual(membersOf((first!.summary.membership as Worlds).at(-1)!), [0, 2]);
  await replays(first!, { maxSteps: 8 });
});

Deno.test("several ranks are left out and come back in turn, also where weights travel compressed", async () => {
  const given = { ranks: 4, maxWait: 0.15, maxSteps: 30, compress: "int8" } as const;
  const { ended } = await ranksTrain(given, slow({ 1: { 5: 600 }, 3: { 6: 300, 19: 500 } }));
  const first = ended.find((each) => each !== null)!;
  for (const other of ended) {
    if (other) assert.equal(other.summary.weightsHash, first.summary.weightsHash);
  }
  const worlds = first.summary.membership as Worlds;
  assert.ok(worlds.length >= 4, JSON.stringify(worlds));
  const { ranks, maxSteps, compress } = given;
  await replays(first, { ranks, maxSteps, compress });
});

Deno.test("of two ranks one goes on alone, and the other comes back", async () => {
  const given = { ranks: 2, maxSteps: 80 };
  const { ended } = await ranksTrain({ ...given, maxWait: 0.2 }, slow({ 1: { 4: 600 } }));
  const [first, other] = ended;
  assert.equal(first!.summary.weightsHash, other!.summary.weightsHash);
  const worlds = first!.summary.membership as Worlds;
  assert.deepEqual(worlds.map(membersOf), [[0, 1], [0], [0, 1]]);
  await replays(first!, given);
});

Deno.test("one that comes back where there is nothing left to do ends as well", async () => {
  // It comes while the others are in their last round.
  for (const ms of [260, 300, 340, 380]) {
    const given = { maxSteps: 12, maxWait: 0.2 };
    const { ended } = await ranksTrain(given, slow({ 1: { 10: ms } }));
    assert.ok(ended[0] && ended[2]);
    assert.equal(ended[0].summary.weightsHash, ended[2].summary.weightsHash);
  }
});

Deno.test("the first rank is waited for, however long it takes", async () => {
  const { ended } = await ranksTrain({ maxWait: 0.1, maxSteps: 8 }, slow({ 0: { 3: 500 } }));
  assert.equal(ended[0]!.summary.membership, undefined);
});

for (
  const [what, at, ms, told] of [
    ["comes back", 10, 900, ["summary", "summary", "summary"]],
    ["is late for the end", 59, 1500, ["summary", "left", "summary"]],
  ] as const
) {
  Deno.test(`a process that is left out and ${what} ends as the others do`, async () => {
    const { code, failure, lines } = await run({
      ranks: 3,
      program: new URL("../programs/late.ts", import.meta.url),
      args: ["1", `${at}`, `${ms}`, "0.3"],
      allow: permissionsFor("cpu"),
    });
    assert.equal(code, 0, failure?.message ?? "");
    const last = lines.map((own) => own.at(-1)!.split(" "));
    assert.deepEqual(last.map(([word]) => word), told);
    const summaries = new Set(last.filter(([word]) => word === "summary").map(([, text]) => text));
    assert.equal(summaries.size, 1, [...summaries].join("\n"));
    const { membership } = JSON.parse([...summaries][0]);
    assert.deepEqual(membership[1].members, [0, 2]);
    assert.equal(membership.length, told.includes("left" as never) ? 2 : 3);
  });
}

Deno.test("checkpoints by the clock are written while ranks keep leaving and coming", async () => {
  await using folder = await temporaryFolder();
  const late = Object.fromEntries(Array.from({ length: 12 }, (_, i) => [6 + 10 * i, 400]));
  const given = { maxSteps: 140, maxWait: 0.1, checkpointEvery: "1s", keep: 10 } as const;
  const { ended } = await ranksTrain(given, (rank) => ({
    ...slow({ 2: late })(rank),
    checkpoints: { directory: folder.path, from: null },
  }));
  const worlds = ended[0]!.summary.membership as Worlds;
  assert.ok(worlds.length > 8, JSON.stringify(worlds));
  const steps = await checkpointSteps(folder.path);
  assert.ok(steps.length >= 2, `after steps ${steps} of ${JSON.stringify(worlds)}`);
});
