import { pack, unpack } from "../base/pack.ts";
import type { Context } from "../engine/context.ts";

/** Why a rank is lost of which this one has not heard before. */
export const AGREED_LOST = "the others have agreed that it is lost";

/** What all members that live have decided. */
export interface Decision {
  /** The bitwise AND of the flags. */
  readonly flag: number;
  /** Members that are lost, as far as anybody knew who took part; ascending. */
  readonly failed: readonly number[];
  /** Those of them that not all have acknowledged; ascending. */
  readonly unacknowledged: readonly number[];
}

/**
 * The bitwise AND of the flags of all members that live (MPI_Comm_agree), whoever is lost meanwhile and
 * whether or not the communicator is revoked.
 *
 * @param flag an integer of 32 bits, with a sign or without
 * @returns an integer of 32 bits with a sign
 * @throws PeerLostError on all members, with the value as `agreed`, if a member is lost that not all had
 *   acknowledged; it names the first of these
 * @throws RangeError if the flag is no integer of 32 bits
 */
export async function agree(context: Context, flag: number): Promise<number> {
  if ((flag | 0) !== flag && flag >>> 0 !== flag) {
    throw new RangeError(`cannot agree: a flag is an integer of 32 bits, found ${flag}`);
  }
  const { flag: agreed, unacknowledged: [first] } = await decide(context, flag);
  if (first === undefined) return agreed;
  throw context.lostError(first, "agree", agreed);
}

/** Agrees on a flag and on who is lost. */
async function decide(context: Context, flag: number): Promise<Decision> {
  const decided = await context.agreements.run(
    () => pack([words(flag), words(...context.failed), words(...context.acknowledged)]),
    (contributions, lost) => {
      const all = [...contributions.values()].map((input) => unpack(input, 3).map(numbers));
      const failed = union(lost, ...all.map(([, failed]) => failed));
      const unknown = failed.filter((rank) => !all.every(([, , known]) => known.includes(rank)));
      const and = all.reduce((and, [[flag]]) => and & flag, -1);
      return pack([words(and), words(...failed), words(...unknown)]);
    },
  );
  const [[and], failed, unacknowledged] = unpack(decided, 3).map(numbers);
  context.noteLost(failed, AGREED_LOST);
  return { flag: and, failed, unacknowledged };
}

/** Integers of 32 bits as bytes. */
export function words(...values: number[]): Uint8Array {
  return new Uint8Array(Int32Array.from(values).buffer);
}

/** What {@linkcode words} was given. */
export function numbers(bytes: Uint8Array): number[] {
  return [...new Int32Array(bytes.slice().buffer)];
}

/** All numbers of some lists, ascending. */
export function union(...lists: (readonly number[])[]): number[] {
  return [...new Set(lists.flat())].sort((a, b) => a - b);
}
