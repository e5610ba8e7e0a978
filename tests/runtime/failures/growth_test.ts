/** Ranks that are lost have others in their stead, which are let in while the job runs. */

import assert from "node:assert/strict";
import { pidsIn, program, survivors } from "../../_helpers/jobs.ts";
import { launchProgram, type LaunchProgramOptions } from "../../../runtime/launcher/launch.ts";

/** Runs a job whose lost ranks are replaced, and gives what each rank printed, by its rank in the job. */
async function grow(
  ranks: number,
  victims: string,
  options: Partial<LaunchProgramOptions> = {},
): Promise<string[][]> {
  const lines: string[][] = [];
  const { code, failure } = await launchProgram({
    ranks,
    program: program("failures/grows"),
    args: [victims, "15", String(ranks)],
    allow: ["run", "ffi"],
    quiet: true,
    handleSignals: false,
    onOutput: (rank, line) => (lines[rank] ??= []).push(line),
    onLost: () => {},
    respawn: () => 1,
    ...options,
  });
  const told = JSON.stringify(lines, null, 1);
  assert.equal(code, 0, `${failure?.message}\n${told}`);
  assert.deepEqual(await survivors(pidsIn(lines.flat()), 10_000), [], "processes are left");
  return lines;
}

/** Checks that a job has ended with these ranks, in this order. */
function endedAs(lines: readonly string[][], members: readonly number[]): void {
  for (const [place, rank] of members.entries()) {
    const last = lines[rank].at(-1);
    assert.equal(last, `done as ${place} of ${members.length}: ${members.join(" ")}`);
  }
}

Deno.test("a rank that is started in the stead of a lost one is let in behind the others", async () => {
  endedAs(await grow(3, "1@5"), [0, 2, 3]);
});

Deno.test("the loss of rank 0 does not keep newcomers out", async () => {
  endedAs(await grow(3, "0@5"), [1, 2, 3]);
});

Deno.test("newcomers are lost in their turn, until nobody is left of those who began", async () => {
  const lines = await grow(3, "0@3,2@3,3@6,1@9");
  assert.match(lines[1].join("\n"), /shrank to 1 at 3/);
  // Ranks 3 and 4 may be let in one after the other, in the order in which they have come.
  const last = lines.map((own) => own.at(-1)!).filter((line) => /^done as/.test(line));
  assert.equal(last.length, 3);
  for (const line of last) assert.match(line, /^done as \d of 3: 4 5 6$/);
});

Deno.test("a rank is lost while it lets others in", async () => {
  const lines = await grow(3, "1@5,2@grow");
  const last = lines.map((own) => own.at(-1)!).filter((line) => /^done as/.test(line));
  assert.equal(last.length, 3);
  assert(last.every((line) => /: 0 \d+ \d+$/.test(line)), last.join("\n"));
});

Deno.test("a newcomer that ends before it is let in has another in its stead", async () => {
  endedAs(await grow(3, "2@5,3@join"), [0, 1, 4]);
});

Deno.test("over TCP", async () => {
  endedAs(await grow(3, "0@5", { transport: "tcp" }), [1, 2, 3]);
});

Deno.test("who nobody lets in ends with the job, and is no failure", async () => {
  const lines: string[][] = [];
  const { code, failure, losses } = await launchProgram({
    ranks: 3,
    program: program("failures/survives"),
    args: ["allreduce", "2", "kill"],
    allow: ["run", "ffi"],
    quiet: true,
    handleSignals: false,
    onOutput: (rank, line) => (lines[rank] ??= []).push(line),
    onLost: () => {},
    respawn: ({ rank }) => rank < 3 ? 0 : null,
  });
  assert.equal(code, 0, `${failure?.message}`);
  assert.deepEqual(losses?.map(({ rank }) => rank), [2]);
  assert.equal(lines[0].at(-1), "went on as 0 of 2: 0 1");
  assert.deepEqual(await survivors(pidsIn(lines.flat()), 10_000), [], "processes are left");
});
