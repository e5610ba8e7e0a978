import assert from "node:assert/strict";
import { generateText } from "../../../tasks/data/text/generated_text.ts";
import { windowTask, type WindowTaskOptions } from "../../../tasks/problems/window_task.ts";

const TEXT = generateText({ seed: 2, train: 500, valid: 60, test: 101 });
const OPTIONS: WindowTaskOptions = {
  batchSize: 3,
  ranks: 2,
  seed: 4,
  partition: "iid",
  bptt: 7,
  evalTokens: null,
};

/** The windows of a batch, each with the words that follow, as text. */
function rowsOf({ input, target }: Record<string, { data: ArrayLike<number | bigint> }>): string[] {
  const rows: string[] = [];
  for (let at = 0; at < input.data.length; at += 7) {
    const words = Array.from({ length: 7 }, (_, i) => input.data[at + i]);
    rows.push([...words, ...Array.from({ length: 7 }, (_, i) => target.data[at + i])].join());
  }
  return rows;
}

/** Every window of the training text, in its order. */
const WINDOWS = Array.from({ length: 71 }, (_, i) => {
  const at = 7 * i;
  return [...TEXT.train.subarray(at, at + 7), ...TEXT.train.subarray(at + 1, at + 8)].join();
});

Deno.test("an epoch takes every window of the text once over all ranks, each in an order of its own", () => {
  const tasks = [0, 1].map((rank) => windowTask(TEXT, OPTIONS, rank));
  assert.equal(tasks[0].stepsPerEpoch, 71 / 6);
  assert.equal(tasks[0].epoch(12), 72 / 71);
  const seen: string[] = [];
  for (let t = 1; t <= 24; t++) {
    for (const task of tasks) seen.push(...rowsOf(task.batch(t).feeds));
  }
  const [first, second] = [seen.slice(0, 71), seen.slice(71, 142)];
  assert.deepEqual(first.toSorted(), WINDOWS.toSorted());
  assert.deepEqual(second.toSorted(), WINDOWS.toSorted());
  assert.notDeepEqual(first, second);
  const again = windowTask(TEXT, OPTIONS, 1).batch(9);
  assert.deepEqual(again, tasks[1].batch(9));
  assert.deepEqual([again.length, again.samples], [7, 21]);
});

Deno.test("with parts of its own a rank reads nothing else", () => {
  const options = { ...OPTIONS, partition: "proportional:30,70" };
  const task = windowTask(TEXT, options, 0);
  const seen = new Set<string>();
  for (let t = 1; t <= 20; t++) rowsOf(task.batch(t).feeds).forEach((row) => seen.add(row));
  // 150 tokens are its own, and the word after the 21st window is among them.
  assert.deepEqual([...seen].toSorted(), WINDOWS.slice(0, 21).toSorted());
});

Deno.test("an evaluation predicts every word but the first once, and marks what fills a batch up", () => {
  for (const evalTokens of [null, 40]) {
    const seen: number[] = [];
    for (const rank of [0, 1]) {
      const [, test] = windowTask(TEXT, { ...OPTIONS, evalTokens }, rank).splits;
      assert.equal(test.samples, evalTokens ?? 100);
      for (const { target } of test.batches()) {
        assert.deepEqual(target.dims, [3, 7]);
        seen.push(...Array.from(target.data, Number).filter((word) => word >= 0));
      }
    }
    const expected = TEXT.test.subarray(1, (evalTokens ?? 100) + 1);
    assert.deepEqual(seen.toSorted(), [...expected].toSorted());
  }
});

Deno.test("a loss that counts filling gets none", () => {
  const counts = [0, 1].map((rank) => {
    const [, test] = windowTask(TEXT, OPTIONS, rank, { wholeBatches: true }).splits;
    // 14 windows: the largest number up to 3 that divides them.
    assert.deepEqual([test.samples, test.batchSize], [98, 2]);
    const targets = [...test.batches()].flatMap(({ target }) => Array.from(target.data, Number));
    assert(targets.every((word) => word >= 0));
    return targets.length;
  });
  assert.equal(counts[0] + counts[1], 98);
});

Deno.test("a loss that counts filling is not evaluated on less than a window", () => {
  const open = (bptt: number, evalTokens: number | null, wholeBatches = true) =>
    windowTask(TEXT, { ...OPTIONS, bptt, evalTokens, batchSize: 1 }, 0, { wholeBatches });
  assert.throws(
    () => open(7, 6),
    /the valid text has 60 tokens, of which 6 are predicted \(--eval-tokens 6\): no whole window of --bptt 7/,
  );
  assert.throws(() => open(60, null), /60 tokens, of which 59 are predicted: no whole .* 60/);
  assert.deepEqual(open(59, null).splits.map(({ samples }) => samples), [59, 59]);
  assert.deepEqual(open(7, 6, false).splits.map(({ samples }) => samples), [6, 6]);
});

Deno.test("a text too short for the ranks' windows is refused with its length", () => {
  assert.throws(
    () => windowTask(TEXT, { ...OPTIONS, bptt: 100 }, 0),
    /a text of 500 tokens has no windows of 100 tokens for 2 ranks with 3 columns/,
  );
});
