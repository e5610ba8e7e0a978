/** The communicator in launched ranks: real processes, real sockets, every world size. */

import assert from "node:assert/strict";
import { launchProgram, type LaunchProgramOptions } from "../../../runtime/launcher/launch.ts";
import { whyNoSharing } from "../_shared_memory.ts";

const program = (name: string) => new URL(`../programs/${name}`, import.meta.url);

/** Runs a program and returns what rank 0 printed; fails with the failing rank's last words. */
async function outputOf(options: LaunchProgramOptions): Promise<string[]> {
  const lines: string[] = [], all: string[] = [];
  const { code, failure } = await launchProgram({
    ...options,
    quiet: true,
    onOutput: (rank, line) => {
      all.push(`[${rank}] ${line}`);
      if (rank === 0) lines.push(line);
    },
  });
  assert.equal(code, 0, `${failure?.message}\n${all.slice(-30).join("\n")}`);
  return lines;
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
  Deno.test(`every call is right on ${ranks} ranks over ${transport} ${allow}`, async () => {
    const options = { ranks, transport, allow, program: program("battery.ts") };
    assert.deepEqual(await outputOf(options), [`battery passed on ${ranks}`]);
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
      program: program("many_elements.ts"),
      args: [algorithm, "24200003"],
      allow: ["ffi"],
    });
    assert.deepEqual(lines, [`${algorithm}: 24200003 floats are right`]);
  });
}

Deno.test("a rank is killed while others read its memory: all of them name it", async () => {
  const lost: string[] = [];
  const { code } = await launchProgram({
    ranks: 4,
    program: program("dies.ts"),
    args: ["allreduce", "2", "kill"],
    allow: ["ffi"],
    quiet: true,
    onOutput: (rank, line) => {
      if (line.startsWith("lost ")) lost.push(`${rank}: ${JSON.parse(line.slice(5)).rank}`);
    },
  });
  assert.equal(code, 128 + 9);
  assert.deepEqual(lost.sort(), ["0: 2", "1: 2", "3: 2"]);
});

Deno.test("a rank is stopped while others share its memory: lost after the timeout", async () => {
  const lost: string[] = [];
  const start = performance.now();
  await launchProgram({
    ranks: 4,
    program: program("dies.ts"),
    args: ["allreduce", "2", "stop"],
    allow: ["ffi", "run=kill"],
    timeout: 6,
    quiet: true,
    onOutput: (rank, line) => {
      if (line.startsWith("lost ")) lost.push(`${rank}: ${JSON.parse(line.slice(5)).rank}`);
    },
  });
  assert.deepEqual(lost.sort(), ["0: 2", "1: 2", "3: 2"]);
  assert.ok(performance.now() - start > 6000);
});

Deno.test("a call in the background does not keep the program from going on", async () => {
  const [line] = await outputOf({
    ranks: 2,
    program: program("background.ts"),
    allow: ["ffi"],
  });
  const [, turns] = /^(\d+) turns while rank 1 was late$/.exec(line)!;
  assert.ok(Number(turns) > 3, line);
});

Deno.test("a rank that leaves when its allreduce is done is not missed by the others", async () => {
  await outputOf({ ranks: 5, program: program("leaves.ts"), allow: ["ffi"] });
});

Deno.test(`collectives of all kinds at once, through sockets and through memory${unless}`, async () => {
  const sent: number[] = [];
  for (const allow of [[], ["ffi"]]) {
    const [line] = await outputOf({ ranks: 4, program: program("mixed.ts"), allow });
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
    const lines = await outputOf({ ranks: 4, program: program("disagrees.ts"), allow });
    assert.deepEqual(lines, ["all right on 4"]);
  });
}
