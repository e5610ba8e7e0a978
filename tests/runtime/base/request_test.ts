/** Handles on operations in progress. */

import assert from "node:assert/strict";
import { Request, waitAny } from "../../../runtime/base/request.ts";
import { EMPTY_STATUS } from "../../../runtime/base/status.ts";
import { denoCommand } from "../../_helpers/deno.ts";

Deno.test("waitAny() names the first of those that are complete, or what it failed with", async () => {
  const never = new Request(new Promise(() => {})), done = () => new Request(Promise.resolve());
  const failed = new Request(Promise.reject(new Error("no such message")));
  assert.deepEqual(await waitAny([never, done(), never]), { index: 1, status: EMPTY_STATUS });
  const both = [done(), failed];
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal((await waitAny(both)).index, 0);
  await assert.rejects(waitAny([never, failed, ...both]), /no such message/);
  await assert.rejects(waitAny([]), RangeError);
});

Deno.test("a request that others are always faster than takes no more memory with each wait", async () => {
  const script = `
    import { Request, waitAny } from ${
    JSON.stringify(import.meta.resolve("../../../runtime/base/request.ts"))
  };
    const stop = new Request(new Promise(() => {}));
    for (let i = 0; i < 300_000; i++) await waitAny([stop, new Request(Promise.resolve())]);`;
  const flags = ["--no-check", "--v8-flags=--max-old-space-size=64"];
  const { success, stderr } = await denoCommand(["eval", ...flags, script]).output();
  assert(success, new TextDecoder().decode(stderr));
});
