import assert from "node:assert/strict";
import { pause, Restarts } from "../../../../tasks/launch/recovery/restarts.ts";
import { OptionError } from "../../../../tasks/options/kinds.ts";
import type { Options } from "../../../../tasks/options/table.ts";
import { resolveOptions } from "../../../../tasks/options/resolve.ts";

Deno.test("a run starts again so often in a row, each time after a longer pause", () => {
  const restarts = new Restarts(6);
  const pauses = [3, 4, 5, 6, 7, 8].map((step) => restarts.after({ step, from: 0 })?.pause);
  assert.deepEqual(pauses, [1, 2, 4, 8, 16, 30]);
  assert.equal(restarts.after({ step: 9, from: 0 }), null);
});

Deno.test("a run that comes to another checkpoint begins to count anew", () => {
  const restarts = new Restarts(2);
  assert.match(
    restarts.after({ step: 7, from: 0 })!.line,
    /^restart 1 of 2 from the beginning in 1 s$/,
  );
  assert.match(
    restarts.after({ step: 8, from: 0 })!.line,
    /^restart 2 of 2 from the beginning in 2 s$/,
  );
  assert.match(
    restarts.after({ step: 14, from: 10 })!.line,
    /^restart 1 of 2 from step 10 in 1 s$/,
  );
  assert.ok(restarts.after({ step: 15, from: 10 }));
  assert.equal(restarts.after({ step: 16, from: 10 }), null);
});

Deno.test("a failure that comes back at its step is said to be the run's own", () => {
  const restarts = new Restarts(3),
    line = (step: number | null) => restarts.after({ step, from: 0 })!.line;
  assert.doesNotMatch(line(7), /before/);
  assert.doesNotMatch(line(null), /before/);
  assert.match(line(7), /; it failed at step 7 before: that comes from the run itself/);
});

Deno.test("a pause ends early if the run is given up", async () => {
  assert.equal(await pause(0), true);
  assert.equal(await pause(100, AbortSignal.abort()), false);
  const controller = new AbortController(), waiting = pause(100, controller.signal);
  controller.abort();
  assert.equal(await waiting, false);
});

Deno.test("a run starts again as a whole with --on-failure restart alone", () => {
  const start = (onFailure: Options["onFailure"]) =>
    Restarts.of({ onFailure, maxRestarts: 3 }).after({ step: 7, from: 0 });
  assert.equal(start("stop"), null);
  assert.equal(start("shrink"), null, "it would do again what it failed of");
  assert.match(start("restart")!.line, /^restart 1 of 3/);
});

Deno.test("--max-restarts implies --on-failure restart, and is refused where it has no effect", () => {
  assert.equal(resolveOptions({}).onFailure, "stop");
  assert.equal(resolveOptions({ maxRestarts: 2 }).onFailure, "restart");
  assert.equal(resolveOptions({ maxRestarts: 0 }).onFailure, "stop");
  assert.equal(resolveOptions({ onFailure: "restart" }).maxRestarts, 3);
  const given = { onFailure: "stop", maxRestarts: 2 };
  assert.throws(() => resolveOptions(given), (error) => {
    assert.ok(error instanceof OptionError);
    assert.match(error.message, /^--max-restarts 2 has no effect with --on-failure stop/);
    return true;
  });
});
