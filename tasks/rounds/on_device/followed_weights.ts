import type { OuterStep, StepSize } from "../../../optimizers/mod.ts";
import type {
  Displacement,
  DisplacementState,
} from "../../../runtime/devices/displacement/displacement.ts";
import { loadTensor, type StateDict } from "../../run/checkpoint.ts";
import type { CompressedAverage } from "../averaging.ts";
import { merged } from "../part_exchange.ts";
import { DeviceNumbers, type SumUse } from "./device_numbers.ts";
import { HostOuter } from "./host_outer.ts";

/** What a part's weights are followed by. */
export interface FollowedParts {
  readonly compression: CompressedAverage;
  readonly displacement: Displacement;
  /** The outer optimizer's step from each average; null: it stands. */
  readonly outer: OuterStep | null;
}

/** A part of the weights on a device, and what is kept of it from round to round. */
export class FollowedWeights {
  readonly #parts: FollowedParts;
  #outer: HostOuter | null = null;
  /** What the device has, if it has been read since it changed. */
  #state: DisplacementState | null = null;

  constructor(parts: FollowedParts) {
    this.#parts = parts;
  }

  /** Takes note of the initial weights, trained ones first. */
  start(initial: Float32Array): Promise<void> {
    const { displacement, outer, compression: { compress } } = this.#parts;
    this.#outer = outer && new HostOuter(outer, initial.subarray(0, displacement.length), compress);
    return displacement.startFrom();
  }

  /** Takes note of the weights as they are: what a sum is of. */
  async hold(): Promise<void> {
    this.changed();
    await this.#parts.displacement.hold();
  }

  /** Says that the device has something else than was read. */
  changed(): void {
    this.#state = null;
  }

  /** How far they had moved when they were held, as numbers to be summed. */
  numbers(use: SumUse): DeviceNumbers {
    const { displacement, compression: { compress } } = this.#parts;
    return new DeviceNumbers(displacement, compress, use);
  }

  /** Takes the outer optimizer's step, if there is one, from a sum that has been applied. */
  async step({ sent }: DeviceNumbers, { by, moves }: SumUse, size: StepSize): Promise<void> {
    if (!this.#outer) return;
    await this.#parts.displacement.moveTo(this.#outer.move(sent, by, size), moves);
  }

  /** What the device has; what has been lost is told to those who ask how much it is. */
  async read(): Promise<DisplacementState> {
    this.#state ??= await this.#parts.displacement.read();
    this.#parts.compression.residual.set(this.#state.residual);
    return this.#state;
  }

  /** As it is saved where the weights are in this process's memory, which may go on from it. */
  async save(): Promise<StateDict> {
    const { reference, residual } = await this.read(), dims = [reference.length];
    const tensors = [
      { name: "compress.reference", dims, data: reference },
      { name: "compress.residual", dims, data: residual },
    ];
    return merged([await this.#outer?.save(), { tensors, numbers: {} }]);
  }

  /** @param held what was held, if it is needed */
  async restore(state: StateDict, held?: Float32Array): Promise<void> {
    const { compression, displacement } = this.#parts, { length } = displacement;
    const reference = loadTensor(state, "compress.reference", length);
    const residual = loadTensor(state, "compress.residual", length);
    compression.residual.set(residual);
    await this.#outer?.restore(state, reference);
    await displacement.write({ reference, residual, ...held ? { held } : {} });
    this.changed();
  }
}
