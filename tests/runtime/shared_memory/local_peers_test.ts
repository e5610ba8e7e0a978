/** The discovery of local peers, among ranks that have nothing in common but its exchanges. */

import assert from "node:assert/strict";
import { LocalPeers } from "../../../runtime/shared_memory/local_peers.ts";
import { SharedMemory } from "../../../runtime/shared_memory/memory.ts";

/** Peers of rank 0 of two on two hosts: neither takes memory. */
function peers(): LocalPeers {
  const job = { rank: 0, size: 2, hosts: ["here", "there"] };
  return new LocalPeers(job, { deliver() {}, wake() {} });
}

Deno.test("peers are discovered once, by the first caller's exchanges, and all callers wait", async () => {
  const local = peers(), exchanged: number[] = [];
  const gate = Promise.withResolvers<void>();
  const first = local.discover(async (mine) => {
    exchanged.push(mine.length);
    await gate.promise;
    return [mine, mine];
  });
  let waited = false;
  const second = local.discover(() => assert.fail("the second caller need not exchange anything"))
    .then(() => waited = true);
  await new Promise((go) => setTimeout(go, 10));
  assert.deepEqual([local.discovered, waited], [false, false]);
  gate.resolve();
  await Promise.all([first, second]);
  assert.equal(local.discovered, true);
  assert.equal(exchanged.length, 2);
  await local.discover(() => assert.fail("nor who comes later"));
});

/** Descriptors of memory that this process shows to others. */
async function shownMemories(): Promise<number> {
  let count = 0;
  for await (const { name } of Deno.readDir("/proc/self/fd")) {
    const target = await Deno.readLink(`/proc/self/fd/${name}`).catch(() => "");
    if (target.startsWith("/memfd:celgc")) count++;
  }
  return count;
}

Deno.test({
  name: "memory is shown to others until all have looked, and no longer where they never do",
  ignore: SharedMemory.open() === null,
  fn: async () => {
    const hosts = ["here", "here"], before = await shownMemories();
    for (const failing of [1, 2, 3]) {
      const local = new LocalPeers({ rank: 0, size: 2, hosts }, { deliver() {}, wake() {} });
      let exchanges = 0, shown = 0;
      const discovery = local.discover(async (mine) => {
        shown = await shownMemories();
        if (++exchanges === failing) throw new Error("rank 1 is gone");
        return [mine, new Uint8Array(mine.length)];
      });
      if (failing <= 2) await assert.rejects(discovery, /rank 1 is gone/);
      else await discovery;
      assert.deepEqual([shown, await shownMemories()], [before + 1, before]);
    }
  },
});

Deno.test("a discovery that fails does so for its caller alone, and nothing is shared", async () => {
  const local = peers();
  const first = local.discover(() => Promise.reject(new Error("rank 1 is gone")));
  const second = local.discover(() => assert.fail("it is not tried again"));
  await assert.rejects(first, /rank 1 is gone/);
  await second;
  assert.equal(local.discovered, true);
  assert.equal(local.sharesMemory([0, 1]), false);
  assert.equal(local.isLocal(1), false);
  assert.equal(local.trySend(1, 0, new Uint8Array(64), new Uint8Array(0)), false);
  assert.throws(() => local.arena, /shares no memory/);
});
