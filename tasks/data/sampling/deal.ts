/**
 * How one order of samples is dealt out to the ranks there are, whoever comes and goes. What a rank has taken since
 * the last round is in no average if it is lost; the others then take these samples first, and go on in the order
 * after that. So every sample of the order counts once, and which rank takes which is a function of the worlds.
 *
 * @module
 */

import { lostOf, membersOf, type Worlds, type WorldSince } from "./worlds.ts";

/**
 * Which of a step's samples is which rank's: a number below `batchSize · ranks`.
 *
 * @param sample of the rank's own, from 0
 * @param place of the rank among those there are
 */
export type Seat = (sample: number, place: number, ranks: number, batchSize: number) => number;

/** The ranks take turns, sample by sample. */
export const BY_TURNS: Seat = (sample, place, ranks) => sample * ranks + place;

/** Each takes its whole batch. */
export const BY_BATCHES: Seat = (sample, place, _, batchSize) => place * batchSize + sample;

/** What the last of some worlds is dealt. */
export class Deal {
  /** Steps done when it began. */
  readonly step: number;
  /** Samples that count, of all ranks before. */
  readonly samples: number;
  readonly #ranks: number;
  readonly #batchSize: number;
  readonly #seat: Seat;
  readonly #members: readonly number[];
  /** Places in the order that ranks before have left behind, in increasing order. */
  readonly #left: readonly number[];
  /** The first place that nobody has been given. */
  readonly #next: number;

  /**
   * @param batchSize samples of one step of one rank
   * @param ranks how many there are, if no world says so
   */
  static of(worlds: Worlds, batchSize: number, seat: Seat, ranks: number): Deal {
    const [first = { step: 0, ranks }, ...others] = worlds;
    const deals = [new Deal(first, [], 0, batchSize, seat)];
    for (const world of others) {
      const before = deals.at(-1)!, taken = before.#perStep * (world.step - before.step);
      const lost = lostOf(world).flatMap(({ rank, since }) => [
        ...placesOf(deals, rank, since, world.step),
      ]);
      const left = [...before.#left.slice(taken), ...lost].sort((a, b) => a - b);
      const next = before.#next + Math.max(0, taken - before.#left.length);
      deals.push(new Deal(world, left, next, batchSize, seat));
    }
    return deals.at(-1)!;
  }

  private constructor(
    world: WorldSince,
    left: readonly number[],
    next: number,
    batchSize: number,
    seat: Seat,
  ) {
    this.step = world.step;
    this.samples = next - left.length;
    this.#ranks = world.ranks;
    this.#members = membersOf(world);
    this.#left = left;
    this.#next = next;
    this.#batchSize = batchSize;
    this.#seat = seat;
  }

  /** Samples of all ranks in one step. */
  get #perStep(): number {
    return this.#ranks * this.#batchSize;
  }

  /**
   * Samples that count when `step` steps are done. What comes before the world is as if it had always been.
   */
  counted(step: number): number {
    return step < this.step
      ? step * this.#perStep
      : this.samples + (step - this.step) * this.#perStep;
  }

  /** Samples that count beyond those that these ranks would have taken by now, had they always been. */
  get ahead(): number {
    return this.samples - this.step * this.#perStep;
  }

  /**
   * The place in the order of one sample of a step, counted from 0.
   *
   * @param sample which of the rank's own, from 0
   * @param place of the rank among those there are
   */
  place(step: number, sample: number, place: number): number {
    const seat = this.#seat(sample, place, this.#ranks, this.#batchSize);
    if (step < this.step) return step * this.#perStep + seat;
    const turn = (step - this.step) * this.#perStep + seat, left = this.#left;
    return turn < left.length ? left[turn] : this.#next + turn - left.length;
  }

  /** The places that a rank was given in a step, by its number in the run. */
  *places(step: number, rank: number): Generator<number> {
    const place = this.#members.indexOf(rank);
    if (place < 0) return;
    for (let sample = 0; sample < this.#batchSize; sample++) yield this.place(step, sample, place);
  }
}

/** All places that a rank was given in steps from `since` up to, but not including, `until`. */
function* placesOf(
  deals: readonly Deal[],
  rank: number,
  since: number,
  until: number,
): Generator<number> {
  for (let step = since; step < until; step++) {
    const deal = deals.findLast((each) => each.step <= step)!;
    yield* deal.places(step, rank);
  }
}
