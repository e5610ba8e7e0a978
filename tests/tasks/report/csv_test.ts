import assert from "node:assert/strict";
import { report } from "../../../tasks/report/report.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";
import { knownLines, position, writeRun } from "../run_folder.ts";

const KNOWN = { interval: 2, scale: 10, stepMs: 50, syncMs: 10, drift: 0.1, driftBound: null };

Deno.test("a report's records as CSV: a line for each, under the run's label", async () => {
  await using folder = await temporaryFolder();
  const valid = {
    type: "eval",
    ...position(16, 2),
    split: "valid",
    loss: 2,
    accuracy: 0.5,
    count: 9,
  };
  await writeRun(folder.path, "a", { lr: 1 }, knownLines(KNOWN));
  await writeRun(folder.path, "b", { lr: 2 }, [...knownLines(KNOWN).slice(0, -1), valid]);
  const { csv, page } = await report([folder.path], { csv: true });
  const base = `${folder.path}/report`;
  assert.equal(page, `${base}.html`);
  assert.deepEqual(csv, ["steps", "rounds", "evaluations"].map((name) => `${base}-${name}.csv`));
  const [steps, rounds, evaluations] = await Promise.all(csv.map(async (path) => {
    const [head, ...lines] = (await Deno.readTextFile(path)).trimEnd().split("\n")
      .map((line) => line.split(","));
    return lines.map((line) => Object.fromEntries(head.map((name, at) => [name, line[at]])));
  }));
  assert.deepEqual([steps.length, rounds.length, evaluations.length], [64, 16, 5]);
  const [first] = steps;
  assert.deepEqual(
    [first.run, first.rank, first.iteration, first.loss, first.gradNorm, first.clipped, first.lr],
    ["η=1", "0", "1", "5", "16", "1", "0.1"],
  );
  const sum = (lines: typeof steps, name: string) =>
    lines.reduce((total, line) => total + Number(line[name]), 0);
  // Four, three, two and one of the four steps of the first epochs clip, in both runs.
  assert.equal(sum(steps, "clipped"), 20);
  assert.deepEqual([rounds[0].drift, rounds[0].driftBound, rounds[0].participants], [
    "0.2",
    "",
    "2",
  ]);
  assert.deepEqual(evaluations.map(({ run, split, accuracy }) => [run, split, accuracy]), [
    ["η=1", "", "0.4"],
    ["η=1", "", "0.8"],
    ["η=2", "", "0.4"],
    ["η=2", "", "0.8"],
    ["η=2", "valid", "0.5"],
  ]);
});

Deno.test("without being asked a report writes no CSV", async () => {
  await using folder = await temporaryFolder();
  await writeRun(folder.path, "a", {}, knownLines(KNOWN));
  assert.deepEqual((await report([folder.path])).csv, []);
});
