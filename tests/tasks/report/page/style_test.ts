import assert from "node:assert/strict";
import { linearTicks, logTicks, writeValue } from "../../../../tasks/report/page/style.ts";

Deno.test("ticks of a logarithmic axis thin out over many decades and fill few", () => {
  assert.deepEqual(logTicks(0.3, 25), [0.5, 1, 2, 5, 10, 20]);
  assert.deepEqual(logTicks(0.01, 64), [0.01, 0.1, 1, 10]);
  assert.deepEqual(logTicks(1e-3, 1e12), [1e-2, 1, 1e2, 1e4, 1e6, 1e8, 1e10, 1e12]);
  assert.deepEqual(logTicks(2.16, 3.7), [2.5, 3, 3.5]);
});

Deno.test("ticks of a linear axis are round numbers; of seconds, round minutes and hours", () => {
  assert.deepEqual(linearTicks(0, 40, 7, false), [0, 10, 20, 30, 40]);
  assert.deepEqual(linearTicks(3.2, 3.9, 5, false), [3.2, 3.4, 3.6, 3.8]);
  assert.deepEqual(linearTicks(0, 840, 7, true), [0, 120, 240, 360, 480, 600, 720, 840]);
  assert.deepEqual(linearTicks(0, 5 * 86400, 5, true), [0, 1, 2, 3, 4, 5].map((d) => d * 86400));
});

Deno.test("values are written in three digits with their unit", () => {
  const write = (format: Parameters<typeof writeValue>[1], ...values: number[]) =>
    values.map((value) => writeValue(value, format));
  assert.deepEqual(write("number", 0, 0.62512, 1234.5, 98765, 0.00012, -2), [
    "0",
    "0.625",
    "1235",
    "98.8k",
    "1.2e−4",
    "-2",
  ]);
  assert.deepEqual(write("percent", 0.8425, 0, 1), ["84.3 %", "0 %", "100 %"]);
  assert.deepEqual(write("bytes", 0, 999, 24_200_000, 3.1e9), [
    "0 B",
    "999 B",
    "24.2 MB",
    "3.1 GB",
  ]);
  assert.deepEqual(write("seconds", 0.25, 90, 119.9, 600, 9000), [
    "0.25 s",
    "90 s",
    "2 min",
    "10 min",
    "2.5 h",
  ]);
  assert.deepEqual(write("number", NaN, -Infinity), ["–", "–"]);
});
