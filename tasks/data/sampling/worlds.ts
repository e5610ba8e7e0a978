/**
 * Who the ranks of a run have been: the record of its membership. A run that is resumed with another number of
 * ranks, that has lost some or has taken in others goes on in the order of samples where those before left off, and
 * with this record it can be run again.
 *
 * Ranks have two numbers where a run has lost some: their number in the run, which stays, by which masks and logs
 * know them, and their place among those there are, from 0 on, which is the communicator's.
 *
 * @module
 */

/** A rank that was lost: what it did since its last round is in no average, and its samples are taken over. */
export interface LostRank {
  /** Its number in the run. */
  readonly rank: number;
  /** Steps that it had done at the last round in which it took part; 0 if it never did. */
  readonly since: number;
}

/** So many ranks from a step on. */
export interface WorldSince {
  /** Steps that each rank had done when they began; 0 for the first. */
  readonly step: number;
  /** How many they are. */
  readonly ranks: number;
  /** Their numbers in the run, in increasing order. @default {from 0 on} */
  readonly members?: readonly number[];
  /** Those of the world before that are not in the round, nor in the checkpoint, of this very step. @default {none} */
  readonly lost?: readonly LostRank[];
  /**
   * Those of the world before that were lost when all that follows this step had been done, and had not been drawn for
   * its round. @default {none}
   */
  readonly lostAfter?: readonly LostRank[];
}

/** The worlds of a run, in increasing order of their steps; the last is the one that goes on. */
export type Worlds = readonly WorldSince[];

/** The numbers in the run of a world's ranks. */
export function membersOf({ ranks, members }: WorldSince): readonly number[] {
  return members ?? Array.from({ length: ranks }, (_, rank) => rank);
}

/** Whether a world's ranks have taken part in what was done after so many steps, such as a checkpoint. */
const hasBegun = ({ step: since, lost }: WorldSince, step: number) =>
  since === 0 || since < step || since === step && lost !== undefined;

/**
 * The worlds of a run that goes on.
 *
 * @param before the worlds so far, some of which may have begun after the step
 * @param step of the checkpoint; null: the run begins anew
 * @param ranks that go on
 */
export function continueWorlds(before: Worlds, step: number | null, ranks: number): Worlds {
  if (step === null) return [{ step: 0, ranks }];
  const earlier = before.filter((world) =>
    hasBegun(world, step) && (step > 0 || world.step < step)
  );
  if (earlier.length === 0) return [{ step: 0, ranks }];
  return earlier.at(-1)!.ranks === ranks ? earlier : [...earlier, { step: step!, ranks }];
}

/** The ranks that wrote the checkpoint of a step. */
export function ranksAt(worlds: Worlds, step: number): number {
  return worlds.findLast((world) => hasBegun(world, step))!.ranks;
}

/** A change of those there are. */
export interface Change {
  /** Steps that they have done. */
  readonly step: number;
  /** Whether all that follows the step has been done, so that who was lost is in its round and its checkpoint. */
  readonly isDone: boolean;
  /** See {@linkcode LostRank.since}. */
  since(rank: number): number;
}

/**
 * The worlds of a run that has lost ranks, or has taken in others; the same if those there are have not changed.
 *
 * @param before the worlds so far
 * @param members the numbers of those that go on
 */
export function changeWorlds(
  before: Worlds,
  members: readonly number[],
  { step, isDone, since }: Change,
): Worlds {
  const those = membersOf(before.at(-1)!), world = { step, ranks: members.length, members };
  if (String(those) === String(members)) return before;
  const lost = those.filter((rank) => !members.includes(rank))
    .map((rank): LostRank => ({ rank, since: since(rank) }));
  if (!isDone) return [...before, lost.length > 0 ? { ...world, lost } : world];
  const undrawn = lost.filter(({ since }) => since < step);
  return [...before, undrawn.length > 0 ? { ...world, lostAfter: undrawn } : world];
}

/** Those that the last world has beyond the one before, if it has begun after so many steps. */
export function newcomersAt(worlds: Worlds, step: number): readonly number[] {
  const [before, world] = worlds.slice(-2);
  if (world?.step !== step) return [];
  return membersOf(world).filter((rank) => !membersOf(before).includes(rank));
}

/** All that were lost when a world began, and of whom something is in no average. */
export function lostOf({ lost = [], lostAfter = [] }: WorldSince): readonly LostRank[] {
  return [...lost, ...lostAfter];
}
