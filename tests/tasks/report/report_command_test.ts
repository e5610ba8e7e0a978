import assert from "node:assert/strict";
import { denoCommand, endedAs } from "../../_helpers/deno.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";
import { knownLines, writeRun } from "../run_folder.ts";

const KNOWN = { interval: 2, scale: 10, stepMs: 50, syncMs: 10, drift: 0.1, driftBound: 4 };

/** The permissions that a report needs, as the README's task gives them. */
const ALLOWED = ["--allow-read", "--allow-write", "--allow-net=127.0.0.1", "--allow-env"];

function command(...args: string[]): Deno.Command {
  const main = import.meta.resolve("../../../tasks/cli/main.ts");
  return denoCommand(["run", "--no-check", ...ALLOWED, main, "report", ...args]);
}

const run = async (...args: string[]) => endedAs(await command(...args).output());

Deno.test("the command writes the page, prints its path, and names damage", async () => {
  await using folder = await temporaryFolder();
  const directory = await writeRun(folder.path, "run", {}, [...knownLines(KNOWN), "oops\n"]);
  const { code, stdout, stderr } = await run(directory);
  assert.equal(stdout, `${directory}/report.html\n`);
  assert.equal(stderr, `celgc: ${directory}/metrics.jsonl, line 44: not JSON ("oops"); left out\n`);
  assert.equal(code, 0);
  assert.match(await Deno.readTextFile(`${directory}/report.html`), /^<!doctype html>/);
});

Deno.test("a wrong folder is one clear line and exit code 1, a wrong option exit code 2", async () => {
  const [nowhere, nothing, both] = await Promise.all([
    run("no/such/folder"),
    run(),
    run(".", "--watch", "--images"),
  ]);
  assert.deepEqual(nowhere, {
    code: 1,
    stdout: "",
    stderr: "celgc: cannot find runs in no/such/folder: there is no such folder\n",
  });
  assert.deepEqual([nothing.code, both.code], [2, 2]);
  assert.match(nothing.stderr, /^celgc: missing required argument 'dirs'; --help says .*\n$/);
  assert.match(both.stderr, /^celgc: --watch writes nothing, so it does not go with --images\n$/);
});

Deno.test("what cannot be written is one clear line", async () => {
  await using folder = await temporaryFolder();
  const directory = await writeRun(folder.path, "run", {}, knownLines(KNOWN));
  const { code, stdout, stderr } = await run(directory, "--out", folder.path);
  assert.equal(code, 1);
  assert.equal(stdout, "");
  assert.match(stderr, /^celgc: cannot write \S+: it is a folder\n$/);
});

Deno.test("--watch serves until it is interrupted, and then ends well", async () => {
  await using folder = await temporaryFolder();
  await writeRun(folder.path, "run", {}, knownLines(KNOWN));
  await using child = command(folder.path, "--watch").spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const url = (await lines.read()).value?.trim() ?? "";
  assert.match(url, /^http:\/\/127\.0\.0\.1:\d+\/$/);
  assert.match(await (await fetch(url)).text(), /Training loss/);
  child.kill("SIGINT");
  assert.equal((await child.status).code, 0);
  await lines.cancel();
  await child.stderr.cancel();
});
