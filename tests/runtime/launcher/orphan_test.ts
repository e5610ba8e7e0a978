/** However a launcher ends, no rank may outlive it. */

import assert from "node:assert/strict";
import { isAlive, pidsIn, program, survivors } from "../../_helpers/jobs.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";

/** Starts a launcher of its own and waits until all ranks say who they are. */
async function startLauncher(ranks: number, way: string, env: Record<string, string> = {}) {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      program("launching/launcher").href,
      String(ranks),
      program("ends").href,
      way,
      "-1",
    ],
    stdout: "piped",
    stderr: "piped",
    env: { RANK_PERMISSIONS: "run=sleep", ...env },
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
  for (
    const [way, who] of [
      ["loop", "ranks in a collective"],
      ["idle", "ranks that never joined"],
      ["busy", "ranks that compute without end"],
      ["child", "processes that ranks have started"],
    ]
  ) {
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

Deno.test("SIGKILL to the deno task that runs a launcher leaves neither the launcher nor ranks", async () => {
  const folder = await Deno.makeTempDir({ prefix: "celgc-test-" });
  try {
    const command = [
      // As the project's own tasks do.
      'R=$PWD && cd "$INIT_CWD" && deno run -A',
      program("launching/launcher").href,
      "2",
      program("ends").href,
      "idle -1",
    ];
    const config = `${folder}/deno.json`;
    await Deno.writeTextFile(config, JSON.stringify({ tasks: { job: command.join(" ") } }));
    const child = new Deno.Command(Deno.execPath(), {
      args: ["task", "--config", config, "job"],
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const errors = new Response(child.stderr).text();
    const pids: number[] = [];
    let text = "";
    for await (const part of child.stdout.pipeThrough(new TextDecoderStream())) {
      text += part;
      pids.splice(0, pids.length, ...pidsIn(text.split("\n")));
      if (pids.length === 2) break;
    }
    const launcher = parentOf(pids[0]);
    assert.equal(parentOf(launcher), child.pid);
    child.kill("SIGKILL");
    await child.status;
    assert.deepEqual(await survivors([launcher, ...pids], 10_000), []);
    await errors;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** The process that has started another. */
function parentOf(pid: number): number {
  const { stdout } = new Deno.Command("ps", { args: ["-o", "ppid=", "-p", String(pid)] })
    .outputSync();
  return Number(new TextDecoder().decode(stdout));
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

Deno.test("Ctrl-C in a deadlock says what each rank waits for", async () => {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", program("launching/launcher").href, "4", program("ends").href, "deadlock"],
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const errors = new Response(child.stderr).text();
  let text = "";
  for await (const part of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += part;
    if (text.split("in order so far").length === 5) break;
  }
  await new Promise((resolve) => setTimeout(resolve, 300));
  child.kill("SIGINT");
  assert.equal((await child.status).code, 130);
  assert.deepEqual((await errors).trimEnd().split("\n"), [
    "rank 0 waited in recv from rank 1 with tag 7",
    "rank 1 waited in recv from rank 0 with tag 7",
    "rank 2 waited in barrier (collective call 2)",
    "rank 3 gave no answer: busy, or stopped",
  ]);
  assert.deepEqual(await survivors(pidsIn(text.split("\n")), 10_000), []);
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
  await using folder = await temporaryFolder();
  await using job = await startLauncher(3, "loop", { TMPDIR: folder.path });
  assert.equal([...Deno.readDirSync(folder.path)].length, 1, "their folder");
  job.child.kill("SIGKILL");
  await job.child.status;
  assert.deepEqual(await survivors(job.pids, 10_000), []);
  assert.deepEqual([...Deno.readDirSync(folder.path)], []);
});
