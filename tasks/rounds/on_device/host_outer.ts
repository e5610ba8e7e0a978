import type { OuterStep, StepSize } from "../../../optimizers/mod.ts";
import type { Codec } from "../../../runtime/compression/codec.ts";
import { codecOf } from "../../../runtime/compression/registry.ts";
import { decode } from "../../../runtime/compression/tile.ts";
import type { StateDict } from "../../run/checkpoint.ts";
import { OuterOptimizer } from "../outer_optimizer.ts";

/**
 * An outer optimizer of weights that are on a device. Its steps are taken in this process's memory, from what all
 * ranks have alike: the point r and the bytes of a sum. Nothing is read from the device for them.
 */
export class HostOuter {
  readonly #optimizer: OuterOptimizer;
  readonly #codec: Codec;
  /** r */
  readonly #reference: Float32Array;
  readonly #moved: Float32Array;

  /**
   * @param initial trained weights, copied
   * @param compress as in `--compress`
   */
  constructor(step: OuterStep, initial: Float32Array, compress: string) {
    this.#optimizer = new OuterOptimizer(step, initial);
    this.#codec = codecOf(compress)!;
    this.#reference = initial.slice();
    this.#moved = new Float32Array(initial.length);
  }

  /**
   * Where the ranks go on from.
   *
   * @param encoded a sum of displacements
   * @param by what it is divided by
   * @param size η and γ of the last step
   * @returns holds until the next call
   */
  move(encoded: Uint8Array, by: number, size: StepSize): Float32Array {
    const moved = this.#moved, reference = this.#reference;
    decode(this.#codec, encoded, moved);
    for (let i = 0; i < moved.length; i++) reference[i] += Math.fround(moved[i] / by);
    this.#optimizer.move(reference, size);
    return reference;
  }

  save(): Promise<StateDict> {
    return this.#optimizer.save();
  }

  /** @param reference r, which is saved by others */
  async restore(state: StateDict, reference: Float32Array): Promise<void> {
    await this.#optimizer.restore(state);
    this.#reference.set(reference);
  }
}
