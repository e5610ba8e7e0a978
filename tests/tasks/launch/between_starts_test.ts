/** Runs that somebody ends while they have no ranks. */

import assert from "node:assert/strict";
import { launch, RunFailedError } from "../../../tasks/launch/launch.ts";
import { celgcCommand, endedAs } from "../../_helpers/deno.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";

const SMALL = { ranks: 1, device: "cpu", trainSize: 12, testSize: 12, batchSize: 4 } as const;

const only = (fn: () => Promise<void>) => ({ ignore: Deno.build.os === "windows", fn });

const namesIn = (path: string) => [...Deno.readDirSync(path)].map(({ name }) => name).sort();

const pause = (ms: number) => new Promise((wake) => setTimeout(wake, ms));

Deno.test({
  name: "Ctrl-C before the ranks are started is told, and takes back what was written",
  ...only(async () => {
    await using folder = await temporaryFolder();
    const out = `${folder.path}/run`, text = `${folder.path}/text`;
    await Deno.writeTextFile(text, "the cat sat on the mat\n".repeat(60));
    // Whoever writes to it waits until somebody reads: the launcher, between the folder and the ranks.
    const fifo = `${out}/tokenizer.json`;
    await Deno.mkdir(out);
    await Deno.writeTextFile(`${out}/notes.txt`, "mine");
    await new Deno.Command("mkfifo", { args: [fifo] }).output();
    const flags = "--ranks 1 --device cpu --task text --model gpt --heads 2 --width 8 --context 8"
      .split(" ");
    const run = celgcCommand("launch", ...flags, "--data", text, "--out", out).spawn();
    const ended = run.output().then(endedAs);
    let running = true;
    ended.then(() => running = false);
    while (running && !namesIn(out).includes(".run.lock")) await pause(20);
    if (!running) throw new Error((await ended).stderr);
    run.kill("SIGINT");
    await pause(300);
    await Promise.race([Deno.readFile(fifo), ended]);
    const { code, stderr } = await ended;
    assert.equal(code, 130, stderr);
    assert.match(stderr, /^celgc: the run was ended by SIGINT before its ranks were started$/m);
    assert.deepEqual(namesIn(out), ["notes.txt", "tokenizer.json"]);
  }),
});

Deno.test("a run that is given up before its ranks are started leaves no folder", async () => {
  await using folder = await temporaryFolder();
  const out = `${folder.path}/run`;
  await assert.rejects(launch({ ...SMALL, out, signal: AbortSignal.abort() }), (error) => {
    assert.ok(error instanceof RunFailedError);
    assert.equal(error.code, 143);
    return true;
  });
  assert.deepEqual(namesIn(folder.path), []);
  const { summary } = await launch({ ...SMALL, out, maxSteps: 2 });
  assert.equal(summary.steps, 2);
});

Deno.test("a run whose inputs cannot be written leaves no folder that the same command would refuse", async () => {
  await using folder = await temporaryFolder();
  const out = `${folder.path}/run`, data = `${folder.path}/text`;
  await Deno.writeTextFile(data, "the cat sat on the mat\n".repeat(60));
  await Deno.mkdir(`${out}/config.json.part`, { recursive: true });
  const text = {
    ...SMALL,
    task: "text",
    model: "gpt",
    heads: 2,
    width: 8,
    context: 8,
    data,
  } as const;
  const { trainSize: _, testSize: _test, ...given } = text;
  await assert.rejects(launch({ ...given, out, maxSteps: 2 }), /cannot write .*config\.json\.part/);
  assert.deepEqual(namesIn(out).filter((name) => name !== "config.json.part"), []);
});

Deno.test({
  name: "Ctrl-C while a run waits to start again is told",
  ...only(async () => {
    await using folder = await temporaryFolder();
    const out = `${folder.path}/run`;
    const flags = "--ranks 1 --device cpu --train-size 12 --test-size 12 --batch-size 4".split(" ");
    const doomed = "--lr 1e30 --clip 1e30 --on-failure restart --max-restarts 5".split(" ");
    const run = celgcCommand("launch", ...flags, ...doomed, "--out", out).spawn();
    let stderr = "";
    for await (const text of run.stderr.pipeThrough(new TextDecoderStream())) {
      // In the pause of two seconds, once.
      if (!stderr.includes("restart 2 of 5") && text.includes("restart 2 of 5")) run.kill("SIGINT");
      stderr += text;
    }
    await run.stdout.cancel();
    const { code } = await run.status;
    assert.equal(code, 130, stderr);
    assert.match(stderr, /ended by SIGINT before its ranks were started again$/m);
    assert.ok(namesIn(out).includes("config.json"), "what there is of it is kept");
  }),
});
