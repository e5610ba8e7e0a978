import assert from "node:assert/strict";
import type { Options } from "../../../../tasks/options/table.ts";
import { resolveOptions } from "../../../../tasks/options/resolve.ts";
import { startOf } from "../../../../tasks/training/opening/run_start.ts";
import type { TrainParts } from "../../../../tasks/training/opening/train_parts.ts";
import { world } from "../../../_helpers/world.ts";

/** What two ranks begin with, each. */
async function startsOfTwo(given: Partial<Options>, parts: TrainParts = {}) {
  await using mesh = await world(2);
  const options = resolveOptions({ ranks: 2, ...given });
  return mesh.ranks.map((comm) => startOf(comm, options, parts));
}

Deno.test("a run begins with its ranks as its first world, and rank 0 writes", async () => {
  const output = { directory: "nowhere" };
  const [first, second] = await startsOfTwo({}, { output });
  assert.deepEqual(first.worlds, [{ step: 0, ranks: 2 }]);
  assert.deepEqual([first.place, second.place], [0, 1]);
  assert.deepEqual([first.output, second.output], [output, undefined]);
  assert.deepEqual(first.limits, { least: 1, most: 2 });
  assert.equal(first.checkpoints, undefined);
});

Deno.test("what makes the ranks of a run others: its record, the loss of some, a limit to waiting", async () => {
  const replay = [{ step: 0, ranks: 1 }, { step: 4, ranks: 2 }];
  const late = { maxWait: 2 }, lost = { onFailure: "shrink" } as const;
  const membership = async (given: Partial<Options>, parts?: TrainParts) =>
    (await startsOfTwo(given, parts))[0].membership;
  assert.equal(await membership({}), "fixed");
  assert.equal(await membership(late), "punctual");
  assert.equal(await membership(lost), "live");
  assert.equal(await membership(late, { replay }), "replayed");
  assert.equal(await membership(lost, { replay }), "replayed");
});

Deno.test("one rank alone waits for nobody", async () => {
  await using mesh = await world(1);
  const options = { ...resolveOptions({ ranks: 1 }), maxWait: 2 };
  assert.equal(startOf(mesh.ranks[0], options, {}).membership, "fixed");
});

Deno.test("ranks of a replay that are not in its first world open the part of the last that is", async () => {
  const replay = [{ step: 0, ranks: 1 }, { step: 4, ranks: 2 }];
  const [first, second] = await startsOfTwo({}, { replay });
  assert.deepEqual(second.worlds, [{ step: 0, ranks: 1 }]);
  assert.deepEqual([first.place, second.place], [0, 0]);
  assert.deepEqual(second.replay, replay);
});

Deno.test("a checkpoint is that of the ranks which had begun by then", async () => {
  const worlds = [{ step: 0, ranks: 4 }, { step: 10, ranks: 2 }];
  const writers = async (from: number | null) => {
    const [{ checkpoints, step }] = await startsOfTwo({}, {
      worlds,
      checkpoints: { directory: "nowhere", from },
    });
    assert.equal(step, from);
    return checkpoints!.ranks;
  };
  assert.equal(await writers(10), 4);
  assert.equal(await writers(12), 2);
  assert.equal(await writers(null), 2);
});

Deno.test("who comes to ranks that train knows as many as the options name, and writes nothing", () => {
  const entrance = { enter: () => Promise.reject(new Error("not asked")), stead: null };
  const options = resolveOptions({ ranks: 3, onFailure: "shrink", elastic: "2..5" });
  const start = startOf(entrance, options, { output: { directory: "nowhere" } });
  assert.equal(start.comm, null);
  assert.equal(start.entrance, entrance);
  assert.deepEqual(start.worlds, [{ step: 0, ranks: 3 }]);
  assert.deepEqual(start.limits, { least: 2, most: 5 });
  assert.equal(start.output, undefined);
});
