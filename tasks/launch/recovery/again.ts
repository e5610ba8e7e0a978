/**
 * A run whose ranks have failed and that goes on all the same: its folder goes back to its last checkpoint, and they
 * start again from there.
 *
 * @module
 */

import type { DeviceKind } from "../../../runtime/devices/device.ts";
import type { LaunchFailure } from "../../../runtime/launcher/root_cause.ts";
import { continueWorlds } from "../../data/sampling/worlds.ts";
import { readConfig, type RunConfig, withWorlds, worldsOf, writeConfig } from "../../run/folder.ts";
import { rewind } from "../../run/resume.ts";

/** A run that may have to go back. */
export interface ReturningRun {
  readonly directory: string;
  /** See `RunConfig.id`. */
  readonly id: string | undefined;
  /** How many go on. */
  readonly ranks: number;
  /** The most that it has had. */
  readonly mostRanks: number;
  /** Tells a person a line. */
  readonly say: (line: string) => void;
}

/** How its ranks have failed. */
export interface Failed {
  /** The first failing rank's exit code, or 128 + its signal. */
  readonly code: number;
  readonly failure?: LaunchFailure;
  /** The step that they had begun from. */
  readonly from: number;
  /** What a person is to be told of it. */
  readonly what: string;
}

/** How it goes on. */
export interface Again {
  /** The step of the checkpoint; null: from the beginning. */
  readonly from: number | null;
  /** @default {the one that it had} */
  readonly device?: DeviceKind;
}

/**
 * Takes a run back to its last checkpoint, or, without one, to its beginning.
 *
 * @param noted what its configuration says of it
 * @returns the step of the checkpoint; null without one
 */
export async function goBack(
  { directory, id, ranks, mostRanks, say }: ReturningRun,
  noted: (from: number, config: RunConfig) => Partial<RunConfig> = () => ({}),
): Promise<number | null> {
  const from = await rewind(directory, { run: id, ranks: mostRanks, say });
  const before = await readConfig(directory);
  const config = withWorlds(before, continueWorlds(worldsOf(before), from, ranks));
  await writeConfig(directory, { ...config, ...noted(from ?? 0, config) });
  return from;
}
