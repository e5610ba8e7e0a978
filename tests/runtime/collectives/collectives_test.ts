/** The communicator in launched ranks: real processes, real sockets, every world size. */

import assert from "node:assert/strict";
import type { LaunchProgramOptions } from "../../../runtime/launcher/launch.ts";
import { BATTERY } from "../_battery.ts";
import { program, run } from "../../_helpers/jobs.ts";
import { whyNoSharing } from "../_shared_memory.ts";

/** Runs a program and returns what rank 0 printed; fails with the failing rank's last words. */
async function outputOf(options: LaunchProgramOptions): Promise<string[]> {
  const { code, failure, lines } = await run(options);
  assert.equal(code, 0, `${failure?.message}\n${lines.flat().slice(-30).join("\n")}`);
  return lines[0];
}

// Between them, the worlds cover both kinds of socket, and ranks with and without a look at each other.
const WORLDS: [number, "tcp" | "auto", string[]][] = [
  [1, "tcp", []],
  [2, "auto", ["ffi"]],
  [3, "auto", []],
  [4, "tcp", []],
  [5, "auto", ["ffi"]],
  [8, "auto", ["ffi"]],
];

for (const [ranks, transport, allow] of WORLDS) {
  const world = `${ranks} rank${ranks > 1 ? "s" : ""} over ${transport} ${allow}`.trimEnd();
  Deno.test(`calls and messages on ${world}`, async (t) => {
    const options = { ranks, transport, allow, program: program("battery") };
    const { lines, failure } = await run(options);
    const passed = lines[0].filter((line) => line.startsWith("passed ")).map((line) =>
      line.slice(7)
    );
    for (const [i, { name }] of BATTERY.entries()) {
      const reached = i <= passed.length;
      await t.step({
        name: reached ? name : `${name} (not reached)`,
        ignore: !reached,
        fn: () => assert.equal(passed[i], name, failure?.message ?? "rank 0 did not come to it"),
      });
    }
    assert.equal(failure?.headline, undefined);
  });
}

// Ranks that cannot share memory do without, with the same results; but then bytes go over the wire.
const noSharing = await whyNoSharing();
const unless = noSharing === null ? "" : ` (not tried: ${noSharing})`;

for (const algorithm of ["direct", "memory"]) {
  const ignore = algorithm === "memory" && noSharing !== null;
  const name = `24.2 million floats are summed on 3 ranks (${algorithm})${ignore ? unless : ""}`;
  Deno.test({ name, ignore }, async () => {
    const lines = await outputOf({
      ranks: 3,
      program: program("many_elements"),
      args: [algorithm, "24200003"],
      allow: ["ffi"],
    });
    assert.deepEqual(lines, [`${algorithm}: 24200003 floats are right`]);
  });
}

const memory = noSharing === null ? "read its memory" : `exchange with it through sockets${unless}`;

/** The rank that each other one says it has lost, in words. */
const lostOf = (lines: readonly string[][]) =>
  lines.flatMap((of, rank) =>
    of.filter((line) => line.startsWith("lost "))
      .map((line) => `${rank}: ${JSON.parse(line.slice(5)).rank}`)
  );

Deno.test(`a rank is killed while others ${memory}: all of them name it`, async () => {
  const { code, lines } = await run({
    ranks: 4,
    program: program("dies"),
    args: ["allreduce", "2", "kill"],
    allow: ["ffi"],
  });
  assert.equal(code, 128 + 9);
  assert.deepEqual(lostOf(lines), ["0: 2", "1: 2", "3: 2"]);
});

Deno.test(`a rank is stopped while others ${memory}: lost after the timeout`, async () => {
  const { lines, ms } = await run({
    ranks: 4,
    program: program("dies"),
    args: ["allreduce", "2", "stop"],
    allow: ["ffi", "run=kill"],
    timeout: 6,
  });
  assert.deepEqual(lostOf(lines), ["0: 2", "1: 2", "3: 2"]);
  assert.ok(ms > 6000);
});

Deno.test("a call in the background does not keep the program from going on", async () => {
  const [line] = await outputOf({
    ranks: 2,
    program: program("background"),
    allow: ["ffi"],
  });
  const [, turns] = /^(\d+) turns while rank 1 was late$/.exec(line)!;
  assert.ok(Number(turns) > 3, line);
});

Deno.test("a rank that leaves when its allreduce is done is not missed by the others", async () => {
  await outputOf({ ranks: 5, program: program("leaves"), allow: ["ffi"] });
});

Deno.test(`collectives of all kinds at once, through sockets and through memory${unless}`, async () => {
  const sent: number[] = [];
  for (const allow of [[], ["ffi"]]) {
    const [line] = await outputOf({ ranks: 4, program: program("mixed"), allow });
    const [, bytes] = /^all 600 right; (\d+) bytes sent$/.exec(line)!;
    sent.push(Number(bytes));
  }
  // Where ranks look into each other's memory, little goes over the wire but large broadcasts.
  if (noSharing !== null) return;
  assert.ok(sent[1] < sent[0] / 2, `${sent[1]} bytes with, ${sent[0]} without`);
});

for (const allow of [[], ["ffi"]]) {
  const way = allow.length > 0 ? "memory" : "sockets";
  Deno.test(`a disagreement on one communicator leaves the others as they were (${way})`, async () => {
    const lines = await outputOf({ ranks: 4, program: program("disagrees"), allow });
    assert.deepEqual(lines, ["all right on 4"]);
  });
}
