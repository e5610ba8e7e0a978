/**
 * A run that has lost more ranks than it may.
 *
 * @module
 */

import type { LaunchOutcome } from "../../../runtime/launcher/launch.ts";
import type { Options } from "../../options/table.ts";
import { checkpointSteps } from "../../run/checkpoint.ts";

/** What is to be said of a run that has stopped because too few ranks are left; null of another. */
export async function tooFewLeft(
  directory: string,
  { elastic, preemptedCode }: Options,
  { code, losses = [] }: LaunchOutcome,
): Promise<{ readonly message: string; readonly code: number } | null> {
  const step = (await checkpointSteps(directory)).at(-1);
  if (code !== 0 || losses.length === 0 || step === undefined) return null;
  const message = `the run has stopped after step ${step}, with a checkpoint: it has lost ` +
    `${
      losses.map(({ rank }) => `rank ${rank}`).join(", ")
    }, and fewer are left than --elastic ${elastic} ` +
    `allows; --resume ${directory} goes on from there`;
  return { message, code: preemptedCode };
}
