/** Runs with a folder, as `launch` makes and resumes them, whose ranks are in this process: to start others takes longest. */

import { continueWorlds } from "../../tasks/data/sampling/worlds.ts";
import type { LaunchOptions, Run } from "../../tasks/launch/launch.ts";
import { resolveOptions } from "../../tasks/options/resolve.ts";
import { makeRunDirectory, newConfig, readConfig, writeConfig } from "../../tasks/run/folder.ts";
import { keepInputs, readInputs } from "../../tasks/run/inputs.ts";
import { findRun, rewind } from "../../tasks/run/resume.ts";
import { train } from "../../tasks/training/train.ts";
import { world } from "./world.ts";

/** Begins a run or, with `resume`, goes on with one, to its end. */
export async function runHere(given: LaunchOptions): Promise<Run> {
  const resumed = given.resume ? await findRun({ ...given }) : null;
  const options = resumed?.options ?? resolveOptions({ ...given }), { ranks } = options;
  const dir = resumed?.directory ?? await makeRunDirectory(options);
  const before = resumed?.config ?? newConfig(options), { id: run } = before;
  let from: number | null = null, { worlds } = before;
  if (resumed) {
    const began = worlds ?? [{ step: 0, ranks: before.options.ranks }];
    const most = Math.max(ranks, ...began.map((each) => each.ranks));
    from = await rewind(dir, { run, ranks: most, say: () => {} });
    worlds = continueWorlds(began, from, ranks);
  }
  const files = resumed ? {} : await keepInputs(dir, await readInputs(options));
  const config = {
    ...before,
    ...Object.keys(files).length > 0 ? { files } : {},
    options: { ...options, out: dir },
    ...worlds && worlds.length > 1 ? { worlds } : {},
  };
  await writeConfig(dir, config);
  await using mesh = await world(ranks, { hosts: new Array(ranks).fill("here") });
  const parts = {
    worlds,
    output: { directory: dir, config },
    checkpoints: { directory: dir, from, run },
  };
  const [{ summary }] = await Promise.all(mesh.ranks.map((comm) => train(comm, options, parts)));
  return { dir, summary, config: await readConfig(dir) };
}
