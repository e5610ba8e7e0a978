/**
 * Which rank took part in which round last: if it is lost, what it has done since then is in no average.
 *
 * @module
 */

import type { StateDict, Stateful } from "../../run/checkpoint.ts";

const PREFIX = "attendance.";

/** The rounds in which ranks took part last, by their numbers in the run. All ranks hold the same. */
export class Attendance implements Stateful {
  readonly #steps = new Map<number, number>();

  /** Notes a round after `step` steps, or that ranks begin there. */
  note(step: number, ranks: readonly number[]): void {
    for (const rank of ranks) this.#steps.set(rank, step);
  }

  /** Steps done at the last round in which a rank took part; 0 if it never did. */
  since(rank: number): number {
    return this.#steps.get(rank) ?? 0;
  }

  /** Of some ranks, the first of those that took part latest, by what has been saved. */
  static latest({ numbers }: Pick<StateDict, "numbers">, ranks: readonly number[]): number {
    const since = (rank: number) => numbers[`${PREFIX}${rank}`] ?? 0;
    return ranks.reduce((best, rank) => since(rank) > since(best) ? rank : best);
  }

  /** All of them. */
  save(): Promise<StateDict> {
    const entries = [...this.#steps].map(([rank, step]) => [`${PREFIX}${rank}`, step]);
    return Promise.resolve({ tensors: [], numbers: Object.fromEntries(entries) });
  }

  /** Goes on from there; a checkpoint of a run that could lose no ranks says nothing. */
  restore({ numbers }: StateDict): Promise<void> {
    this.#steps.clear();
    for (const [name, step] of Object.entries(numbers)) {
      if (name.startsWith(PREFIX)) this.#steps.set(Number(name.slice(PREFIX.length)), step);
    }
    return Promise.resolve();
  }
}
