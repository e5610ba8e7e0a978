/** Runs that somebody ends while they have no ranks. */

import assert from "node:assert/strict";
import { attempt } from "../../../tasks/launch/attempt.ts";
import { BetweenStarts } from "../../../tasks/launch/between_starts.ts";
import { launch, RunFailedError } from "../../../tasks/launch/launch.ts";
import { prepareRun } from "../../../tasks/launch/preparation.ts";
import { FILES } from "../../../tasks/run/folder.ts";
import { lockFolder } from "../../../tasks/run/lock.ts";
import { celgcCommand, denoCommand, endedAs, ROOT } from "../../_helpers/deno.ts";
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

/** Listens, says "heard" of the first signal, and says its outcome when its standard input has ended. */
const LISTENER = `
import { BetweenStarts } from "${new URL("tasks/launch/between_starts.ts", ROOT)}";
await using between = new BetweenStarts(undefined);
between.listen();
between.signal.addEventListener("abort", () => console.log("heard"));
console.log("listens");
await new Response(Deno.stdin.readable).text();
console.log((await between.outcome("nowhere", {})).code);
`;

/**
 * Sends a signal, and again some ms after it was heard: at once, and lets the process come to its outcome, or later, and
 * waits for its end. Returns how it has ended, and what it said.
 */
async function signalledTwice(name: Deno.Signal, after: number) {
  const listener = denoCommand(["eval", LISTENER], { stdin: "piped" }).spawn();
  let stdout = "", sent = 0;
  for await (const text of listener.stdout.pipeThrough(new TextDecoderStream())) {
    stdout += text;
    if (sent === 0 && stdout.includes("listens")) {
      listener.kill(name);
      sent++;
    }
    if (sent === 1 && stdout.includes("heard")) {
      await pause(after);
      listener.kill(name);
      sent++;
      if (after === 0) await listener.stdin.close();
    }
  }
  if (after > 0) await listener.stdin.abort();
  await listener.stderr.cancel();
  return { ...await listener.status, stdout };
}

Deno.test({
  name: "a signal that comes twice for once ends a run without ranks by itself",
  ...only(async () => {
    const { code, stdout } = await signalledTwice("SIGTERM", 0);
    assert.deepEqual([code, stdout], [0, "listens\nheard\n143\n"]);
  }),
});

Deno.test({
  name: "a signal of which the caller makes an abort, as a sweep does, has come once",
  ...only(async () => {
    const caller = `const caller = new AbortController();
      Deno.addSignalListener("SIGINT", () => { console.log("caller"); caller.abort(); });`;
    const program = caller + LISTENER.replace("(undefined)", "(caller.signal)");
    const listener = denoCommand(["eval", program], { stdin: "piped" }).spawn();
    let stdout = "";
    for await (const text of listener.stdout.pipeThrough(new TextDecoderStream())) {
      if (text.includes("listens")) listener.kill("SIGINT");
      if (text.includes("heard")) {
        await pause(200); // a second one would come by then
        await listener.stdin.close();
      }
      stdout += text;
    }
    await listener.stderr.cancel();
    await listener.status;
    assert.equal(stdout, "listens\ncaller\nheard\n130\n");
  }),
});

Deno.test({
  name: "who asks again ends a launcher without ranks at once",
  ...only(async () => {
    const { signal, stdout } = await signalledTwice("SIGINT", 200);
    assert.deepEqual([signal, stdout], ["SIGINT", "listens\nheard\n"]);
  }),
});

Deno.test("who asks for an end right before the ranks are started is heard", async () => {
  await using folder = await temporaryFolder();
  await using scope = new AsyncDisposableStack();
  const asked = new AbortController(), between = scope.use(new BetweenStarts(asked.signal));
  const preparing = { hosts: null, view: "silent", say: () => {}, scope, between } as const;
  const run = await prepareRun({ ...SMALL, maxSteps: 2, out: `${folder.path}/run` }, preparing);
  asked.abort();
  const end = await attempt(run, run, {
    ...{ view: "silent", notes: [], onRecord: undefined, signal: undefined },
    ...{ hosts: null, hostsLeave: true, details: null, rankEnv: [], between },
  });
  const message = "the run was ended by abort before its ranks were started";
  assert.deepEqual(end, { how: "stopped", message, code: 143 });
});

Deno.test("who finds a folder locked removes nothing of what its owner writes there", async () => {
  await using folder = await temporaryFolder();
  const out = `${folder.path}/run`, config = `${out}/${FILES.config}`;
  await Deno.mkdir(out);
  await using _lock = await lockFolder(out, FILES.lock);
  {
    await using scope = new AsyncDisposableStack();
    const between = scope.use(new BetweenStarts(undefined));
    const preparing = { hosts: null, view: "silent", say: () => {}, scope, between } as const;
    await assert.rejects(prepareRun({ ...SMALL, out }, preparing), /in use by another process/);
    await Deno.writeTextFile(config, "theirs");
  }
  assert.equal(await Deno.readTextFile(config), "theirs");
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
