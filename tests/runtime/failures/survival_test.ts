/** Ranks are lost in the middle of every collective; the others catch it, shrink, and go on with the right result. */

import assert from "node:assert/strict";
import { pidsIn, program, run, survivors } from "../../_helpers/jobs.ts";
import { COLLECTIVES } from "../_collective_calls.ts";

interface Case {
  readonly operation: string;
  readonly victims: readonly number[];
  readonly way: "kill" | "throw" | "exit" | "stop";
  /**
   * When the second victim ends: with the first, in agree, or in shrink; or all in the first call.
   * @default {"two"}
   */
  readonly when?: "two" | "agree" | "shrink" | "first";
  readonly ranks?: number;
  readonly transport?: "auto" | "tcp" | "unix";
  readonly ended?: () => void;
  /** What the launcher is to say of each loss. @default {anything} */
  readonly headline?: RegExp;
}

/** Runs a job that loses ranks, and checks that the others have gone on. */
async function survive(one: Case): Promise<void> {
  const { operation, victims, way, when = "two", ranks = 4, transport = "auto", ended } = one;
  const { code, failure, losses = [], lines } = await run({
    ranks,
    program: program("failures/survives"),
    args: [operation, victims.join(), way, when],
    allow: ["run", "ffi"],
    transport,
    ...(way === "stop" ? { timeout: 6 } : {}),
    onLost: () => ended?.(),
  });
  const told = lines.flat().join("\n");
  assert.equal(code, 0, `${failure?.message}\n${told}`);
  assert.equal(failure, undefined);
  assert.deepEqual(losses.map(({ rank }) => rank).sort(), [...victims].sort(), told);
  for (const loss of losses) assert.match(loss.headline, one.headline ?? /./);
  const living = [...lines.keys()].filter((rank) => !victims.includes(rank));
  for (const [place, rank] of living.entries()) {
    const last = lines[rank].at(-1);
    assert.equal(last, `went on as ${place} of ${living.length}: ${living.join(" ")}`, told);
  }
  assert.deepEqual(await survivors(pidsIn(lines.flat()), 10_000), [], "processes are left");
}

for (const operation of [...COLLECTIVES, "compressed"]) {
  for (const way of ["kill", "throw", "exit"] as const) {
    Deno.test(`${way} in the middle of ${operation}: the others shrink and go on`, async () => {
      await survive({ operation, victims: [way === "throw" ? 1 : 2], way, ranks: 3 });
    });
  }
}

Deno.test("the loss of rank 0, of a root, and of a sender", async () => {
  for (const operation of ["allreduce", "bcast", "reduce", "scatter"]) {
    await survive({ operation, victims: [0], way: "kill", ranks: 3 });
  }
  await survive({ operation: "recv", victims: [3], way: "kill" });
});

Deno.test("two ranks are lost at once", async () => {
  for (const victims of [[0, 1], [1, 3], [3, 0]]) {
    await survive({ operation: "allreduce", victims, way: "kill", ranks: 5 });
  }
});

Deno.test("ranks are lost in the first call, in which all look for the memory that they share", async () => {
  for (const victims of [[1], [0], [0, 2]]) {
    await survive({ operation: "allreduce", victims, way: "kill", when: "first" });
  }
});

Deno.test("a rank is lost while the others shrink, be it the one that leads", async () => {
  for (const victims of [[2, 0], [0, 1], [1, 3]]) {
    await survive({ operation: "allreduce", victims, way: "kill", when: "shrink" });
  }
});

Deno.test("a rank is lost while the others agree, be it the one that leads", async () => {
  for (const victims of [[2, 0], [0, 1], [1, 3]]) {
    await survive({ operation: "allreduce", victims, way: "kill", when: "agree" });
  }
});

Deno.test("a rank that has gone on without another is lost in its turn for a reason of its own", async () => {
  const headline = /ended with exit code 1: Error: out of luck/, operation = "allreduce";
  await survive({ operation, victims: [2, 0], way: "throw", ranks: 3, when: "agree", headline });
});

Deno.test("over TCP, as where no memory is shared", async () => {
  for (const operation of ["allreduce", "allgather", "reduceScatter"]) {
    await survive({ operation, victims: [1], way: "kill", transport: "tcp" });
  }
});

/** Stops a rank in the middle of all collectives at once, and checks that the others have gone on with each. */
async function surviveStop(): Promise<void> {
  const { code, failure, losses = [], lines } = await run({
    ranks: 3,
    program: program("failures/survives_stop"),
    allow: ["run", "ffi"],
    timeout: 6,
    onLost: () => {},
  });
  const told = lines.flat().join("\n");
  assert.equal(code, 0, `${failure?.message}\n${told}`);
  assert.deepEqual(losses.map(({ rank }) => rank), [1]);
  for (const rank of [0, 2]) {
    assert.equal(lines[rank].at(-1), `went on in ${COLLECTIVES.join(" ")} compressed`);
  }
  assert.deepEqual(await survivors(pidsIn(lines.flat()), 10_000), [], "processes are left");
}

Deno.test("ranks that are stopped in whatever collective, and in agree, are lost after the timeout, and ended", async () => {
  const headline = /gave no sign of life, as seen by/, operation = "allreduce";
  await Promise.all([
    surviveStop(),
    survive({ operation, victims: [1, 2], way: "stop", ranks: 3, when: "agree", headline }),
  ]);
});
