/** How a program that has joined a job ends by errors. */

import assert from "node:assert/strict";
import { program, run } from "../../_helpers/jobs.ts";

Deno.test("an error that another follows ends a rank at once, whatever else goes on in it, and both are shown", async () => {
  const { code, failure, errors } = await run({
    ranks: 2,
    program: program("ends"),
    args: ["two errors", "1"],
    signal: AbortSignal.timeout(40_000),
  });
  assert.equal(code, 1);
  assert.match(failure!.message, /^rank 1 on \S+ ended with exit code 1: Error: the first/);
  const said = errors[1].join("\n");
  assert.match(said, /^error: Uncaught Error: the first$/m);
  assert.match(said, /^followed by Error: the second$/m);
});

Deno.test("an error is shown as without a job, and nothing of the goodbye that fails after it", async () => {
  const { code, errors } = await run({
    ranks: 2,
    program: program("ends"),
    args: ["error before another goes", "1"],
  });
  assert.equal(code, 7);
  const said = errors[1].join("\n");
  assert.match(said, /^error: Uncaught .*Error: the first\n.*throw new Error\("the first"\)/);
  assert.doesNotMatch(said, /goodbye/);
});
