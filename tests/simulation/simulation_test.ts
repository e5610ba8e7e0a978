/**
 * The simulated world: what must hold holds in every world, and what is broken on purpose is found.
 * `SIMULATION_SEEDS` and `SIMULATION_FROM` in the environment ask for other worlds.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Platform } from "../../runtime/base/platform.ts";
import { type Progress, simulateMany } from "./many.ts";
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
  let events = 0, came = 0;
  for (let seed = FROM; seed < FROM + SEEDS && broken.length < 5; seed++) {
    const world = await simulate(seed);
    events += world.events;
    if (world.ends.some((end) => end.startsWith("let in"))) came++;
    if (world.violation !== null) broken.push(replayLine(world));
  }
  assert.equal(broken.length, 0, `\n${broken.join("\n")}`);
  assert.ok(events > 100 * SEEDS, `${events} events in ${SEEDS} worlds`);
  assert.ok(SEEDS < 1000 || came > SEEDS / 100, `in ${came} of ${SEEDS} worlds one was let in`);
});

Deno.test("many worlds are the same ones beside each other, and what was given up can be gone on with", async () => {
  let events = 0;
  for (let seed = 5; seed < 13; seed++) events += (await simulate(seed)).events;
  const stop = new AbortController(), { signal } = stop, said: number[] = [];
  const broken = (line: string) => assert.fail(line);
  const all = { done: 8, events, broken: 0, next: 13 };
  const progress = ({ done }: Progress) => void said.push(done);
  assert.deepEqual(await simulateMany(5, 8, 2, { broken, signal, progress }), all);
  assert.deepEqual(said, [4, 8]);
  const stopped = simulateMany(5, 2, 1, { broken, signal, progress });
  stop.abort();
  assert.deepEqual(await stopped, { done: 0, events: 0, broken: 0, next: 5 });
});

/** Worlds in which something was once broken, by what it was; see `docs/reliability.md`. */
const ONCE: Readonly<Record<string, readonly number[]>> = {
  "who failed to join went on dialling": [242],
  "a rank that still joined was taken for silent": [2745],
  "a reset while joining was a system's error": [4052],
  "the launcher blamed a rank that had waited for the silent one": [347],
  "last words were overtaken on another connection": [521],
  "names of a checkpoint were not on the disk": [25, 490, 3486],
  "records before a checkpoint were not on the disk": [25, 87],
  "a log was not on the disk when it was closed": [475],
  "torn records after the checkpoint were in the way": [107],
  "a log that was taken back was renamed before it was on the disk": [490],
  "folders that were made were not on the disk": [198, 3486],
  "who had said goodbye and lost its host was waited for": [101_410, 108_724],
  "a torn file of an earlier job was believed": [102_911],
  "of two that had lost each other neither went on": [2226],
  "who was to go was told so too late to hear it": [2915, 4431, 3615],
  "what had come over a link was lost with its sender": [12_003],
  "who came ended with another that came": [626],
  "the word of one that was killed was taken back": [334_653],
  "one that failed waited for a checkpoint of which another had failed": [335_822],
  "who failed after another was blamed for half of a frame": [304_198, 332_688, 343_163, 356_815],
  "one that was let in was let in again": [366_964, 399_852],
  "a round was left open when its ranks left": [350_936, 385_987],
  "one that had lost another as it left ended well": [379_556],
};

Deno.test("what was once broken is whole", async (t) => {
  for (const [what, seeds] of Object.entries(ONCE)) {
    await t.step(what, async () => {
      for (const seed of seeds) {
        const world = await simulate(seed);
        assert.equal(world.violation, null, replayLine(world));
      }
    });
  }
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
