/**
 * Rounds of weights that stay on their device: what leaves it and what comes to it are the bytes that travel, and
 * running statistics, which are few.
 *
 * @module
 */

import type { DeviceState } from "../../../runtime/devices/device.ts";
import type { StateDict } from "../../run/checkpoint.ts";
import type { CompressedAverage, WeightAveraging } from "../averaging.ts";
import type { ArrivedAverage, PartExchange, PartMeeting } from "../part_exchange.ts";
import type { RoundParts } from "../round.ts";
import type { WeightsPart } from "../weights_part.ts";
import { type FollowedParts, FollowedWeights } from "./followed_weights.ts";
import { LateDeviceExchange } from "./late_device_exchange.ts";

/**
 * The exchange of a part whose weights can stay on their device; null if it needs them in this process's memory:
 * on a single rank; where averages are weighed, or mixed with a rank's own weights; where ranks send what they owe;
 * and where the device cannot follow them in the codec's bytes.
 */
export function deviceExchange(
  { algorithm, averaging, comm, weights }: RoundParts,
  { offset, trained, statistics }: WeightsPart,
  compression: CompressedAverage,
): PartExchange | null {
  const { outer = null, overlap, sends, timed } = algorithm, { rank, size } = comm;
  const mixes = overlap && overlap.mix !== null;
  if (size === 1 || sends || timed?.weighs || mixes) return null;
  const displacement = weights.follow(compression.compress, { offset, length: trained });
  if (!displacement) return null;
  const parts = { averaging, compression, displacement, outer };
  if (overlap) return new LateDeviceExchange({ ...parts, overlap, ranks: size });
  const isBeside = (name: string) => {
    const { offset } = weights.range(name);
    return statistics.some((each) => offset >= each.offset && offset < each.offset + each.length);
  };
  return new DeviceExchange({
    ...parts,
    rank,
    forAll: algorithm.undrawn === "waits",
    weights,
    statistics: weights.specs.map(({ name }) => name).filter(isBeside),
  });
}

/** What it is made of. */
interface DeviceParts extends FollowedParts {
  readonly averaging: WeightAveraging;
  readonly rank: number;
  /** Whether ranks that take no part go on from the average as well. */
  readonly forAll: boolean;
  readonly weights: DeviceState;
  /** Names of those that are averaged with the part. */
  readonly statistics: readonly string[];
}

/** What `WaitedExchange` and `CompressedMean` compute, by the device. */
class DeviceExchange implements PartExchange {
  readonly onDevice = true;
  readonly #parts: DeviceParts;
  readonly #followed: FollowedWeights;

  constructor(parts: DeviceParts) {
    this.#parts = parts;
    this.#followed = new FollowedWeights(parts);
  }

  start(initial: Float32Array): Promise<void> {
    return this.#followed.start(initial);
  }

  async meet(
    _values: Float32Array | null,
    { participants, bound, size }: PartMeeting,
  ): Promise<ArrivedAverage> {
    const { averaging, rank, forAll, weights, statistics } = this.#parts;
    const contributes = participants.includes(rank), by = participants.length;
    const use = { by, moves: contributes || forAll };
    const exact = statistics.length > 0
      ? await weights.read(undefined, statistics)
      : new Float32Array();
    await this.#followed.hold();
    const numbers = this.#followed.numbers(use);
    await averaging.sumEncoded(numbers, contributes, exact);
    await this.#followed.step(numbers, use, size);
    if (use.moves && exact.length > 0) await weights.write(exact.map((x) => x / by), statistics);
    const { way, residual: residualNorm } = numbers.applied;
    return { drift: use.moves ? way : 0, bound, residualNorm };
  }

  takeOver(): Promise<null> {
    return Promise.resolve(null);
  }

  progress(): Promise<void> {
    return Promise.resolve();
  }

  /** Nothing is on its way. */
  async arrive(): Promise<null> {
    await this.#followed.read();
    return null;
  }

  save(): Promise<StateDict> {
    return this.#followed.save();
  }

  restore(state: StateDict): Promise<void> {
    return this.#followed.restore(state);
  }
}
