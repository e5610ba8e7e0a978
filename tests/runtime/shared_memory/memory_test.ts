/** Memory that processes have in common: what is mapped, and what is not. */

import assert from "node:assert/strict";
import { PAGE_BYTES, SharedMemory } from "../../../runtime/shared_memory/memory.ts";
import { pages, startSharer, whyNoSharing } from "../_shared_memory.ts";

const shared = SharedMemory.open();
const reason = await whyNoSharing();

/** The number under which this process has opened a file. */
function descriptorOf(path: string): number {
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    try {
      if (Deno.readLinkSync(`/proc/self/fd/${name}`) === path) return Number(name);
    } catch {
      // That by which the directory was read.
    }
  }
  throw new Error(`${path} is not open`);
}

Deno.test({
  name: `two processes have a page in common${reason === null ? "" : ` (${reason})`}`,
  ignore: reason !== null,
  async fn() {
    const sharer = (await startSharer())!, page = pages(1);
    page[0] = 1;
    const attached = shared!.attach(sharer.pid, sharer.descriptor, page);
    const seen = page[0];
    page[1] = 77;
    const answered = await sharer.end();
    assert.deepEqual([attached, seen, answered], [true, 42, 77]);
  },
});

Deno.test({
  name: "what is no shared memory of ours, or of another length, is not mapped",
  ignore: shared === null,
  async fn() {
    const path = await Deno.makeTempFile({ prefix: "celgc-test-" });
    const own = shared!.create(pages(1)), place = pages(2);
    place.fill(7);
    try {
      using file = await Deno.open(path, { read: true, write: true });
      const number = descriptorOf(path);
      assert.equal(shared!.attach(Deno.pid, number, place), false, "an empty file");
      await file.truncate(place.length);
      assert.equal(shared!.attach(Deno.pid, number, place), false, "a file");
      assert.equal(shared!.attach(Deno.pid, own, place), false, "one page of two");
      assert.equal(shared!.attach(Deno.pid, 0, place), false, "the standard input");
      assert.equal(shared!.attach(Deno.pid, 1_000_000, place), false, "nothing");
      assert(place.every((byte) => byte === 7)); // still this process's own
      assert.equal(shared!.attach(Deno.pid, own, place.subarray(0, PAGE_BYTES)), true);
      assert.equal(place[0], 0);
    } finally {
      shared!.close(own);
      await Deno.remove(path);
    }
  },
});
