/**
 * A run that has diverged and goes back to where it had not, with half the learning rate.
 *
 * @module
 */

import type { Options } from "../../options/table.ts";
import { readConfig } from "../../run/folder.ts";
import { forgetCheckpoint } from "../../run/resume.ts";
import { DIVERGED } from "../../training/training_error.ts";
import { type Again, type Failed, goBack, type ReturningRun } from "./again.ts";

/** How often a run may go back because it diverged: its learning rate is then a 1024th. */
const MOST_ROLLBACKS = 10;

/** With `--on-nan rollback`, takes a run that has diverged back; null: it has not, or too often. */
export async function rollBack(
  run: ReturningRun,
  { onNan }: Pick<Options, "onNan">,
  { code, what }: Failed,
): Promise<Again | null> {
  if (code !== DIVERGED || onNan !== "rollback") return null;
  const { rollbacks = [] } = await readConfig(run.directory);
  if (rollbacks.length >= MOST_ROLLBACKS) return null;
  await forgetCheckpoint(run.directory, rollbacks.at(-1));
  const from = await goBack(run, (step) => ({ rollbacks: [...rollbacks, step] }));
  run.say(`${what}\nback to step ${from ?? 0}, with half the learning rate`);
  return { from };
}
