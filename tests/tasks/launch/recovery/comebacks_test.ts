import assert from "node:assert/strict";
import type { LaunchFailure } from "../../../../runtime/launcher/root_cause.ts";
import { Comebacks } from "../../../../tasks/launch/recovery/comebacks.ts";
import { OptionError } from "../../../../tasks/options/kinds.ts";
import { resolveOptions } from "../../../../tasks/options/resolve.ts";

const loss = (rank: number, stead?: number): LaunchFailure => ({
  ...{ rank, host: "a", code: null, signal: "SIGKILL", step: null, operation: null, lastLines: [] },
  ...stead === undefined ? {} : { stead },
  headline: `rank ${rank} on a was ended by SIGKILL\nrank 0 waited for it`,
  message: "",
});

Deno.test("a rank is started again so often in a row, each time after a longer pause", () => {
  let now = 0;
  const comebacks = new Comebacks(3, () => now);
  assert.deepEqual(comebacks.after(loss(1)), {
    pause: 1000,
    line:
      "rank 1 on a was ended by SIGKILL; the others go on, and it is started again in 1 s (1 of 3)",
  });
  now = 5000;
  assert.equal(comebacks.after(loss(4, 1)).pause, 2000);
  assert.equal(comebacks.after(loss(2)).pause, 1000, "others count by themselves");
  assert.equal(comebacks.after(loss(6, 1)).pause, 4000);
  assert.deepEqual(comebacks.after(loss(7, 1)), {
    pause: null,
    line:
      "rank 7 on a was ended by SIGKILL; the others go on without it: it has been started again 3 " +
      "times in a row",
  });
});

Deno.test("one that has lived for ten minutes counts anew", () => {
  let now = 0;
  const comebacks = new Comebacks(1, () => now);
  assert.equal(comebacks.after(loss(1)).pause, 1000);
  now = 601_000;
  assert.equal(comebacks.after(loss(3, 1)).pause, 1000);
  now += 600_000;
  assert.equal(comebacks.after(loss(4, 1)).pause, null);
});

Deno.test("--max-restarts says with --elastic how often a rank is started again", () => {
  const options = resolveOptions({ elastic: "1..2", ranks: 2, maxRestarts: 5 });
  assert.deepEqual([options.onFailure, options.maxRestarts], ["shrink", 5]);
  const unix = { elastic: "1..2", ranks: 2, transport: "unix" } as const;
  assert.throws(() => resolveOptions(unix), (error) => {
    assert.ok(error instanceof OptionError);
    assert.match(error.message, /^--elastic 1\.\.2 does not go with --transport unix/);
    return true;
  });
  assert.equal(resolveOptions({ ...unix, maxRestarts: 0 }).transport, "unix");
});
