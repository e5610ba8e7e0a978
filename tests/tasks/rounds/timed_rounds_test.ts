import assert from "node:assert/strict";
import { permissionsFor } from "../../../runtime/devices/open.ts";
import { launchProgram } from "../../../runtime/launcher/launch.ts";
import { readMetrics } from "../../../tasks/logs/log_tail.ts";
import type { Summary } from "../../../tasks/logs/records.ts";
import { resolveOptions } from "../../../tasks/options/resolve.ts";
import { decodeSafetensors } from "../../../tasks/networks/safetensors.ts";
import { samplesOf } from "../_mlp.ts";
import { initialWeights, lossAndGradient } from "../_serial.ts";
import { run } from "../../_helpers/train_in_process.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";

const COMMON = { ranks: 3, batchSize: 4, lr: 0.3, clip: 0.2, epochs: 1000, device: "cpu" } as const;

/** Trains the small network on ranks of which the last is slow. */
async function trainUnevenly(
  options: Readonly<Record<string, unknown>> & { readonly ranks: number },
  directory: string,
) {
  let printed = "";
  const { code, failure } = await launchProgram({
    ranks: options.ranks,
    program: new URL("../programs/train_unevenly.ts", import.meta.url),
    args: [JSON.stringify(options), directory],
    allow: [...permissionsFor("cpu"), `read=${directory}`, `write=${directory}`],
    quiet: true,
    onOutput: (rank, line, stream) => {
      if (rank === 0 && stream === "stdout") printed += line;
    },
  });
  assert.equal(code, 0, failure?.message ?? "");
  const summary: Summary = JSON.parse(printed);
  return { summary, records: readMetrics(`${directory}/metrics.jsonl`) };
}

Deno.test("ranks of unequal speed take unequal numbers of steps between two rounds", async () => {
  await using folder = await temporaryFolder();
  const maxSteps = 40, options = { ...COMMON, syncEvery: 0.3, maxSteps, evalEvery: 0.1 };
  const { summary, records } = await trainUnevenly(options, folder.path), { ranks, clip } = COMMON;
  const rounds = records.flatMap((record) => record.type === "round" ? record : []);
  assert.equal(rounds.length, summary.rounds);
  const total = (numbers: readonly number[]) => numbers.reduce((sum, each) => sum + each, 0);
  let taken = 0;
  for (const { steps, drift, driftBound, step, participants } of rounds) {
    assert.ok(taken < ranks * maxSteps, "it goes on although all have done enough");
    assert.equal(steps!.length, ranks);
    assert.ok(steps!.every((count) => count >= 1));
    taken += total(steps!);
    assert.equal(step, Math.floor(taken / ranks));
    assert.deepEqual(participants, [0, 1, 2]);
    assert.equal(driftBound, 2 * clip * Math.max(...steps!));
    assert.ok(drift > 0 && drift <= driftBound);
  }
  assert.ok(taken >= ranks * maxSteps);
  const byRank = summary.stepsByRank!;
  assert.deepEqual(byRank, [0, 1, 2].map((rank) => total(rounds.map(({ steps }) => steps![rank]))));
  assert.ok(byRank[0] > byRank[2] && byRank[1] > byRank[2], `${byRank}`);
  assert.equal(summary.steps, Math.floor(taken / ranks));
  assert.ok(summary.identicalWeights && summary.testLoss! < summary.untrainedLoss!);
  for (let rank = 0; rank < ranks; rank++) {
    const own = records.flatMap((record) =>
      record.type === "step" && record.rank === rank ? record.step : []
    );
    assert.deepEqual(own, Array.from({ length: byRank[rank] }, (_, i) => i + 1));
  }
  // The steps' time holds that of the rounds they led to, as it does where rounds go by steps.
  const stepMs = records.flatMap((record) => record.type === "step" ? record.stepMs : []);
  assert.ok(Math.abs(total(stepMs) / 1000 / ranks - summary.trainSeconds) < 1e-3);
  const losses = records.filter(({ type }) => type === "eval");
  assert.ok(losses.length > 2, "the averaged weights were evaluated on the way");
});

Deno.test("weighed by samples, an average is that of the steps taken, redone by hand", async () => {
  await using folder = await temporaryFolder();
  const options = { ...COMMON, syncEvery: 0.2, maxSteps: 25, weigh: "samples", evalEvery: 1000 };
  const { summary, records } = await trainUnevenly(options, folder.path);
  const { ranks, batchSize, lr, clip } = COMMON;
  const rounds = records.flatMap((record) => record.type === "round" ? record : []);
  const norm = (v: number[]) => Math.sqrt(v.reduce((sum, x) => sum + x * x, 0));
  let common = initialWeights(1);
  const taken = [0, 0, 0];
  for (const { steps, drift, driftBound } of rounds) {
    const all = steps!.reduce((sum, n) => sum + n, 0);
    const own = steps!.map((n, rank) => {
      const x = [...common];
      for (let i = 0; i < n; i++) {
        const samples = samplesOf(++taken[rank], rank, ranks, batchSize);
        const { gradient } = lossAndGradient(x, samples);
        const scale = Math.min(lr, clip / norm(gradient));
        gradient.forEach((g, at) => x[at] -= scale * g);
      }
      return x;
    });
    common = common.map((_, i) => own.reduce((sum, x, rank) => sum + steps![rank] / all * x[i], 0));
    const distance = Math.max(...own.map((x) => norm(x.map((value, i) => value - common[i]))));
    assert.ok(Math.abs(drift - distance) < 1e-4, `${drift} by the ranks, ${distance} by hand`);
    const mean = steps!.reduce((sum, n) => sum + n * n / all, 0);
    assert.ok(Math.abs(driftBound! - clip * (mean + Math.max(...steps!))) < 1e-9);
    assert.ok(drift <= driftBound! && driftBound! <= 2 * clip * Math.max(...steps!));
  }
  assert.ok(rounds.some(({ steps }) => new Set(steps).size > 1), "ranks took unequal numbers");
  const { tensors } = decodeSafetensors(await Deno.readFile(`${folder.path}/model.safetensors`));
  const weights = tensors.flatMap(({ data }) => [...data]);
  const apart = norm(weights.map((x, i) => x - common[i]));
  assert.ok(apart < 1e-3, `${apart} apart`);
  assert.equal(summary.identicalWeights, true);
});

Deno.test("weighed by samples, ranks that learn from as much are averaged to the bits of a plain mean", async () => {
  const timed = { ...COMMON, maxSteps: 7, syncEvery: 3600 };
  const [plain, weighed] = [await run(timed), await run({ ...timed, weigh: "samples" })];
  for (const same of ["weightsHash", "maxDrift", "driftBound", "totalBytesSent"] as const) {
    assert.equal(weighed.summary[same], plain.summary[same], same);
  }
  const { records } = await run({ ...timed, syncEvery: 0.02, weigh: "samples", participants: 2 });
  assert.ok(records.some((record) => record.type === "round" && record.participants.length === 2));
});

Deno.test("a time longer than the run is one round, with as many steps on each rank as by steps", async () => {
  const common = { ...COMMON, maxSteps: 7 };
  const timed = await run({ ...common, syncEvery: 3600 });
  const { summary } = await run({ ...common, interval: 7 });
  assert.deepEqual(timed.summary.stepsByRank, [7, 7, 7]);
  assert.equal(timed.summary.rounds, 1);
  for (
    const same of [
      "weightsHash",
      "testLoss",
      "trainLoss",
      "clipRate",
      "maxDrift",
      "driftBound",
      "totalBytesSent",
    ] as const
  ) {
    assert.equal(timed.summary[same], summary[same], same);
  }
});

Deno.test("some of the ranks can average in a round by the clock", async () => {
  const { summary, records } = await run({
    ...COMMON,
    maxSteps: 9,
    syncEvery: 0.02,
    participants: 2,
  });
  const rounds = records.flatMap((record) => record.type === "round" ? record : []);
  assert.equal(rounds.length, summary.rounds);
  // The mean of all ranks, two of which met in the last round.
  const { participants, final } = rounds.pop()!;
  assert.deepEqual([participants, final], [[0, 1, 2], true]);
  assert.ok(
    rounds.every(({ participants, driftBound }) =>
      participants.length === 2 && driftBound === null
    ),
  );
  assert.ok(summary.identicalWeights);
});

Deno.test("rounds by the clock take the place of an interval, and go with some options only", () => {
  assert.equal(resolveOptions({ syncEvery: 2 }).interval, 1);
  // As a sweep or a file gives them: resolved before.
  assert.equal(resolveOptions(resolveOptions({ syncEvery: 2 }) as never).syncEvery, 2);
  for (
    const [given, message] of [
      [{ interval: 4 }, /^--sync-every and --interval both say when a round is/],
      [{ checkpointEvery: 5 }, /^--checkpoint-every does not go with --sync-every/],
      [{ maxRestarts: 1 }, /^--on-failure restart does not go with/],
      [{ overlap: true }, /^--overlap does not go with/],
      [{ algorithm: "diloco" }, /^the rounds of diloco cannot go by the clock/],
      [{ average: "before" }, /^the rounds of celgc cannot/],
      [{ syncEvery: 0 }, /^--sync-every must be a number above 0, not 0/],
      [{ fragments: 2 }, /^--fragments 2 does not go with --sync-every/],
      [{ interval: "1..9:1,4" }, /^--sync-every and --interval both say when/],
      [{ syncEvery: null, weigh: "samples" }, /^--weigh samples is for rounds by the clock/],
    ] as const
  ) {
    assert.throws(() => resolveOptions({ syncEvery: 2, ...given }), {
      name: "OptionError",
      message,
    });
  }
});
