import assert from "node:assert/strict";
import { Sparkline } from "../../../tasks/terminal/sparkline.ts";

/** The line of some values. */
function lineOf(values: readonly number[], columns = 8): string {
  const line = new Sparkline(columns);
  for (const value of values) line.push(value);
  return String(line);
}

Deno.test("a curve is drawn from its lowest to its highest value", () => {
  assert.equal(lineOf([8, 7, 6, 5, 4, 3, 2, 1]), "█▇▆▅▄▃▂▁");
  assert.equal(lineOf([0, 1]), "▁█");
  assert.equal(lineOf([3, 3, 3]), "▁▁▁");
  assert.equal(lineOf([1]), "");
  assert.equal(lineOf([]), "");
});

Deno.test("a long curve stays within its columns, each the mean of as many values", () => {
  // Thirty-two values in eight columns are means of four: 1.5, 5.5, … 29.5.
  assert.equal(lineOf(Array.from({ length: 32 }, (_, i) => i)), "▁▂▃▄▅▆▇█");
  for (let count = 2; count < 300; count++) {
    const line = lineOf(Array.from({ length: count }, (_, i) => -i), 10);
    assert.ok(line.length >= 2 && line.length <= 10, `${count}: ${line}`);
    assert.ok(line.startsWith("█") && line.endsWith("▁"), `${count}: ${line}`);
  }
});

Deno.test("what is not finite leaves no mark", () => {
  assert.equal(lineOf([NaN, 0, Infinity, 7, -Infinity]), "▁█");
});
