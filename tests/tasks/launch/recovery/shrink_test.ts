import assert from "node:assert/strict";
import type { MetricRecord } from "../../../../tasks/logs/records.ts";
import { launch, type LaunchOptions, RunFailedError } from "../../../../tasks/launch/launch.ts";
import { readMetrics } from "../../../../tasks/logs/log_tail.ts";
import { OptionError } from "../../../../tasks/options/kinds.ts";
import { resolveOptions } from "../../../../tasks/options/resolve.ts";
import { findRun } from "../../../../tasks/run/resume.ts";
import { temporaryFolder } from "../../../_helpers/temporary_folder.ts";

const LONG = {
  ...{ ranks: 3, interval: 2, maxSteps: 120, epochs: 100, evalEvery: 2, trainSize: 150 },
  ...{ testSize: 20, device: "cpu", momentum: 0.9, batchSize: 4 },
} as const satisfies LaunchOptions;

/** Kills the process of one of a run's ranks. */
async function kill(directory: string, rank: number): Promise<void> {
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const read = (file: string) => Deno.readTextFile(`/proc/${name}/${file}`).catch(() => "");
    const args = (await read("cmdline")).split("\0");
    if (!args.includes(directory)) continue;
    const environment = (await read("environ")).split("\0");
    if (environment.includes(`CELGC_RANK=${rank}`)) Deno.kill(Number(name), "SIGKILL");
  }
}

/** Kills ranks when the run has come to certain steps. */
function killer(directory: string, at: ReadonlyMap<number, number>) {
  const left = new Map(at);
  return (record: MetricRecord) => {
    for (const [rank, step] of left) {
      if (record.type !== "step" || record.step < step) continue;
      left.delete(rank);
      void kill(directory, rank);
    }
  };
}

const linux = { ignore: Deno.build.os !== "linux" };

Deno.test({
  ...linux,
  name: "killed ranks, the first among them, are left out, and a replay has the same bits",
  async fn() {
    await using folder = await temporaryFolder();
    const out = `${folder.path}/run`;
    // Far enough apart that the first loss is over where steps are fast, too.
    const onRecord = killer(out, new Map([[1, 7], [0, 90]])), maxSteps = 200;
    const given = { ...LONG, maxSteps, checkpointEvery: 5 };
    const run = await launch({ ...given, onFailure: "shrink", out, onRecord });
    const { summary } = run;
    assert.equal(summary.ranks, 1);
    assert.equal(summary.steps, maxSteps);
    assert.equal(summary.membership?.length, 3);
    assert.deepEqual(summary.membership?.at(-1)?.members, [2]);
    const steps = readMetrics(`${out}/metrics.jsonl`)
      .flatMap((record) => record.type === "step" && record.rank === 2 ? [record.step] : []);
    assert.deepEqual(steps, Array.from({ length: maxSteps }, (_, i) => i + 1), "each step once");
    const again = await launch({ replay: out, out: `${folder.path}/again` });
    assert.equal(again.summary.weightsHash, summary.weightsHash);
    assert.deepEqual(again.summary.membership, summary.membership);
  },
});

Deno.test({
  ...linux,
  name: "with fewer ranks than --elastic allows a run stops with a checkpoint, and can go on",
  async fn() {
    await using folder = await temporaryFolder();
    const out = `${folder.path}/run`, onRecord = killer(out, new Map([[2, 7]]));
    await assert.rejects(launch({ ...LONG, elastic: "3..3", out, onRecord }), (error) => {
      assert.ok(error instanceof RunFailedError, `${error}`);
      assert.match(error.message, /stopped after step \d+, with a checkpoint: it has lost rank 2/);
      assert.equal(error.code, 85);
      return true;
    });
    const goesOn = async (given: LaunchOptions) => {
      const { options } = await findRun({ resume: out, ...given });
      return [options.onFailure, options.elastic, options.maxRestarts];
    };
    assert.deepEqual(await goesOn({ maxRestarts: 5 }), ["shrink", "3..3", 5]);
    assert.deepEqual(await goesOn({ onFailure: "restart" }), ["restart", null, 3]);
    const resumed = await launch({ resume: out });
    assert.equal(resumed.summary.steps, LONG.maxSteps);
    assert.equal(resumed.summary.ranks, 3);
  },
});

Deno.test({
  ...linux,
  name:
    "a killed rank is started again, comes back with the average, and a replay has the same bits",
  async fn() {
    await using folder = await temporaryFolder();
    const out = `${folder.path}/run`, onRecord = killer(out, new Map([[1, 3]]));
    // The link makes rounds slow on any machine, so that there is time for a process to start.
    const given = { ...LONG, maxSteps: 60, evalEvery: 1000, link: "100mbit,20ms" };
    const { summary } = await launch({ ...given, elastic: "1..3", out, onRecord });
    const [, left, back] = summary.membership ?? [];
    assert.deepEqual(left?.members, [0, 2], JSON.stringify(summary.membership));
    assert.deepEqual({ ...back, step: 0 }, { step: 0, ranks: 3, members: [0, 2, 1] });
    assert.ok(back.step > left.step && back.step < 60);
    assert.equal(summary.ranks, 3);
    const again = await launch({ replay: out, out: `${folder.path}/again`, link: null });
    assert.equal(again.summary.weightsHash, summary.weightsHash);
    assert.deepEqual(again.summary.membership, summary.membership);
  },
});

Deno.test("what cannot go on without a rank is refused with a reason", () => {
  const refused = (given: LaunchOptions, message: RegExp) =>
    assert.throws(() => resolveOptions({ onFailure: "shrink", ranks: 2, ...given }), (error) => {
      assert.ok(error instanceof OptionError, `${error}`);
      assert.match(error.message, message);
      return true;
    });
  refused({ algorithm: "naive-parallel" }, /where a step needs the gradients of all ranks/);
  refused({ algorithm: "single", ranks: 1 }, /whose ranks never average weights/);
  refused({ algorithm: "episode" }, /where a step needs the gradients of all ranks/);
  refused({ overlap: true }, /is on its way while steps go on/);
  refused({ syncEvery: 1, interval: 1 }, /does not go with --sync-every/);
  refused({ partition: "dirichlet:0.5" }, /what a rank alone has would be lost/);
  refused({ sampling: "dirichlet:1", participants: 1 }, /draws from a fixed number of ranks/);
  refused({ elastic: "3..4" }, /has to hold the ranks that a run begins with, 2/);
  refused({ elastic: "3" }, /--elastic must be fewest and most ranks, such as 2\.\.4/);
  refused({ elastic: "1..2", onFailure: "restart" }, /has no effect with --on-failure restart/);
  assert.equal(resolveOptions({ elastic: "1..4", ranks: 2 }).onFailure, "shrink");
});
