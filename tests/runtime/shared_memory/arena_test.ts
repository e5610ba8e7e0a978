/** What the ranks of a host have in common, seen by one of them. */

import assert from "node:assert/strict";
import { SharedArena } from "../../../runtime/shared_memory/arena.ts";
import { SharedMemory } from "../../../runtime/shared_memory/memory.ts";

Deno.test({
  name:
    "a rank looks before it sleeps where the ranks of its host, not of the job, have a processor each",
  ignore: SharedMemory.open() === null || navigator.hardwareConcurrency < 2,
  fn() {
    const processors = navigator.hardwareConcurrency;
    const spinMs = (here: number, elsewhere: number) => {
      const hosts = [...Array(here).fill("here"), ...Array(elsewhere).fill("there")];
      const arena = SharedArena.open({ rank: 0, size: here + elsewhere, hosts })!;
      arena.memory.close(arena.descriptor);
      return arena.spinMs;
    };
    const fits = Math.min(processors, 8);
    assert.ok(spinMs(fits, 0) > 0);
    // Memory is shared in jobs of up to 64 ranks.
    assert.equal(spinMs(fits, Math.min(processors, 64 - fits)), spinMs(fits, 0));
    if (processors < 63) assert.equal(spinMs(processors + 1, 0), 0);
  },
});
