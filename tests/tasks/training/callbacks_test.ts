import assert from "node:assert/strict";
import { permissionsFor } from "../../../runtime/devices/open.ts";
import type { Summary } from "../../../tasks/logs/records.ts";
import { checkCallbacks } from "../../../tasks/training/callbacks/callbacks.ts";
import { run } from "../../_helpers/jobs.ts";

const program = new URL("./programs/callbacks.ts", import.meta.url);

/** What the ranks have seen, and the summary. */
async function trained(ranks: number, order: unknown) {
  const outcome = await run({
    ranks,
    args: [JSON.stringify(order)],
    program,
    allow: permissionsFor("cpu"),
  });
  const told = (rank: number, what: string) => {
    const line = outcome.lines[rank].find((line) => line.startsWith(`${what} `));
    return line === undefined ? null : JSON.parse(line.slice(what.length + 1));
  };
  const seen = outcome.lines.map((_, rank) => told(rank, "seen") as string[]);
  return { ...outcome, seen, summary: told(0, "summary") as Summary };
}

Deno.test("callbacks see each rank's steps, all rounds and evaluations, and change no number", async () => {
  const { seen, summary, code, failure } = await trained(2, {});
  assert.equal(code, 0, failure?.message ?? "");
  const evaluated = (t: number) => [`beforeEvaluation ${t}`, `afterEvaluation ${t}`];
  const met = (t: number) => [`beforeRound ${t}`, `afterRound ${t}`, `afterStep ${t}`];
  const steps = (from: number, to: number) =>
    Array.from({ length: to - from + 1 }, (_, i) => `beforeStep ${from + i}`);
  for (const own of seen) {
    assert.deepEqual(own.filter((each) => !each.startsWith("afterStep")), [
      ...evaluated(0),
      ...steps(1, 4),
      ...met(4).slice(0, 2),
      ...steps(5, 6),
      ...evaluated(6),
      ...steps(7, 8),
      ...met(8).slice(0, 2),
      ...steps(9, 12),
      ...met(12).slice(0, 2),
      ...evaluated(12),
    ]);
    const taken = own.filter((each) => each.startsWith("afterStep"));
    assert.deepEqual(taken, Array.from({ length: 12 }, (_, i) => `afterStep ${i + 1}`));
  }
  const plain = await trained(2, { quiet: true });
  assert.deepEqual(plain.seen, [[], []]);
  assert.equal(summary.weightsHash, plain.summary.weightsHash);
  assert.equal(summary.testLoss, plain.summary.testLoss);
  assert.equal(summary.totalBytesSent, plain.summary.totalBytesSent);
  assert.equal(summary.stoppedBy, undefined);
});

Deno.test("a callback of one rank stops all at the same step, with its reason in the summary", async () => {
  const stopped = await trained(3, { rank: 1, hook: "afterStep", step: 5, does: "stop" });
  const { summary, code, failure } = stopped;
  assert.equal(code, 0, failure?.message ?? "");
  assert.deepEqual(summary.stoppedBy, { callback: "watch", rank: 1, reason: "enough at 5" });
  assert.deepEqual([summary.steps, summary.rounds, summary.stoppedEarly], [8, 2, true]);
  assert.ok(summary.identicalWeights);
  const short = await trained(3, { quiet: true, options: { maxSteps: 8 } });
  assert.equal(summary.weightsHash, short.summary.weightsHash);
  assert.equal(summary.testLoss, short.summary.testLoss);
  assert.equal(summary.trainLoss, short.summary.trainLoss);
});

Deno.test("a callback that is content with an evaluation stops the run there", async () => {
  const order = { rank: 0, hook: "afterEvaluation", step: 6, does: "stop" };
  const { summary } = await trained(2, order);
  assert.deepEqual([summary.steps, summary.rounds], [6, 2]);
  assert.equal(summary.stoppedBy!.reason, "enough at 6");
  const short = await trained(2, { quiet: true, options: { maxSteps: 6 } });
  assert.equal(summary.weightsHash, short.summary.weightsHash);
  // One rank alone need not wait for a round.
  const alone = await trained(1, { rank: 0, hook: "afterStep", step: 1, does: "stop" });
  assert.ok(alone.summary.steps < 4, `${alone.summary.steps} steps`);
});

Deno.test("averages that come late, and rounds by the clock, have arrived when a callback has stopped", async () => {
  for (const options of [{ overlap: true }, { interval: 1, syncEvery: 0.02, maxSteps: 40 }]) {
    const order = { rank: 1, hook: "beforeStep", step: 5, does: "stop", options };
    const { summary, code, failure } = await trained(2, order);
    assert.equal(code, 0, failure?.message ?? "");
    assert.ok(summary.identicalWeights);
    assert.equal(summary.stoppedBy?.rank, 1);
  }
});

Deno.test("an error in a callback ends the job, and names callback, hook, step and rank", async () => {
  const order = { rank: 1, hook: "afterRound", step: 4, does: "throw" };
  const { code, lines, failure } = await trained(2, order);
  assert.notEqual(code, 0);
  const text = `${failure?.message}\n${lines.flat().join("\n")}`;
  assert.match(text, /callback watch failed in afterRound at step 4 on rank 1: no more/);
});

Deno.test("what only looks like a callback is refused", () => {
  const wrong = (callback: unknown) => () => checkCallbacks([callback as { name: string }]);
  assert.throws(wrong({}), /^TypeError: callback 0 has no name/);
  assert.throws(wrong({ name: "log", afterSteps() {} }), /log has afterSteps, which is none of/);
  assert.throws(
    wrong({ name: "log", afterStep: 3 }),
    /afterStep of callback log must be a function/,
  );
  checkCallbacks([{ name: "log", afterStep: () => {} }]);
});
