/** What a rank prints, on its way to whoever shows it. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { Readable } from "node:stream";
import { RankOutput } from "../../../runtime/ranks/output.ts";

/** Starts a shell whose output is read, and tells of its end. */
function shell(script: string) {
  const child = spawn("/bin/sh", ["-c", script], { stdio: ["ignore", "pipe", "pipe"] });
  return { child, ended: new Promise((resolve) => child.once("exit", resolve)) };
}

Deno.test("whoever takes a rank's lines slowly gets the last of them, too, long after its end", async () => {
  const lines: string[] = [], gate = Promise.withResolvers<void>();
  const { child, ended } = shell("seq 1 20000"); // 100 KiB, more than a stream holds
  const output = new RankOutput(child.stdout, child.stderr, {
    rank: 0,
    log: null,
    async line(text) {
      // As a terminal that somebody has stopped.
      if (lines.push(text) === 10) await gate.promise;
    },
  });
  await ended;
  const drained = output.drain(20);
  await new Promise((resolve) => setTimeout(resolve, 300));
  gate.resolve();
  await drained;
  assert.equal(lines.length, 20_000);
  assert.equal(lines.at(-1), "20000");
});

Deno.test("what a rank has left behind holds its output open for a moment only, silent or not", async () => {
  for (const work of ["sleep 60", "while :; do echo more; sleep 0.01; done", "yes"]) {
    const lines: string[] = [];
    const { child, ended } = shell(`echo first; ${work} & echo $!`);
    const output = new RankOutput(child.stdout, child.stderr, {
      rank: 0,
      log: null,
      line: (text) => void lines.push(text),
    });
    await ended;
    await output.drain(100);
    Deno.kill(Number(lines.find((line) => /^\d+$/.test(line))), "SIGKILL");
    assert(lines.includes("first"), work);
  }
});

Deno.test("a line that is too long is cut between characters, and none is lost", async () => {
  const text = "a" + "😀".repeat(20_000), lines: string[] = [];
  const output = new RankOutput(
    Readable.from([new TextEncoder().encode(text)]),
    Readable.from([]),
    {
      rank: 0,
      log: null,
      line: (text) => void lines.push(text),
    },
  );
  await output.drain(100);
  assert.deepEqual([lines.length, lines.join("") === text], [3, true]);
  for (const line of [...lines, ...output.lastLines]) assert(line.isWellFormed());
});
