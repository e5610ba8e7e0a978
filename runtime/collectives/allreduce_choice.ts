import type { CollectiveGroup } from "../engine/group.ts";
import type { NetworkCost } from "../algorithms/network_probe.ts";
import { allreduceCost } from "./allreduce_cost.ts";

/** What an allreduce of a large buffer on several hosts does: rank 0 says so to all. */
export const Decision = {
  /** Direct exchange. */
  DIRECT: 0,
  /** Two levels. */
  TWO_LEVEL: 1,
  /** Two levels, and a look at the network afterwards. */
  TWO_LEVEL_AND_PROBE: 2,
} as const;

/** How often an algorithm is tried before its time counts as known. */
const TRIALS = 3;
/** One in so many calls looks whether the other algorithm has become the faster one. */
const REVIEW_CALLS = 128;
/** What took more than so many times the other's time is not tried again. */
const HOPELESS = 2;

type Candidate = "direct" | "two-level";

/** The last times of one algorithm, in seconds. */
class Times {
  #last: number[] = [];
  get count(): number {
    return this.#last.length;
  }
  get best(): number {
    return Math.min(...this.#last);
  }
  add(seconds: number): void {
    this.#last = [...this.#last, seconds].slice(-TRIALS);
  }
}

/** What rank 0 knows of buffers of about one size. */
class SizeClass {
  readonly times: Record<Candidate, Times> = { "direct": new Times(), "two-level": new Times() };
  calls = 0;
}

/**
 * How rank 0 of a communicator that spans several hosts chooses between direct exchange and two levels,
 * for buffers of each size (in powers of two): two levels at first, since they send least. Direct exchange
 * is tried where by what the network showed it could take less time than two levels took, and whatever
 * has been measured to be faster is used from then on. The bits are the same. (Choice by trial within the
 * running program: Faraj, Yuan and Lowenthal, STAR-MPI, ICS 2006.)
 */
export class AllreduceChoice {
  readonly #group: Pick<CollectiveGroup, "size" | "hosts">;
  readonly #sizes = new Map<number, SizeClass>();
  #network: NetworkCost | "asked" | null = null;

  constructor(group: Pick<CollectiveGroup, "size" | "hosts">) {
    this.#group = group;
  }

  /** What the call does next; the caller notes how long it took. */
  next(bytes: number): number {
    if (this.#network === null) {
      this.#network = "asked";
      return Decision.TWO_LEVEL_AND_PROBE;
    }
    return this.#candidate(bytes) === "direct" ? Decision.DIRECT : Decision.TWO_LEVEL;
  }

  /** The network as it has been found after the first call. */
  noteNetwork(network: NetworkCost): void {
    this.#network = network;
  }

  /** How long a call has taken. */
  noteTime(decision: number, bytes: number, seconds: number): void {
    const { times } = this.#sizeClass(bytes);
    times[decision === Decision.DIRECT ? "direct" : "two-level"].add(seconds);
  }

  #sizeClass(bytes: number): SizeClass {
    const key = Math.ceil(Math.log2(bytes));
    const known = this.#sizes.get(key) ?? new SizeClass();
    this.#sizes.set(key, known);
    return known;
  }

  #candidate(bytes: number): Candidate {
    const size = this.#sizeClass(bytes), { times } = size;
    if (times["two-level"].count === 0) return "two-level";
    const best = times.direct.best < times["two-level"].best ? "direct" : "two-level";
    const other = best === "direct" ? "two-level" : "direct";
    const isDue = times[other].count < TRIALS || ++size.calls % REVIEW_CALLS === 0;
    return isDue && this.#couldBeFaster(other, bytes, times[best].best) ? other : best;
  }

  /** Whether an algorithm may take less than so many seconds, by what it took, or by its bytes. */
  #couldBeFaster(candidate: Candidate, bytes: number, seconds: number): boolean {
    const { times } = this.#sizeClass(bytes), network = this.#network;
    if (times[candidate].count > 0) return times[candidate].best < HOPELESS * seconds;
    if (network === null || network === "asked") return false;
    const { size, hosts } = this.#group;
    return allreduceCost(candidate, network, size, bytes, hosts.length).seconds < seconds;
  }
}
