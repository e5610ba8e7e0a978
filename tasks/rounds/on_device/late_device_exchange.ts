import type { Overlap, StepSize } from "../../../optimizers/mod.ts";
import { lateBound } from "../../../optimizers/rounds/overlap.ts";
import { loadNumber, loadTensor, type StateDict } from "../../run/checkpoint.ts";
import type { AppliedSum } from "../../../runtime/devices/displacement/displacement.ts";
import { norm, type PendingAverage, type WeightAveraging } from "../averaging.ts";
import {
  type ArrivedAverage,
  merged,
  type PartExchange,
  type PartMeeting,
} from "../part_exchange.ts";
import { type FollowedParts, FollowedWeights } from "./followed_weights.ts";

/** What it is made of. */
export interface LateDeviceParts extends FollowedParts {
  readonly averaging: WeightAveraging;
  /** Without a mix. */
  readonly overlap: Overlap;
  readonly ranks: number;
}

/** What `OverlappedExchange` and `CompressedMean` compute, by the device. */
export class LateDeviceExchange implements PartExchange {
  readonly onDevice = true;
  readonly #parts: LateDeviceParts;
  readonly #followed: FollowedWeights;
  /** Of the round whose average travels, or has been taken over last. */
  #bound: number | null = null;
  #pending: { readonly average: PendingAverage; arrived(): Promise<AppliedSum> } | null = null;
  #arrived: ArrivedAverage | null = null;

  constructor(parts: LateDeviceParts) {
    this.#parts = parts;
    this.#followed = new FollowedWeights(parts);
  }

  start(initial: Float32Array): Promise<void> {
    return this.#followed.start(initial);
  }

  async meet(
    _values: Float32Array | null,
    { bound, steps, size }: PartMeeting,
  ): Promise<ArrivedAverage | null> {
    const arrived = await this.takeOver();
    await this.#followed.hold();
    this.#bound = lateBound(this.#parts.overlap, this.#bound, bound, steps);
    await this.#begin(size);
    return arrived;
  }

  async #begin(size: StepSize): Promise<void> {
    const { averaging, displacement, ranks: by } = this.#parts, use = { by, moves: false };
    const numbers = this.#followed.numbers(use);
    const average = await averaging.beginEncoded(numbers);
    const arrived = async () => {
      await this.#followed.step(numbers, use, size);
      await displacement.turn();
      return numbers.applied;
    };
    this.#pending = { average, arrived };
  }

  async takeOver(): Promise<ArrivedAverage | null> {
    const arrived = await this.#arrive();
    if (arrived) await this.#parts.displacement.catchUp();
    this.#arrived = null;
    return arrived;
  }

  async progress(): Promise<void> {
    await this.#pending?.average.progress();
  }

  async arrive(): Promise<ArrivedAverage | null> {
    const arrived = await this.#arrive();
    await this.#followed.read();
    return arrived;
  }

  async #arrive(): Promise<ArrivedAverage | null> {
    if (!this.#pending) return this.#arrived;
    const { average, arrived } = this.#pending;
    await average.wait();
    this.#pending = null;
    this.#followed.changed();
    const { way: drift, residual: residualNorm } = await arrived();
    return this.#arrived = { drift, bound: this.#bound, residualNorm };
  }

  /** What is still to be taken over, after waiting for it. Collective. */
  async save(): Promise<StateDict> {
    const arrived = await this.#arrive(), { held } = await this.#followed.read();
    const numbers = {
      "overlap.arrived": arrived ? 1 : 0,
      "overlap.drift": arrived?.drift ?? 0,
      "overlap.bound": this.#bound ?? -1,
    };
    const tensors = [{ name: "overlap.correction", dims: [held.length], data: held }];
    return merged([{ tensors, numbers }, await this.#followed.save()]);
  }

  async restore(state: StateDict): Promise<void> {
    const bound = loadNumber(state, "overlap.bound");
    this.#bound = bound < 0 ? null : bound;
    this.#arrived = loadNumber(state, "overlap.arrived")
      ? { drift: loadNumber(state, "overlap.drift"), bound: this.#bound }
      : null;
    const { length } = this.#parts.displacement;
    await this.#followed.restore(state, loadTensor(state, "overlap.correction", length));
    if (!this.#arrived) return;
    const { residual } = await this.#followed.read();
    this.#arrived = { ...this.#arrived, residualNorm: norm(residual) };
  }
}
