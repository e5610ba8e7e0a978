/**
 * Ranks that go on when others are lost: they agree again and again while any may go, and in the end those that
 * live make a communicator of themselves.
 */

import { PeerLostError, RevokedError } from "../../../runtime/base/errors.ts";
import { Random } from "../../../runtime/base/random.ts";
import type { Communicator } from "../../../runtime/communicator.ts";
import { resultsAreSerial, Violation } from "../_invariants.ts";

/** What ranks have learnt, those as well that were lost later. */
export class Agreements {
  /** By number of the agreement, then by rank. */
  readonly outcomes: Map<number, string>[] = [];
  /** By rank: the members of its last communicator. */
  readonly members = new Map<number, string>();

  /** In words. */
  describe(): string[] {
    return this.outcomes.map((byRank, number) =>
      `agreement ${number + 1}: ${[...byRank].map(([rank, is]) => `${is} on ${rank}`).join(", ")}`
    );
  }

  note(number: number, rank: number, outcome: string): void {
    (this.outcomes[number] ??= new Map()).set(rank, outcome);
  }
}

const isLoss = (error: unknown) => error instanceof PeerLostError || error instanceof RevokedError;

/** A rank's flag: all bits but its own, so that the AND tells who took part. */
const flagOf = (rank: number) => ~(1 << rank);

/** Draws what ranks do, the same on every one. Returns the program. */
export function survivorsOf(seed: number, record: Agreements) {
  const random = new Random(seed, "survivors");
  const rounds = 1 + random.integer(4), length = 1 + random.integer(30);
  const revokes = random.uniform() < 0.5, acknowledges = random.uniform() < 0.5;
  const valueOf = (rank: number, i: number) => (rank * 31 + i * 7) % 97 - 48;
  const values = (rank: number) => Float32Array.from({ length }, (_, i) => valueOf(rank, i));
  const sumOf = (ranks: readonly number[]) =>
    Float32Array.from({ length }, (_, i) => ranks.reduce((sum, rank) => sum + valueOf(rank, i), 0));

  return async (world: Communicator, rank: number): Promise<void> => {
    const all = Array.from({ length: world.size }, (_, each) => each);
    for (let number = 0; number < rounds; number++) {
      try {
        const mine = values(rank);
        await world.allreduce(mine);
        resultsAreSerial(`allreduce ${number + 1} of all`, mine, sumOf(all));
      } catch (error) {
        if (!isLoss(error)) throw error;
        if (revokes) world.revoke();
      }
      if (acknowledges) world.ackFailed();
      record.note(number, rank, await outcomeOf(world.agree(flagOf(rank))));
    }
    let comm = world;
    for (let isWhole = false; !isWhole;) {
      comm = await comm.shrink();
      const ids = new Int32Array(comm.size), mine = values(rank);
      let done = 1;
      try {
        await comm.allgather(Int32Array.of(rank), ids);
        await comm.allreduce(mine);
        resultsAreSerial("allreduce of those that live", mine, sumOf([...ids]));
      } catch (error) {
        if (!isLoss(error)) throw error;
        comm.revoke();
        done = 0;
      }
      comm.ackFailed();
      isWhole = await comm.agree(done).catch((error) => {
        if (error instanceof PeerLostError) return 0;
        throw error;
      }) === 1;
      if (isWhole) record.members.set(rank, ids.join(" "));
    }
  };
}

/** What an agreement gives, as words that can be compared. */
async function outcomeOf(agreement: Promise<number>): Promise<string> {
  try {
    return `${await agreement}`;
  } catch (error) {
    if (error instanceof PeerLostError) return `${error.agreed} without some`;
    throw error;
  }
}

/**
 * Who has learnt what an agreement has come to has learnt the same, and has taken part in it.
 *
 * @param apart ranks of which that is not said
 */
export function agreementsAreUniform({ outcomes }: Agreements, apart: ReadonlySet<number>): void {
  for (const [number, all] of outcomes.entries()) {
    const byRank = new Map([...all].filter(([rank]) => !apart.has(rank)));
    if (byRank.size === 0) continue;
    const [[first, outcome]] = byRank;
    for (const [rank, other] of byRank) {
      if (other !== outcome) {
        throw new Violation(
          "agreementsAreUniform",
          `agreement ${number + 1} is ${outcome} on rank ${first}, ${other} on rank ${rank}`,
        );
      }
      if ((parseInt(outcome) & ~flagOf(rank)) !== 0) {
        throw new Violation(
          "agreementsAreUniform",
          `agreement ${
            number + 1
          } is ${outcome}: without the flag of rank ${rank}, which has learnt it`,
        );
      }
    }
  }
}

/** Those that live to the end know the same members, and are among them. */
export function membersAreTheSame({ members }: Agreements, finished: readonly number[]): void {
  const [first] = finished, expected = members.get(first);
  for (const rank of finished) {
    const ids = members.get(rank);
    if (ids !== expected || !`${ids}`.split(" ").includes(`${rank}`)) {
      throw new Violation(
        "membersAreTheSame",
        `they are ${expected} on rank ${first} and ${ids} on rank ${rank}`,
      );
    }
  }
}
