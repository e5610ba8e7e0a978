/** However a launcher ends, no rank may outlive it. */

import assert from "node:assert/strict";
import { isAlive, pidsIn, program, survivors } from "../_jobs.ts";

/** Starts a launcher of its own and waits until all ranks say who they are. */
async function startLauncher(ranks: number, way: string) {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      program("launcher").href,
      String(ranks),
      program("ends").href,
      way,
      "-1",
    ],
    stdout: "piped",
    stderr: "piped",
    env: { RANK_PERMISSIONS: "run=sleep" },
  }).spawn();
  const expected = way === "child" ? 2 * ranks : ranks;
  const pids: number[] = [];
  let text = "";
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  while (pids.length < expected) {
    const { value, done } = await reader.read();
    assert(!done, `the launcher ended early: ${text}`);
    text += value;
    pids.splice(0, pids.length, ...pidsIn(text.split("\n")));
  }
  assert(pids.every(isAlive));
  return {
    child,
    pids,
    async [Symbol.asyncDispose]() {
      for (const pid of [child.pid, ...pids]) {
        try {
          Deno.kill(pid, "SIGKILL");
        } catch {
          // As it should be.
        }
      }
      await Promise.allSettled([reader.cancel(), child.stderr.cancel(), child.status]);
    },
  };
}

for (
  const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143], ["SIGHUP", 129], [
    "SIGKILL",
    137,
  ]] as const
) {
  for (const way of ["loop", "idle"]) {
    const who = way === "loop" ? "ranks in a collective" : "ranks that never joined";
    Deno.test(`${signal} to the launcher leaves none of the ${who}`, async () => {
      await using job = await startLauncher(3, way);
      // Some of the ranks may still be joining: that, too, is a time to be interrupted at.
      const started = performance.now();
      job.child.kill(signal);
      assert.equal((await job.child.status).code, code);
      assert.deepEqual(await survivors(job.pids, 10_000), []);
      assert(performance.now() - started < 15_000);
    });
  }
}

Deno.test("Ctrl-C also ends ranks that do not listen, and what ranks have started", async () => {
  for (const way of ["stubborn", "child"]) {
    await using job = await startLauncher(2, way);
    const started = performance.now();
    job.child.kill("SIGINT");
    assert.equal((await job.child.status).code, 130);
    assert.deepEqual(await survivors(job.pids, 10_000), []);
    assert(performance.now() - started < 15_000, way);
  }
});

Deno.test("a second Ctrl-C does not wait", async () => {
  // After one, ranks that do not listen have a second; a busy machine may take that long in any case,
  // but not each time.
  const times: number[] = [];
  do {
    await using job = await startLauncher(2, "stubborn");
    const started = performance.now();
    job.child.kill("SIGINT");
    await new Promise((resolve) => setTimeout(resolve, 100));
    job.child.kill("SIGINT");
    assert.equal((await job.child.status).code, 130);
    times.push(performance.now() - started);
  } while (times.at(-1)! >= 950 && times.length < 10);
  assert(times.at(-1)! < 950, `as long as after one: ${times} ms`);
});

Deno.test("a killed launcher leaves no sockets behind", async () => {
  const directory = await Deno.makeTempDir({ prefix: "celgc-test-" });
  const before = Deno.env.get("TMPDIR");
  Deno.env.set("TMPDIR", directory);
  try {
    await using job = await startLauncher(3, "loop");
    job.child.kill("SIGKILL");
    await job.child.status;
    assert.deepEqual(await survivors(job.pids, 10_000), []);
    assert.deepEqual([...Deno.readDirSync(directory)], []);
  } finally {
    if (before === undefined) Deno.env.delete("TMPDIR");
    else Deno.env.set("TMPDIR", before);
    await Deno.remove(directory, { recursive: true });
  }
});
