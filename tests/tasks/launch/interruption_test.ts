import assert from "node:assert/strict";
import { launch } from "../../../tasks/launch/launch.ts";
import { readMetrics } from "../../../tasks/logs/log_tail.ts";
import { listRuns } from "../../../tasks/runs/list.ts";
import { checkpointSteps } from "../../../tasks/run/checkpoint.ts";
import { celgcCommand, endedAs } from "../../_helpers/deno.ts";
import { runHere } from "../../_helpers/run_here.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";

const SIZES = { interval: 2, trainSize: 96, testSize: 12, batchSize: 4, device: "cpu" } as const;
const FLAGS = "--train-size 96 --test-size 12 --batch-size 4 --device cpu".split(" ");
// No end in sight, so that the signal finds it at work however busy the machine is.
const ENDLESS = "--max-steps 10000000 --epochs 100000000 --eval-every 100000000".split(" ");

/** A training run of the command line. */
function start(out: string, ...args: string[]) {
  const child = celgcCommand("launch", ...FLAGS, ...ENDLESS, "--out", out, ...args).spawn();
  const ended = child.output().then(endedAs);
  let running = true;
  ended.then(() => running = false);
  return {
    child,
    ended,
    /** Waits until it has taken some steps. */
    async atWork() {
      while (running && readMetrics(`${out}/metrics.jsonl`).length < 8) {
        await new Promise((wake) => setTimeout(wake, 20));
      }
      if (!running) throw new Error((await ended).stderr);
    },
  };
}

const only = (fn: () => Promise<void>) => ({ ignore: Deno.build.os === "windows", fn });

for (
  const [signal, ranks, expected] of [
    ["SIGINT", 1, 130],
    ["SIGINT", 2, 130],
    ["SIGTERM", 2, 85],
    ["SIGUSR1", 2, 85],
  ] as const
) {
  Deno.test({
    name: `${signal} to a run on ranks: ${ranks} writes a checkpoint and says how to go on`,
    ...only(async () => {
      await using folder = await temporaryFolder();
      const out = `${folder.path}/run`, log = `${out}/metrics.jsonl`;
      const run = start(out, "--ranks", `${ranks}`, "--interval", "2");
      await run.atWork();
      const state = async () => (await listRuns([out]))[0].state;
      assert.equal(await state(), "going");
      run.child.kill(signal);
      // It may come twice: to the process, and from one that passes it on.
      run.child.kill(signal);
      const { code, stderr } = await run.ended;
      assert.equal(code, expected, stderr);
      assert.equal(await state(), "ended early");
      const said = /ended by (\w+) after step (\d+), with a checkpoint; --resume (\S+) goes on/
        .exec(stderr);
      assert.ok(said, stderr);
      assert.deepEqual([said[1], said[3]], [signal, out]);
      const maxSteps = Number(said[2]) + 3;
      // What it has left is what matters, wherever the ranks are that go on with it.
      const goOn = signal === "SIGTERM" ? launch : runHere;
      const { summary } = await goOn({ resume: out, maxSteps, epochs: 1000 });
      const steps = readMetrics(log)
        .filter((record) => record.type === "step" && record.rank === ranks - 1)
        .map(({ step }) => step);
      assert.deepEqual(steps, Array.from({ length: maxSteps }, (_, i) => i + 1), "each step once");
      const whole = { ...SIZES, ranks, maxSteps, epochs: 1000, evalEvery: 1000 };
      const undisturbed = await runHere({ ...whole, out: `${folder.path}/other` });
      assert.equal(summary.weightsHash, undisturbed.summary.weightsHash);
    }),
  });
}

Deno.test({
  name: "a run that comes to no round within --grace ends then, and says what it goes on from",
  ...only(async () => {
    await using folder = await temporaryFolder();
    const rare = ["--ranks", "2", "--interval", "9999999", "--preempted-code", "3"];
    const run = start(`${folder.path}/run`, ...rare, "--grace", "0.5", "--checkpoint-every", "10");
    await run.atWork();
    while ((await checkpointSteps(`${folder.path}/run`)).length === 0) {
      await new Promise((wake) => setTimeout(wake, 20));
    }
    run.child.kill("SIGTERM");
    const { code, stderr } = await run.ended;
    assert.equal(code, 3, stderr);
    assert.match(
      stderr,
      /ended by SIGTERM without a checkpoint.*within --grace 0.5 s; --resume \S+ goes on from step/,
    );
  }),
});

Deno.test({
  name: "a run that comes to no round within --grace and has no checkpoint is as good as killed",
  ...only(async () => {
    await using folder = await temporaryFolder();
    const rare = ["--ranks", "2", "--interval", "9999999", "--grace", "0.5"];
    const run = start(`${folder.path}/run`, ...rare);
    await run.atWork();
    run.child.kill("SIGUSR1");
    const { code, stderr } = await run.ended;
    assert.equal(code, 138, stderr);
    assert.match(stderr, /within --grace 0.5 s; there is no other/);
  }),
});

Deno.test({
  name: "a second SIGTERM ends a run at once, and the first one that has no checkpoints",
  ...only(async () => {
    await using folder = await temporaryFolder();
    const waits = start(`${folder.path}/a`, "--ranks", "2", "--interval", "9999999");
    const timed = start(`${folder.path}/b`, "--ranks", "2", "--sync-every", "200ms");
    await Promise.all([waits.atWork(), timed.atWork()]);
    timed.child.kill("SIGUSR1");
    assert.equal((await timed.ended).code, 138);
    waits.child.kill("SIGTERM");
    await new Promise((wake) => setTimeout(wake, 1200));
    waits.child.kill("SIGTERM");
    const { code, stderr } = await waits.ended;
    assert.equal(code, 143, stderr);
    assert.match(stderr, /the run was ended by SIGTERM\n/);
  }),
});

Deno.test({
  name: "a signal to any of the launchers, and to the ranks as well, ends the run on all hosts",
  ...only(async () => {
    await using folder = await temporaryFolder();
    const out = `${folder.path}/run`, invitation = `${folder.path}/invitation`;
    const here = ["--ranks", "1", "--interval", "2", "--world", "2", "--listen", "127.0.0.1"];
    const run = start(out, ...here, "--invitation", invitation);
    while (!await Deno.stat(invitation).catch(() => null)) {
      await new Promise((wake) => setTimeout(wake, 50));
    }
    const agent = celgcCommand("join", "--ranks", "1", "--invitation", invitation).spawn();
    const agentEnded = agent.output().then(endedAs);
    await run.atWork();
    for (const rank of childrenOf(agent.pid)) Deno.kill(rank, "SIGUSR1");
    agent.kill("SIGUSR1");
    const { code, stderr } = await run.ended;
    assert.equal(code, 85, stderr);
    assert.match(stderr, /ended by SIGUSR1 after step \d+, with a checkpoint/);
    const other = await agentEnded;
    assert.equal(other.code, 85, other.stderr);
  }),
});

/** The processes that one has started. */
function childrenOf(pid: number): number[] {
  if (Deno.build.os !== "linux") return [];
  const tasks = [...Deno.readDirSync(`/proc/${pid}/task`)].map(({ name }) => name);
  return tasks.flatMap((task) =>
    Deno.readTextFileSync(`/proc/${pid}/task/${task}/children`).split(" ").filter(Boolean)
      .map(Number)
  );
}
