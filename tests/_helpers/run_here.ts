/** Runs with a folder, as `launch` makes and resumes them, whose ranks are in this process: to start others takes longest. */

import type { LaunchOptions, Run } from "../../tasks/launch/launch.ts";
import { resolveOptions } from "../../tasks/options/resolve.ts";
import { goBack } from "../../tasks/launch/recovery/again.ts";
import {
  makeRunDirectory,
  newConfig,
  readConfig,
  withWorlds,
  worldsOf,
  writeConfig,
} from "../../tasks/run/folder.ts";
import { keepInputs, readInputs } from "../../tasks/run/inputs.ts";
import { findRun } from "../../tasks/run/resume.ts";
import { train } from "../../tasks/training/train.ts";
import { world } from "./world.ts";

/** Begins a run or, with `resume`, goes on with one, to its end. */
export async function runHere(given: LaunchOptions): Promise<Run> {
  const resumed = given.resume ? await findRun({ ...given }) : null;
  const options = resumed?.options ?? resolveOptions({ ...given }), { ranks } = options;
  const dir = resumed?.directory ?? await makeRunDirectory(options);
  const before = resumed?.config ?? newConfig(options), { id: run } = before;
  const began = worldsOf(before), mostRanks = Math.max(ranks, ...began.map((each) => each.ranks));
  const files = resumed ? {} : await keepInputs(dir, await readInputs(options));
  const kept = Object.keys(files).length > 0 ? { files } : {};
  await writeConfig(
    dir,
    withWorlds({ ...before, ...kept, options: { ...options, out: dir } }, began),
  );
  const from = resumed &&
    await goBack({ directory: dir, id: run, ranks, mostRanks, say: () => {} });
  const config = await readConfig(dir);
  await using mesh = await world(ranks, { hosts: new Array(ranks).fill("here") });
  const parts = {
    worlds: config.worlds,
    output: { directory: dir, config },
    checkpoints: { directory: dir, from, run },
  };
  const [{ summary }] = await Promise.all(mesh.ranks.map((comm) => train(comm, options, parts)));
  return { dir, summary, config: await readConfig(dir) };
}
