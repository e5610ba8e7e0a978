/** Runs with a folder, as `launch` makes and resumes them, whose ranks are in this process: to start others takes longest. */

import type { LaunchOptions, Run } from "../../tasks/launch/launch.ts";
import { BetweenStarts } from "../../tasks/launch/between_starts.ts";
import { prepareRun } from "../../tasks/launch/preparation.ts";
import { readConfig } from "../../tasks/run/folder.ts";
import { train } from "../../tasks/training/train.ts";
import { world } from "./world.ts";

/** Begins a run or, with `resume`, goes on with one, to its end. */
export async function runHere(given: LaunchOptions): Promise<Run> {
  await using scope = new AsyncDisposableStack();
  const between = scope.use(new BetweenStarts(undefined));
  const { options, directory, id: run, from, ranks } = await prepareRun({ ...given }, {
    ...{ hosts: null, view: "silent", say: () => {}, scope, between },
  });
  between.begin();
  const config = await readConfig(directory);
  await using mesh = await world(ranks, { hosts: new Array(ranks).fill("here") });
  const parts = {
    worlds: config.worlds,
    output: { directory, config },
    checkpoints: { directory, from, run },
  };
  const [{ summary }] = await Promise.all(mesh.ranks.map((comm) => train(comm, options, parts)));
  return { dir: directory, summary, config: await readConfig(directory) };
}
