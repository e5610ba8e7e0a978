/** What ends a launcher from outside. */

import assert from "node:assert/strict";
import { deno } from "../../_helpers/deno.ts";
import { program } from "../../_helpers/jobs.ts";

for (
  const [name, moments, told] of [
    ["SIGINT", [0, 1, 49, 100, 101, 300], [0, 100, 300]],
    ["SIGTERM", [0, 1, 999, 1000], [0, 1000]],
    ["SIGUSR1", [0, 1, 999, 1000], [0, 1000]],
  ] as const
) {
  Deno.test(`one ${name} that comes by two ways is told once, another one again`, async () => {
    const path = program("launching/interrupted").href;
    const { stdout, stderr } = await deno([
      "run",
      "-A",
      "--no-check",
      path,
      name,
      ...moments.map(String),
    ]);
    assert.deepEqual(
      stdout.trimEnd().split("\n"),
      told.map((moment) => `${name} ${moment}`),
      stderr,
    );
  });
}
