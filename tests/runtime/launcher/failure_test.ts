/** A rank ends in the middle of a call: all others must say so, by name, and none may be left. */

import assert from "node:assert/strict";
import { pidsIn, program, run, survivors } from "../../_helpers/jobs.ts";
import { COLLECTIVES } from "../_collective_calls.ts";

/**
 * How long a job may take to end after the death of a rank, in ms. On a machine of one's own it is less
 * than 5 s, of which the launcher waits 2 for the others' last words.
 */
const MOST_MS = 20_000;

/**
 * Runs a job in which one rank ends in its fifth call, and checks what every failure has in common. Its
 * time is counted from the death.
 */
async function die(
  operation: string,
  victim: number,
  way: string,
  { timeout, died }: { timeout?: number; died?: () => void } = {},
) {
  const lines: string[][] = [[], [], []];
  let death = NaN;
  const outcome = await run({
    ranks: 3,
    program: program("dies"),
    args: [operation, String(victim), way],
    allow: ["run"], // to send signals
    ...(timeout ? { timeout } : {}),
    onOutput(rank, line) {
      lines[rank].push(line);
      if (line !== "ends now") return;
      death = performance.now();
      died?.();
    },
  });
  const ms = performance.now() - death;
  const { code, failure } = outcome;
  assert.notEqual(code, 0);
  assert(failure, "nothing failed");
  assert.equal(failure.rank, victim, failure.message);
  assert.match(failure.message, new RegExp(`^rank ${victim} on \\S+ `));
  for (const [rank, own] of lines.entries()) {
    if (rank === victim) continue;
    const said = own.find((line) => line.startsWith("lost "));
    assert(said, `rank ${rank} did not notice: ${own.join("\n")}`);
    const lost = JSON.parse(said.slice(5));
    assert.equal(lost.rank, victim, `rank ${rank} blames another: ${said}`);
    assert.equal(lost.host, failure.host);
    assert((lost.reason.match(/noticed by/g) ?? []).length <= 1, said);
    // Who does not wait for the victim may be in another call; messages that fit into a buffer may
    // be several steps apart.
    assert(lost.step >= (operation === "recv" ? 1 : 4), said);
    assert.match(lost.operation, new RegExp(`^(${nameOf(operation)})\\b`), said);
  }
  assert.deepEqual(await survivors(pidsIn(lines.flat()), 10_000), [], "processes are left");
  return { ...outcome, failure, ms };
}

/** The name by which errors call an operation. */
function nameOf(operation: string): string {
  return operation === "recv" ? "send" : operation.replace(/^iall/, "all");
}

for (const operation of COLLECTIVES) {
  Deno.test(`kill -9 in the middle of ${operation}: every rank says who, where, when`, async () => {
    const { code, failure, ms } = await die(operation, 2, "kill");
    assert.equal(code, 137);
    assert.equal(failure.signal, "SIGKILL");
    assert(failure.operation?.startsWith(nameOf(operation)), failure.message);
    assert(failure.step !== null && failure.step >= 4, failure.message);
    assert.match(failure.message, /was ended by SIGKILL \(at step \d+\)/);
    assert.match(failure.message, /waited for it in /);
    assert(ms < MOST_MS, `${ms} ms`);
  });

  Deno.test(`an error thrown in the middle of ${operation} is the one that is shown`, async () => {
    const { code, failure, ms } = await die(operation, 1, "throw");
    assert.equal(code, 1);
    assert.match(failure.message, /rank 1 on \S+ ended with exit code 1: Error: out of luck/);
    assert(failure.lastLines.some((line) => line.includes("out of luck")), failure.message);
    assert.match(failure.message, /last lines of rank 1:\n {2}\[1\] /);
    assert(ms < MOST_MS, `${ms} ms`);
  });

  Deno.test(`exit 0 in the middle of ${operation} is a failure`, async () => {
    const { code, failure, ms } = await die(operation, 2, "exit");
    assert.equal(code, 1);
    assert.equal(failure.code, 0);
    assert.match(failure.message, /rank 2 .* exit code 0 before it had left the job/);
    assert(ms < MOST_MS, `${ms} ms`);
  });
}

Deno.test("kill -9 of the root, and of a rank that others receive from", async () => {
  for (const operation of ["bcast", "reduce", "gather", "scatter", "recv"]) {
    await die(operation, 0, "kill");
  }
});

Deno.test("SIGSTOP in the middle of any collective: lost after the timeout", async () => {
  const jobs: Promise<void>[] = [], timeout = 6;
  for (const operation of COLLECTIVES) {
    // These jobs do nothing but wait, so one starts when the one before has come to that.
    const stopped = Promise.withResolvers<void>();
    const job = (async () => {
      const { code, failure, ms } = await die(operation, 1, "stop", {
        timeout,
        died: stopped.resolve,
      });
      assert.equal(code, 1);
      assert.match(failure.message, /rank 1 on \S+ gave no sign of life, as seen by rank/);
      assert(ms > 5000 && ms < 6000 + MOST_MS, `${operation}: ${ms} ms`);
    })();
    jobs.push(job);
    await Promise.race([stopped.promise, job]);
  }
  await Promise.all(jobs);
});
