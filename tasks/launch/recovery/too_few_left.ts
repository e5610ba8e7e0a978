/**
 * A run that has lost more ranks than it may.
 *
 * @module
 */

import type { LaunchOutcome } from "../../../runtime/launcher/launch.ts";
import { membersOf } from "../../data/sampling/worlds.ts";
import type { Options } from "../../options/table.ts";
import { checkpointSteps } from "../../run/checkpoint.ts";
import { readConfig } from "../../run/folder.ts";

/** What is to be said of a run that has stopped because too few ranks are left; null of another. */
export async function tooFewLeft(
  directory: string,
  { elastic, preemptedCode, ranks }: Options,
  { code, losses = [] }: LaunchOutcome,
): Promise<{ readonly message: string; readonly code: number } | null> {
  const step = (await checkpointSteps(directory)).at(-1);
  if (code !== 0 || losses.length === 0 || step === undefined) return null;
  const { worlds = [] } = await readConfig(directory);
  // One that had come in another's stead has a number of its own in the job, and the other's in the run.
  const members = membersOf(worlds.at(-1) ?? { step: 0, ranks });
  const lost = Array.from({ length: ranks }, (_, rank) => `rank ${rank}`)
    .filter((_, rank) => !members.includes(rank));
  const message = `the run has stopped after step ${step}, with a checkpoint: it has lost ` +
    `${lost.join(", ")}, and fewer are left than --elastic ${elastic} allows; ` +
    `--resume ${directory} goes on from there`;
  return { message, code: preemptedCode };
}
