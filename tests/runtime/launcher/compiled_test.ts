/** Ranks of a compiled program, which can start nothing but itself; here a script stands for its file. */

import assert from "node:assert/strict";
import { program } from "../../_helpers/jobs.ts";

/** Runs a program as if it were compiled. */
async function runCompiled(...args: string[]) {
  const folder = await Deno.makeTempDir({ prefix: "celgc-test-" });
  try {
    const executable = `${folder}/compiled`;
    const command = `${Deno.execPath()} run -A --no-check --preload=${
      program("launching/standalone").href
    }`;
    await Deno.writeTextFile(
      executable,
      `#!/bin/sh\nexec ${command} ${program("launching/launches").href} "$@"\n`,
      { mode: 0o755 },
    );
    const { code, stdout, stderr } = await new Deno.Command(executable, {
      args,
      env: { SIMULATED_EXECUTABLE: executable },
      stdin: "null",
      signal: AbortSignal.timeout(60_000),
    }).output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { code, lines: text(stdout).trimEnd().split("\n"), stderr: text(stderr) };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("the ranks of a compiled program are ranks, and do not launch again", async () => {
  const { code, lines, stderr } = await runCompiled("2", "a b");
  assert.equal(code, 0, stderr);
  assert.deepEqual(
    lines.toSorted(),
    [
      'main with ["2","a b"]',
      "launched",
      '[0] main with ["2","a b"]',
      '[1] main with ["2","a b"]',
      '[0] rank 0 of 2 with ["a b"]: 3',
      '[1] rank 1 of 2 with ["a b"]: 3',
    ].toSorted(),
  );
});

Deno.test("an error in a rank of a compiled program is that rank's", async () => {
  const { code, lines, stderr } = await runCompiled("2", "throws");
  assert.equal(code, 1);
  assert.match(stderr, /rank 1 on \S+ ended with exit code 1: Error: out of luck/);
  assert.equal(lines.filter((line) => line.endsWith("launched")).length, 1);
});
