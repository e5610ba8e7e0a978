/**
 * The simulated world: what must hold holds in every world, and what is broken on purpose is found.
 * `SIMULATION_SEEDS` and `SIMULATION_FROM` in the environment ask for other worlds.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Platform } from "../../runtime/base/platform.ts";
import { replayLine, simulate } from "./simulate.ts";

const SEEDS = Number(Deno.env.get("SIMULATION_SEEDS") ?? 10_000);
const FROM = Number(Deno.env.get("SIMULATION_FROM") ?? 1);

Deno.test("a seed is the same world each time, event by event", async () => {
  const hashes: number[] = [];
  for (let seed = 1; seed <= 60; seed++) hashes.push((await simulate(seed)).traceHash);
  assert.equal(new Set(hashes).size, hashes.length, "worlds differ");
  for (let seed = 60; seed >= 1; seed--) {
    const lines: string[] = [],
      world = await simulate(seed, { onEvent: (line) => lines.push(line) });
    assert.equal(world.traceHash, hashes[seed - 1], `seed ${seed}`);
    assert.ok(lines.length > 0);
  }
});

Deno.test(`in ${SEEDS} worlds all that must hold holds`, async () => {
  const broken: string[] = [];
  let events = 0;
  for (let seed = FROM; seed < FROM + SEEDS && broken.length < 5; seed++) {
    const world = await simulate(seed);
    events += world.events;
    if (world.violation !== null) broken.push(replayLine(world));
  }
  assert.equal(broken.length, 0, `\n${broken.join("\n")}`);
  assert.ok(events > 100 * SEEDS, `${events} events in ${SEEDS} worlds`);
});

/** A platform whose files, or folders, are opened with a sync that does nothing. */
const unsynced = (which: (path: string) => boolean) => (platform: Platform): Platform =>
  Object.assign(Object.create(platform), {
    async open(path: string, options?: Deno.OpenOptions) {
      const file = await platform.open(path, options);
      if (which(path)) file.sync = () => Promise.resolve();
      return file;
    },
  });

const BROKEN: Record<string, (platform: Platform) => Platform> = {
  "files that are not synced": unsynced((path) => /safetensors$|json$/.test(path)),
  "folders that are not synced": unsynced((path) =>
    !/\.[a-z]+$/.test(path) || /\.part$/.test(path)
  ),
};

for (const [what, change] of Object.entries(BROKEN)) {
  Deno.test(`a break is found: ${what}`, async () => {
    for (let seed = 1; seed <= 3000; seed++) {
      const { violation } = await simulate(seed, { change });
      if (violation !== null) return;
    }
    assert.fail("3000 worlds later nobody has noticed");
  });
}
