import assert from "node:assert/strict";
import { firstError, reasonOf } from "../../../runtime/base/errors.ts";

/** Fails, and so does what it leaves to be cleaned up. */
async function failsThrice(): Promise<never> {
  await using scope = new AsyncDisposableStack();
  scope.defer(() => Promise.reject(new Error("third")));
  scope.defer(() => Promise.reject(new Error("second")));
  throw new RangeError("first");
}

Deno.test("of errors that follow from each other the first is thrown, the others are told", async () => {
  const told: string[] = [];
  const say = (line: string) => void told.push(line);
  await assert.rejects(firstError(failsThrice(), say), new RangeError("first"));
  assert.deepEqual(told, [
    "and then, while cleaning up: second",
    "and then, while cleaning up: third",
  ]);
  assert.equal(await firstError(Promise.resolve(3), say), 3);
  assert.equal(told.length, 2);
});

Deno.test("the reason of an error that stands alone is itself", async () => {
  const error = new Error("alone");
  assert.equal(reasonOf(error), error);
  assert.equal((await failsThrice().catch(reasonOf) as Error).message, "first");
});
