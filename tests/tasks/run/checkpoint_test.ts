import assert from "node:assert/strict";
import { CheckpointError, checkpointSteps } from "../../../tasks/run/checkpoint.ts";
import {
  launch,
  type LaunchOptions,
  type Run,
  RunFailedError,
} from "../../../tasks/launch/launch.ts";
import { readMetrics } from "../../../tasks/logs/log_tail.ts";
import type { MetricRecord, StepRecord } from "../../../tasks/logs/records.ts";
import { OptionError } from "../../../tasks/options/kinds.ts";
import { decodeSafetensors } from "../../../tasks/networks/safetensors.ts";
import { celgc } from "../../_helpers/deno.ts";
import type { Options } from "../../../tasks/options/table.ts";
import { readConfig, writeConfig } from "../../../tasks/run/folder.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";
import { runHere } from "../../_helpers/run_here.ts";

const SMALL = {
  ranks: 2,
  interval: 2,
  maxSteps: 9,
  trainSize: 38,
  batchSize: 4,
  testSize: 20,
  device: "cpu",
} as const satisfies LaunchOptions;

/** What every rank saw at every step, times left out. */
function seen({ dir }: Run) {
  return readMetrics(`${dir}/metrics.jsonl`)
    .filter((record): record is StepRecord => record.type === "step")
    .map(({ rank, step, round, loss, gradNorm }) => [rank, step, round, loss, gradNorm] as const)
    .sort((a, b) => a[0] - b[0] || a[1] - b[1]);
}

const VARIANTS: LaunchOptions[] = [
  { momentum: 0.9, dampening: 0.1, weightDecay: 1e-3, decayAt: [1], batchNorm: "local" },
  { clipBy: "max", interval: 3, ranks: 3, participants: 2 },
  { algorithm: "slowmo" },
  { overlap: true },
  { accumulate: 2, batchSize: 2, momentum: 0.9, interval: 3 },
  { optimizer: "adamw", warmup: 7, averageStates: true, clip: 1e-4, ema: 0.9 },
  { algorithm: "episode", interval: 3 },
];

for (const [i, variant] of VARIANTS.entries()) {
  Deno.test(`a resumed run is the undisturbed one, bit for bit: ${JSON.stringify(variant)}`, async () => {
    await using folder = await temporaryFolder();
    // Whether ranks are processes makes no difference to what they write: those of the first are.
    const options = { ...SMALL, ...variant }, run = i === 0 ? launch : runHere;
    const whole = await run({ ...options, out: `${folder.path}/whole` });
    const out = `${folder.path}/parts`;
    await run({ ...options, maxSteps: 5, checkpointEvery: 5, out });
    assert.deepEqual(await checkpointSteps(out), [5]);
    const resumed = await run({ resume: out, maxSteps: SMALL.maxSteps });
    assert.equal(resumed.dir, out);
    assert.equal(resumed.summary.weightsHash, whole.summary.weightsHash);
    assert.equal(resumed.summary.rounds, whole.summary.rounds);
    assert.equal(resumed.summary.clipRate, whole.summary.clipRate);
    assert.equal(resumed.summary.maxDrift, whole.summary.maxDrift);
    assert.equal(resumed.summary.trainLoss, whole.summary.trainLoss);
    assert.equal(resumed.summary.untrainedLoss, whole.summary.untrainedLoss);
    assert.deepEqual(seen(resumed), seen(whole));
    // Processes that meet anew say a few words more.
    const ratio = resumed.summary.totalBytesSent / whole.summary.totalBytesSent;
    assert.ok(ratio >= 1 && ratio < 1.05, `${ratio} times the bytes`);
    const times = readMetrics(`${out}/metrics.jsonl`)
      .filter((record) => record.rank === 0 && record.type === "step")
      .map(({ seconds }) => seconds);
    assert.deepEqual(times, [...times].sort((a, b) => a - b), "the clock goes on");
  });
}

/** The processes of a run's ranks, found by the folder among their arguments. */
async function rankProcesses(directory: string): Promise<number[]> {
  const found: number[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const line = await Deno.readTextFile(`/proc/${name}/cmdline`).catch(() => "");
    const args = line.split("\0");
    if (
      args.includes(directory) &&
      args.some((arg) => arg.endsWith("/tasks/training/rank_program.ts"))
    ) {
      found.push(Number(name));
    }
  }
  return found;
}

Deno.test({
  name: "with --max-restarts a killed rank costs time and nothing else",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using folder = await temporaryFolder();
    const out = `${folder.path}/run`;
    let killed = false;
    const onRecord = async (record: MetricRecord) => {
      if (killed || record.step < 5) return;
      killed = true;
      const [pid] = await rankProcesses(out);
      assert.ok(pid, "the run still goes on");
      Deno.kill(pid, "SIGKILL");
    };
    // Long enough for the kill to meet a run that goes on.
    const long = {
      ...SMALL,
      batchSize: 16,
      trainSize: 150,
      maxSteps: 60,
      epochs: 100,
      evalEvery: 100,
    };
    const run = await launch({ ...long, out, checkpointEvery: 3, maxRestarts: 1, onRecord });
    assert.ok(killed);
    const steps = readMetrics(`${out}/metrics.jsonl`)
      .filter((record) => record.type === "step" && record.rank === 1)
      .map(({ step }) => step);
    assert.deepEqual(steps, Array.from({ length: 60 }, (_, i) => i + 1), "each step once");
    assert.equal(run.summary.steps, 60);
    assert.equal(run.summary.restarts, 1);
    assert.deepEqual((await readConfig(out)).restarts?.length, 1);
    const undisturbed = await launch({ ...long, out: `${folder.path}/other` });
    assert.equal(run.summary.weightsHash, undisturbed.summary.weightsHash);
    assert.ok(
      (await Deno.stat(`${out}/rank-0.before.log`)).isFile,
      "the first attempt's log stays",
    );
    for (let rank = 0; rank < SMALL.ranks; rank++) {
      const all = await Deno.readTextFile(`${out}/rank-${rank}.before.log`);
      // On a machine that is busy with other things, rank 0 may have had to wait, and says for whom.
      const log = all.replace(/^(straggler|stalled link): .*\n/gm, "").trim();
      assert.doesNotMatch(log, /^ +at /m, "no stack");
      // Which of the two the survivor hears first is for the system to say.
      const reason = /ended by SIGKILL|connection closed without a goodbye/;
      if (log !== "") assert.match(log, /^cannot complete .*: lost rank \d on .*: /m);
      if (log !== "") assert.match(log, reason);
    }
  },
});

Deno.test("without --max-restarts a failure is final", async () => {
  await using folder = await temporaryFolder();
  const doomed = { ...SMALL, algorithm: "local-sgd", lr: 1e30, checkpointEvery: 1 } as const;
  await assert.rejects(launch({ ...doomed, out: `${folder.path}/run` }), RunFailedError);
});

Deno.test("a checkpoint holds the weights by PyTorch's names, and only the last two are kept", async () => {
  await using folder = await temporaryFolder();
  const out = `${folder.path}/run`;
  await launch({ ...SMALL, momentum: 0.9, checkpointEvery: 2, out });
  assert.deepEqual(await checkpointSteps(out), [6, 8]);
  const files = [...Deno.readDirSync(`${out}/checkpoint/step-8`)].map(({ name }) => name).sort();
  assert.deepEqual(files, ["checkpoint.json", "rank-0.safetensors", "rank-1.safetensors"]);
  const { tensors } = decodeSafetensors(
    await Deno.readFile(`${out}/checkpoint/step-8/rank-1.safetensors`),
  );
  const named = new Map(tensors.map(({ name, dims }) => [name, dims]));
  assert.deepEqual(named.get("conv1.weight"), [16, 3, 3, 3]);
  assert.deepEqual(named.get("bn1.running_mean"), [16]);
  assert.deepEqual(named.get("linear.bias.momentum"), [10]);
});

Deno.test("a damaged checkpoint is named, and the one before it is taken", async () => {
  await using folder = await temporaryFolder();
  const out = `${folder.path}/run`;
  await launch({ ...SMALL, maxSteps: 4, checkpointEvery: 2, out });
  const file = `${out}/checkpoint/step-4/rank-1.safetensors`;
  const bytes = await Deno.readFile(file);
  bytes[bytes.length - 100] ^= 1;
  await Deno.writeFile(file, bytes);
  const altered = await celgc("launch", "--resume", out, "--max-steps", "6");
  assert.equal(altered.code, 0, altered.stderr);
  assert.ok(altered.stderr.includes(file) && altered.stderr.includes("torn or altered"));
  assert.match(altered.stderr, /torn or altered; the checkpoint before it is taken\n/);
  assert.match(altered.stderr, /from step 2 of /);
  const steps = readMetrics(`${out}/metrics.jsonl`)
    .filter((record) => record.type === "step" && record.rank === 1)
    .map(({ step }) => step);
  assert.deepEqual(steps, [1, 2, 3, 4, 5, 6], "each step once");
});

Deno.test("a damaged checkpoint that was passed over does not count among those that are kept", async () => {
  await using folder = await temporaryFolder();
  const out = `${folder.path}/run`;
  await runHere({ ...SMALL, maxSteps: 4, checkpointEvery: 2, out });
  await Deno.truncate(`${out}/checkpoint/step-4/rank-1.safetensors`, 100);
  await runHere({ resume: out, maxSteps: 6, checkpointEvery: 3 });
  const names = [...Deno.readDirSync(`${out}/checkpoint`)].map(({ name }) => name).sort();
  assert.deepEqual(names, ["step-3", "step-4.damaged", "step-6"]);
});

Deno.test("a checkpoint's list that is damaged, another run's or another step's is refused", async () => {
  await using folder = await temporaryFolder();
  const out = `${folder.path}/run`, other = `${folder.path}/other`;
  await launch({ ...SMALL, maxSteps: 4, checkpointEvery: 2, out });
  await launch({ ...SMALL, maxSteps: 2, checkpointEvery: 2, out: other });
  const list = `${out}/checkpoint/step-2/checkpoint.json`;
  const text = await Deno.readTextFile(list);
  await Deno.remove(`${out}/checkpoint/step-4`, { recursive: true });
  const refused = async (message: RegExp) => {
    await assert.rejects(launch({ resume: out, maxSteps: 6 }), (error) => {
      assert.ok(error instanceof CheckpointError, `${error}`);
      assert.match(error.message, message);
      return true;
    });
  };
  for (const damaged of ["null", "{}", '{"step":2,"ranks":2,"files":[null,null]}']) {
    await Deno.writeTextFile(list, damaged);
    await refused(/step-2\/checkpoint\.json: it is no list of a checkpoint's files/);
  }
  await Deno.writeTextFile(list, text.replace("rank-1.safetensors", "../../../elsewhere"));
  await refused(/it is no list of a checkpoint's files/);
  await Deno.writeTextFile(list, text.slice(0, 30));
  await refused(/it is no JSON/);
  await Deno.remove(list);
  await refused(/step-2\/checkpoint\.json is missing; no other checkpoint in .* is whole/);
  await Deno.writeTextFile(list, text);
  await Deno.rename(`${out}/checkpoint/step-2`, `${out}/checkpoint/step-3`);
  await refused(/it was written at step 2, not 3/);
  await Deno.remove(`${out}/checkpoint/step-3`, { recursive: true });
  await Deno.rename(`${other}/checkpoint/step-2`, `${out}/checkpoint/step-2`);
  await refused(/another run has written it/);
});

Deno.test("what widens permissions or changes the ranks must be given again", async () => {
  await using folder = await temporaryFolder();
  const out = `${folder.path}/run`, cwd = folder.path;
  await launch({ ...SMALL, maxSteps: 2, checkpointEvery: 2, out });
  const config = await readConfig(out);
  const stranger: Partial<Options> = {
    env: { LD_PRELOAD: "theirs.so" },
    allow: ["all"],
    cwd,
    listen: "0.0.0.0",
  };
  await writeConfig(out, { ...config, options: { ...config.options, ...stranger } });
  const before = await Deno.readTextFile(`${out}/metrics.jsonl`);
  await assert.rejects(launch({ resume: out, maxSteps: 3 }), (error) => {
    assert.ok(error instanceof OptionError);
    assert.match(
      error.message,
      /--env LD_PRELOAD=theirs\.so, --allow all, --cwd .*, --listen 0\.0\.0\.0;/,
    );
    assert.match(error.message, /give each of them again/);
    return true;
  });
  assert.equal(await Deno.readTextFile(`${out}/metrics.jsonl`), before);
  const again = { env: { MINE: "1" }, allow: [], cwd, listen: "127.0.0.1" };
  const { config: { options } } = await launch({ resume: out, maxSteps: 3, ...again });
  assert.deepEqual(options.env, again.env);
  assert.deepEqual(options.allow, []);
  const said = await celgc(
    "launch",
    "--resume",
    out,
    "--max-steps",
    "4",
    "--cwd",
    cwd,
    "--env",
    "A=1",
  );
  assert.equal(said.code, 0, said.stderr);
  assert.match(said.stderr, /^taken over from config\.json: .*--interval 2 .*--ranks 2/m);
  assert.doesNotMatch(said.stderr, /--quiet|--json/, "what was said of the start before");
});

Deno.test("two processes cannot write to one run at once", async () => {
  await using folder = await temporaryFolder();
  const out = `${folder.path}/run`, stop = new AbortController();
  let begun = () => {};
  const beginning = new Promise<void>((resolve) => begun = resolve);
  const endless = { ...SMALL, maxSteps: 100_000, epochs: 100_000, evalEvery: 100_000 };
  const first = launch({
    ...endless,
    checkpointEvery: 2,
    out,
    signal: stop.signal,
    // The second of two is begun when the first is on the disk.
    onRecord: ({ step }) => step >= 5 && begun(),
  });
  await Promise.race([beginning, first]);
  await assert.rejects(launch({ resume: out }), /is in use by another process/);
  stop.abort();
  await assert.rejects(first, RunFailedError);
  const maxSteps = readMetrics(`${out}/metrics.jsonl`).at(-1)!.step + 2;
  const { summary } = await launch({ resume: out, maxSteps });
  assert.equal(summary.steps, maxSteps);
});

Deno.test("a run is resumed as what it was", async () => {
  await using folder = await temporaryFolder();
  const out = `${folder.path}/run`;
  await launch({ ...SMALL, maxSteps: 2, checkpointEvery: 2, out });
  const refused: [LaunchOptions, RegExp][] = [
    [{ resume: out, lr: 0.1 }, /--lr cannot be changed .* 0\.5 there, not 0\.1/],
    [{ resume: out, interval: 3 }, /--interval cannot be changed .* 2 there, not 3/],
    [{ resume: folder.path }, /--resume must be the folder of a run/],
    [
      { resume: out, maxSteps: 1 },
      /cannot go on from step 2: .* the run ends after step 1; give a larger/,
    ],
    [
      { resume: out, epochs: 0.01 },
      /cannot go on from step 2: .* the run ends after 0\.01 epochs; give a larger/,
    ],
  ];
  const files = async () => {
    const texts: Record<string, string> = {};
    for await (const { name, isFile } of Deno.readDir(out)) {
      if (isFile) texts[name] = await Deno.readTextFile(`${out}/${name}`);
    }
    return texts;
  };
  const before = await files();
  for (const [options, message] of refused) {
    await assert.rejects(launch(options), (error) => {
      assert.ok(error instanceof OptionError);
      assert.match(error.message, message);
      return true;
    });
    assert.deepEqual(await files(), before, "the run's folder is as it was");
  }
  const config = await Deno.readTextFile(`${out}/config.json`);
  // Where no log says how far the checkpoint is, its ranks do.
  await Deno.rename(`${out}/metrics.jsonl`, `${folder.path}/log`);
  await assert.rejects(launch({ resume: out, epochs: 0.01 }), (error) => {
    assert.ok(error instanceof RunFailedError);
    assert.match(
      error.message,
      /cannot go on from step 2: .* the run ends after step 1; give a larger/,
    );
    return true;
  });
  await Deno.rename(`${folder.path}/log`, `${out}/metrics.jsonl`);
  await Deno.writeTextFile(`${out}/config.json`, config.slice(0, 100));
  await assert.rejects(launch({ resume: out }), /its config\.json is damaged/);
  await Deno.writeTextFile(`${out}/config.json`, config);
  await Deno.remove(`${out}/checkpoint`, { recursive: true });
  await assert.rejects(launch({ resume: out }), /there is no checkpoint to go on from/);
  assert.ok(readMetrics(`${out}/metrics.jsonl`).length > 4, "a refusal takes nothing away");
});
