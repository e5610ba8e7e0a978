/** Two hosts with several ranks each fall silent to each other: ranks of one go, and all of the other go on. */

import { runOn } from "../../runtime/base/platform.ts";
import { openWorld } from "./_job.ts";
import { drawPlan, type Plan } from "./_plan.ts";
import { platformOf } from "./_platform.ts";
import { survivors } from "./_scenarios.ts";

/** A world in which hosts 0 and 1 hear nothing of each other from a moment on. */
async function cutApart(seed: number, hosts: readonly number[]): Promise<void> {
  const drawn = drawPlan(seed, 5, true), ranks = hosts.length;
  const startMs = Array.from({ length: ranks }, (_, rank) => drawn.startMs[rank % drawn.ranks]);
  const atMs = Math.max(...startMs, 30) + (seed * 7919) % 150;
  const plan: Plan = {
    ...drawn,
    ...{ ranks, hosts, startMs, link: null, launcherMs: Infinity, meeting: "address" },
    pace: { delayMs: [0.05, 0.5], slow: 0 },
    faults: [{ kind: "cut", rank: 0, other: hosts.indexOf(1), atMs, isTold: false }],
  };
  const world = openWorld(plan), { error } = console;
  using _platform = runOn(platformOf(world));
  console.error = () => {};
  try {
    await survivors(world, plan).play();
  } finally {
    console.error = error;
  }
}

// In these, ranks of both were once given up.
Deno.test("of two hosts that fall silent to each other one goes, also with a third that hears both", async () => {
  for (const seed of [82, 798, 1074, 1582]) await cutApart(seed, [0, 0, 1, 1, 2, 2]);
});

Deno.test("of two hosts that fall silent to each other one goes, where only the launcher hears both", async () => {
  for (const seed of [164, 290, 292]) await cutApart(seed, [0, 0, 0, 1, 1, 1]);
});
