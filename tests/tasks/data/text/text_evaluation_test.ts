import assert from "node:assert/strict";
import { evaluationWindows } from "../../../../tasks/data/text/text_evaluation.ts";

Deno.test("every token but the first is a target once, in windows of one shape", () => {
  for (
    const [count, columns, length] of [[1000, 10, 70], [1003, 10, 7], [15, 10, 4], [2, 3, 5], [
      99,
      1,
      50,
    ]]
  ) {
    const tokens = Int32Array.from({ length: count }, (_, i) => i + 1);
    const seen = new Uint8Array(count + 1);
    const last = new Int32Array(columns);
    for (const w of evaluationWindows(tokens, { columns, length })) {
      assert.deepEqual(
        [w.input.length, w.target.length, w.mask.length],
        Array(3).fill(length * columns),
      );
      let valid = 0;
      for (let i = 0; i < w.mask.length; i++) {
        if (w.mask[i] === 0) {
          assert.equal(w.target[i], 0);
          continue;
        }
        assert.equal(w.mask[i], 1);
        assert.equal(w.target[i], w.input[i] + 1);
        seen[w.target[i]]++;
        valid++;
        // Each column goes on where it ended, so that a carried state fits.
        const column = i % columns;
        assert(last[column] === 0 || w.input[i] === last[column]);
        last[column] = w.target[i];
      }
      assert.equal(w.valid, valid);
    }
    assert.deepEqual([...seen], [0, 0, ...Array(count - 1).fill(1)], `${count} tokens`);
  }
});

Deno.test("shares of the columns are the same columns", () => {
  const tokens = Int32Array.from({ length: 500 }, (_, i) => (i * 31) % 97);
  const whole = [...evaluationWindows(tokens, { columns: 7, length: 20 })];
  for (const take of [[0, 3], [3, 6], [6, 7]] as const) {
    const part = [...evaluationWindows(tokens, { columns: 7, length: 20, take })];
    assert.equal(part.length, whole.length);
    part.forEach((w, i) => {
      for (const field of ["input", "target", "mask"] as const) {
        const expected = [...whole[i][field]].filter((_, j) => j % 7 >= take[0] && j % 7 < take[1]);
        assert.deepEqual([...w[field]], expected);
      }
    });
  }
});

Deno.test("options out of range are refused", () => {
  const tokens = new Int32Array(10);
  const run =
    (o: Parameters<typeof evaluationWindows>[1], t = tokens) => () => [...evaluationWindows(t, o)];
  assert.throws(run({ columns: 0 }), /number of columns is a positive integer, not 0/);
  assert.throws(run({ length: 2.5 }), /window length is a positive integer, not 2\.5/);
  assert.throws(run({ columns: 4, take: [2, 5] }), /columns 2 to 5 are no part of 0 to 4/);
  assert.throws(run({}, new Int32Array(1)), /1 token: 2 are required/);
});
