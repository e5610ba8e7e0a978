/**
 * What ranks do together, piece by piece: each is done whole, or again among those that are left
 * (`docs/decisions/0023-what-ranks-do-together-is-done-whole-or-again.md`).
 *
 * @module
 */

import { type MetricsLog, pieceAfter } from "../../run/metrics.ts";
import type { Attendance } from "./attendance.ts";
import type { Carried, TakenStep } from "./carried.ts";
import { CrewChange, type Members } from "./members.ts";

/** What pieces have to do with. */
export interface PiecesParts {
  /** How ranks leave and come; absent: they do not. */
  readonly members?: Members | undefined;
  /** Where rank 0 writes; null on the others. */
  readonly log: MetricsLog | null;
  readonly attendance: Attendance;
  /** Those whose communicators are called out of what they wait for if a rank is lost. */
  readonly revocable: readonly { revoke(): void }[];
  /** What this rank takes with it if it goes on among other ranks after step `t`, copied. */
  carry(t: number, taken: TakenStep | null): Promise<Carried>;
}

/** The pieces of one run of the loop. */
export class Pieces {
  readonly #parts: PiecesParts;

  constructor(parts: PiecesParts) {
    this.#parts = parts;
  }

  /**
   * Does what follows step `t`, or the end of the run. If a rank is lost meanwhile, it is as if it had not been done.
   *
   * @param taken the step that it follows; null at the end
   * @param isShared whether ranks do any of it together
   * @throws CrewChange if the run goes on among other ranks
   */
  async run<T>(
    t: number,
    taken: TakenStep | null,
    isShared: boolean,
    work: () => Promise<T>,
  ): Promise<T> {
    const { members, log, attendance, revocable } = this.#parts, recovery = members?.recovery;
    const carry = () => this.#parts.carry(t, taken);
    const since = (rank: number) => attendance.since(rank);
    if (taken && members?.leavesAt(t)) {
      throw new CrewChange(await members.next(t, since, await carry()));
    }
    if (!isShared) return await work();
    const assembled = taken && await members?.assemble?.(t, since), crew = assembled?.crew;
    if (crew) throw new CrewChange({ ...crew, carried: await carry() });
    if (assembled) throw new CrewChange(null);
    if (!recovery) return await work();
    const carried = await carry(), done: T[] = [];
    log?.hold(pieceAfter(t, taken === null));
    try {
      done.push(await work());
    } catch (error) {
      if (!recovery.isLoss(error)) throw error;
      for (const each of [recovery, ...revocable]) each.revoke();
    }
    if (done.length > 0) log?.keep();
    const stands = await recovery.agree(done.length > 0);
    log?.release(stands);
    if (stands) return done[0];
    await attendance.restore(carried.state);
    throw new CrewChange(
      await recovery.survivors({ step: t, isDone: taken === null, since }, carried),
    );
  }

  /**
   * Lets ranks leave and come when the piece after step `t` has been done.
   *
   * @param isRound whether a round has been
   * @throws CrewChange if any do
   */
  async change(t: number, isRound: boolean): Promise<void> {
    const { members, attendance } = this.#parts;
    if (!members?.changeAfter(t, isRound)) return;
    const since = (rank: number) => attendance.since(rank);
    throw new CrewChange(await members.next(t, since, await this.#parts.carry(t, null)));
  }
}
