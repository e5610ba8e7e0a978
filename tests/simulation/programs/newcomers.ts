/**
 * Rounds of ranks that are lost and started again: they decide together after each whether all have come through
 * it and whether somebody waits at the door, let those in, and give them what they have.
 */

import { platform } from "../../../runtime/base/platform.ts";
import { PeerLostError, RevokedError } from "../../../runtime/base/errors.ts";
import { Random } from "../../../runtime/base/random.ts";
import type { Communicator } from "../../../runtime/communicator.ts";
import { type RankOutcome, resultsAreSerial, Violation } from "../_invariants.ts";

/** What ranks have come to. */
export class Arrivals {
  /** Newcomers that have been given what the others have. */
  readonly came = new Set<number>();
  /** By rank, what it ended with: the members of each round, and the sums over all rounds. */
  readonly finals = new Map<number, Final>();
  /** Called when a rank begins to let in those that wait. */
  onGrow: (rank: number) => void = () => {};

  /** In words. */
  describe(): string[] {
    return [...this.finals].map(([rank, { rounds }]) =>
      `rank ${rank} ended with rounds of ${rounds.map((mask) => membersOf(mask)).join("; ")}`
    );
  }
}

interface Final {
  readonly rounds: readonly number[];
  readonly sums: Float32Array;
}

/** What a rank has of the rounds so far. */
interface State {
  /** Of each round the members, a bit each. */
  readonly rounds: number[];
  readonly sums: Float32Array;
}

const isLoss = (error: unknown) => error instanceof PeerLostError || error instanceof RevokedError;

const maskOf = (ranks: Iterable<number>) => [...ranks].reduce((mask, rank) => mask | 1 << rank, 0);

function membersOf(mask: number): number[] {
  return Array.from({ length: 31 }, (_, rank) => rank).filter((rank) => mask >> rank & 1);
}

/** A rank's flag in an agreement: it has come through the round; it knows of nobody who waits. */
const THROUGH = 1, ALONE = 2;

/** How long ranks that are fewer than at first wait before a round, so that others may come, in ms. */
export const FEWER_MS = 60;

/** Draws what ranks do, the same on every one. Returns the program. @param size ranks that the job begins with */
export function newcomersOf(seed: number, size: number, record: Arrivals) {
  const random = new Random(seed, "newcomers");
  const rounds = 3 + random.integer(5), length = 1 + random.integer(20);
  const pauseMs = [1, 5, 20][random.integer(3)];
  const revokes = random.uniform() < 0.5, shrinks = random.integer(3);
  // Small whole numbers: any order of summation gives the same.
  const valueOf = (rank: number, round: number, i: number) =>
    (rank * 31 + round * 13 + i * 7) % 97 - 48;
  const values = (rank: number, round: number) =>
    Float32Array.from({ length }, (_, i) => valueOf(rank, round, i));
  const serial = (history: readonly number[]) =>
    Float32Array.from({ length }, (_, i) =>
      history.reduce(
        (sum, mask, round) =>
          membersOf(mask).reduce((sum, rank) => sum + valueOf(rank, round, i), sum),
        0,
      ));
  const initial = (): State => ({ rounds: [], sums: new Float32Array(length) });

  /** Members tell each other what they have; who has nothing gets it. Returns the members, and that. */
  async function meet(comm: Communicator, rank: number, own: State | null) {
    const head = new Int32Array(2 + rounds).fill(-1), all = new Int32Array(head.length * comm.size);
    head.set([rank, own?.rounds.length ?? -1, ...own?.rounds ?? []]);
    await comm.allgather(head, all);
    const heads = Array.from(
      { length: comm.size },
      (_, i) => all.subarray(i * head.length, (i + 1) * head.length),
    );
    const ids = heads.map(([id]) => id), held = heads.filter(([, count]) => count >= 0);
    const histories = held.map(([, count, ...masks]) => `${masks.slice(0, count)}`);
    if (new Set(histories).size > 1) {
      throw new Violation("whoIsLetInHasWhatTheFirstHad", `they have ${histories.join(" and ")}`);
    }
    // All that had anything are gone: those that have come begin anew.
    if (held.length === 0) return { ids, state: initial() };
    const [root, count, ...masks] = held[0], sums = own?.sums.slice() ?? new Float32Array(length);
    await comm.bcast(sums, ids.indexOf(root));
    const state = { rounds: masks.slice(0, count), sums };
    resultsAreSerial(`what rank ${root} gives to rank ${rank}`, sums, serial(state.rounds));
    return { ids, state };
  }

  return async (world: Communicator, rank: number): Promise<void> => {
    let comm = world, ids: number[] | null = null;
    let state: State | null = world.isNewcomer ? null : initial();
    while (state === null || state.rounds.length < rounds) {
      const ms = comm.size < size ? FEWER_MS : pauseMs;
      await new Promise<void>((resolve) => void platform.setTimeout(resolve, ms));
      let flag = THROUGH, mine: Float32Array | null = null;
      try {
        if (ids === null) {
          const met = await meet(comm, rank, state);
          if (state === null) record.came.add(rank);
          ({ ids, state } = met);
        }
        const round: number = state!.rounds.length;
        mine = values(rank, round);
        await comm.allreduce(mine);
        const sum = values(ids[0], round);
        for (const other of ids.slice(1)) values(other, round).forEach((v, i) => sum[i] += v);
        resultsAreSerial(`round ${round + 1} of ranks ${ids}`, mine, sum);
      } catch (error) {
        if (!isLoss(error)) throw error;
        if (revokes) comm.revoke();
        flag = 0;
      }
      if (comm.newcomers === 0) flag |= ALONE;
      comm.ackFailed();
      let lost = false;
      const agreed = await comm.agree(flag).catch((error) => {
        if (!(error instanceof PeerLostError)) throw error;
        lost = true;
        return error.agreed!;
      });
      if (agreed & THROUGH) {
        state!.sums.forEach((sum, i) => state!.sums[i] = sum + mine![i]);
        state!.rounds.push(maskOf(ids!));
        if (state!.rounds.length === rounds) break;
      }
      if (agreed === (THROUGH | ALONE) && !lost) continue;
      // Who is behind cannot know more than the communicator itself.
      const grows = agreed & THROUGH && !(agreed & ALONE) || comm.size % 3 !== shrinks;
      if (grows) record.onGrow(rank);
      comm = grows ? await comm.grow() : await comm.shrink();
      ids = null;
    }
    record.finals.set(rank, state!);
  };
}

/** Those that come to the end have had the same members in each round and the same sums, and are in the last. */
export function allEndAlike({ finals }: Arrivals, finished: readonly number[]): void {
  const [first] = finished, expected = finals.get(first);
  for (const rank of finished) {
    const final = finals.get(rank)!;
    if (`${final.rounds}` !== `${expected!.rounds}` || !(final.rounds.at(-1)! >> rank & 1)) {
      throw new Violation(
        "allEndAlike",
        `rounds were of ${expected!.rounds.map(membersOf).join("; ")} for rank ${first}, of ` +
          `${final.rounds.map(membersOf).join("; ")} for rank ${rank}`,
      );
    }
    resultsAreSerial(`what rank ${rank} ends with`, final.sums, expected!.sums);
  }
}

/** After how long a rank's end is known to all, in ms. */
const HEARD_MS = 2000;

/**
 * A newcomer to which nothing happens comes to the end with the others once it is let in; before that it is sent
 * away with the end of the job, or goes itself for want of a lower one that lives and that it cannot reach.
 *
 * @param came those that have been given what the others have
 */
export function whoComesGoesOn(
  came: ReadonlySet<number>,
  newcomers: readonly RankOutcome[],
): void {
  const isGone = (rank: number, atMs: number) =>
    newcomers.some((each) =>
      each.rank === rank && each.end === "killed" && each.endedMs + HEARD_MS < atMs
    );
  for (const { rank, isHit, isJoined, isDone, error, end, atMs } of newcomers) {
    if (isHit || isDone || end === null) continue;
    const { name, message } = (error ?? {}) as Error, isOutside = !isJoined && !came.has(rank);
    const [, other] = /(?:cannot reach rank|no connection to ranks) (\d+)/.exec(message) ?? [];
    const isInVain = other === undefined ||
      Number(other) < rank && !isGone(Number(other), atMs);
    if (isOutside && (error === undefined || name === "RendezvousError" && isInVain)) continue;
    // All are gone that could have told it what they had.
    if (!came.has(rank) && /^cannot go on: all ranks that have trained are lost/.test(message)) {
      continue;
    }
    throw new Violation("whoComesGoesOn", `rank ${rank} ended (${end}) with ${error}`);
  }
}
