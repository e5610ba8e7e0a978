/** How much of a stream may be on its way to the other side. */

import assert from "node:assert/strict";
import { SendWindow } from "../../../runtime/agents/channel.ts";
import { WINDOW_BYTES } from "../../../runtime/agents/messages.ts";

/** A window whose other side has taken nothing yet, and those who have been let through since, in their order. */
async function fullWindow() {
  const window = new SendWindow(), admitted: string[] = [];
  await window.admit(WINDOW_BYTES + 1);
  const admit = (name: string, count: number) =>
    window.admit(count).then(() => void admitted.push(name));
  return { window, admitted, admit };
}

/** Lets all go on that can. */
const turn = () => new Promise((resolve) => setTimeout(resolve, 0));

Deno.test("a stream goes on when enough of it has been taken, in its order, and one writer at a time", async () => {
  const { window, admitted, admit } = await fullWindow();
  const all = [admit("first", WINDOW_BYTES), admit("second", 1), admit("third", 1)];
  await turn();
  assert.deepEqual(admitted, []);
  window.taken(1);
  await turn();
  assert.deepEqual(admitted, ["first"], "which fills it again");
  window.taken(WINDOW_BYTES);
  await turn();
  assert.deepEqual(admitted, ["first", "second"], "there was room for one more byte");
  window.taken(1);
  await Promise.all(all);
  assert.deepEqual(admitted, ["first", "second", "third"]);
});

Deno.test("a window that is open keeps nobody waiting, now or later", async () => {
  const { window, admitted, admit } = await fullWindow();
  const all = [admit("first", WINDOW_BYTES), admit("second", WINDOW_BYTES)];
  await turn();
  assert.deepEqual(admitted, []);
  window.open();
  await Promise.all(all);
  await admit("third", 1);
  assert.deepEqual(admitted, ["first", "second", "third"]);
});
