/**
 * How many ranks a run has had: a run that is resumed with another number of ranks goes on in the order of
 * samples where the others left off.
 *
 * @module
 */

/** So many ranks from a step on. */
export interface WorldSince {
  /** Steps that each rank had done when they began; 0 for the first. */
  readonly step: number;
  /** How many they are. */
  readonly ranks: number;
}

/** The worlds of a run, in increasing order of their steps; the last is the one that goes on. */
export type Worlds = readonly WorldSince[];

/**
 * The worlds of a run that goes on.
 *
 * @param before the worlds so far, some of which may have begun after the step
 * @param step of the checkpoint; null: the run begins anew
 * @param ranks that go on
 */
export function continueWorlds(before: Worlds, step: number | null, ranks: number): Worlds {
  const earlier = before.filter(({ step: since }) => since < (step ?? 0));
  if (earlier.length === 0) return [{ step: 0, ranks }];
  return earlier.at(-1)!.ranks === ranks ? earlier : [...earlier, { step: step!, ranks }];
}

/** The ranks that wrote the checkpoint of a step. */
export function ranksAt(worlds: Worlds, step: number): number {
  return worlds.findLast(({ step: since }) => since === 0 || since < step)!.ranks;
}

/**
 * Where the last of some worlds began: its step, and samples that all ranks had taken together by then.
 *
 * @param batchSize samples of one step of one rank
 */
export function beginningOf(worlds: Worlds, batchSize: number): { step: number; samples: number } {
  let samples = 0;
  for (let i = 1; i < worlds.length; i++) {
    const { step, ranks } = worlds[i - 1];
    samples += (worlds[i].step - step) * ranks * batchSize;
  }
  return { step: worlds.at(-1)?.step ?? 0, samples };
}
