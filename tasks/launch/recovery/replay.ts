/**
 * A run that is run again as it was, with the ranks that it had when.
 *
 * @module
 */

import { counted } from "../../../runtime/base/words.ts";
import { resolve } from "node:path";
import type { Worlds } from "../../data/sampling/worlds.ts";
import { LogError } from "../../logs/log_error.ts";
import { OptionError } from "../../options/kinds.ts";
import { resolveOptions } from "../../options/resolve.ts";
import {
  checkOptions,
  HOSTS,
  type OptionName,
  OPTIONS,
  type Options,
  PROCESSES,
} from "../../options/table.ts";
import { FILES, readConfig, type RunConfig, worldsOf } from "../../run/folder.ts";
import { checkGivenAgain } from "../../run/resume.ts";
import { ReplayedMembers } from "../../training/membership/replayed_members.ts";

/** What may be given beside `--replay`: where and how it is run again, not what it is. */
const ADJUSTABLE: ReadonlySet<string> = new Set<OptionName>([
  ...Object.keys(PROCESSES) as OptionName[],
  ...Object.keys(HOSTS) as OptionName[],
  "replay",
  "ranks",
  "onFailure",
  "elastic",
  "sendData",
  "checkpointEvery",
  "checkpointLocal",
  "keep",
  "grace",
  "preemptedCode",
  "device",
  "threads",
  "data",
  "download",
  "mirror",
  "log",
  "json",
]);

/** A run that is to be run again. */
export interface Repeated {
  /** It goes into a folder of its own. */
  readonly directory: null;
  readonly options: Options;
  readonly config: null;
  /** Whose ranks were there when. */
  readonly replay: Worlds;
  /** The folder of the run that is run again. */
  readonly repeats: string;
}

/**
 * The run that `--replay` names, with the options it was started with and those given beside it.
 *
 * @throws OptionError if there is no such run, it cannot be repeated, or an option would make it another one
 */
export async function findReplay(changes: Readonly<Record<string, unknown>>): Promise<Repeated> {
  const explicit = checkOptions(changes), directory = resolve(explicit.replay!);
  const refuse = (why: string): never => {
    throw new OptionError(`--replay ${explicit.replay}: ${why}`);
  };
  let config: RunConfig;
  try {
    config = await readConfig(directory);
  } catch (error) {
    if (error instanceof LogError) return refuse(`its ${FILES.config} is damaged`);
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return refuse(`it must be the folder of a run, with its ${FILES.config}`);
  }
  const { options: before, rollbacks } = config, script = worldsOf(config);
  const [, ...others] = script;
  if (others.some(({ members }) => !members)) {
    refuse(
      "it was resumed with another number of ranks, which all went on from what the others had come to: only " +
        "ranks that leave and come while a run goes on can be repeated",
    );
  }
  if (rollbacks) refuse("it went back because it diverged, which is not repeated");
  if (before.syncEvery !== null) refuse("its rounds went by the clock, which is not repeated");
  const ranks = ReplayedMembers.size(script);
  if (explicit.ranks !== undefined && explicit.ranks !== ranks) {
    refuse(
      `it needs ${
        counted(ranks, "rank")
      }, one for each that the run has had, not --ranks ${explicit.ranks}`,
    );
  }
  checkGivenAgain(before, explicit);
  for (const [name, value] of Object.entries(explicit)) {
    const own = before[name as OptionName];
    if (ADJUSTABLE.has(name) || JSON.stringify(own) === JSON.stringify(value)) continue;
    refuse(
      `${OPTIONS[name as OptionName].flag} is ${
        JSON.stringify(own)
      } there, and cannot be changed to ` +
        `${JSON.stringify(value)}`,
    );
  }
  const plain = (names: readonly OptionName[]) =>
    Object.fromEntries(names.map((name) => [name, OPTIONS[name].default]));
  const options = resolveOptions({
    ...before,
    ...plain(Object.keys(HOSTS) as OptionName[]),
    ...plain([
      "out",
      "resume",
      "onFailure",
      "elastic",
      "maxRestarts",
      "checkpointEvery",
      "download",
    ]),
    ...explicit,
    ranks,
    replay: directory,
  });
  return { directory: null, options, config: null, replay: script, repeats: directory };
}
