/**
 * Variables in GPU buffers, one buffer each: the engine binds whole buffers.
 *
 * @module
 */

import { GuardedState } from "./_state.ts";
import { type Ort, type OrtTensor, webLock } from "./_web_engine.ts";
import type { VariableRange, VariableSpec } from "./device.ts";
import type { GpuFaults } from "./faults/gpu_faults.ts";
import { isDisplacementFormat } from "./displacement/formats.ts";
import type { Displacement } from "./displacement/displacement.ts";
import { fitsGpu, GpuDisplacement, type VariableBuffer } from "./displacement/gpu_displacement.ts";

const FLOAT_BYTES = 4;

/** A GPU buffer and the engine's view of it. */
export interface GpuTensor {
  readonly buffer: GPUBuffer;
  readonly tensor: OrtTensor;
}

/** Makes a buffer that the engine may read and write, filled with zeros. */
export function createGpuTensor(
  ort: Ort,
  gpu: GPUDevice,
  type: string,
  dims: readonly number[],
  bytes: number,
): GpuTensor {
  const buffer = gpu.createBuffer({
    // The engine's kernels and copies work on multiples of 16 bytes.
    size: Math.max(16, Math.ceil(bytes / 16) * 16),
    usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
  });
  const tensor = ort.Tensor.fromGpuBuffer(buffer as never, { dataType: type as "float32", dims });
  return { buffer, tensor };
}

/** The variables of one state on a GPU. */
export class GpuState extends GuardedState {
  readonly #gpu: GPUDevice;
  readonly #faults: GpuFaults;
  readonly #variables = new Map<string, GpuTensor & { bytes: number }>();
  readonly #followers: GpuDisplacement[] = [];

  constructor(specs: readonly VariableSpec[], ort: Ort, gpu: GPUDevice, faults: GpuFaults) {
    super(specs, webLock);
    this.#gpu = gpu;
    this.#faults = faults;
    for (const { name, dims } of specs) {
      const bytes = this.range(name).length * FLOAT_BYTES;
      this.#variables.set(name, { ...createGpuTensor(ort, gpu, "float32", dims, bytes), bytes });
    }
  }

  /** The variable as the engine reads it. */
  tensor(name: string): OrtTensor {
    return this.#variables.get(name)!.tensor;
  }

  /** Where the variable lies. */
  place(name: string): VariableBuffer {
    return this.#variables.get(name)!;
  }

  override follow(format: string, { offset, length }: VariableRange): Displacement | null {
    if (!isDisplacementFormat(format) || !fitsGpu(this.#gpu, length)) return null;
    const variables = this.specs.map(({ name }) => ({ ...this.range(name), ...this.place(name) }))
      .filter((each) => each.offset >= offset && each.offset < offset + length);
    const follower = new GpuDisplacement({
      gpu: this.#gpu,
      format,
      variables,
      exclusively: (section, touches) => this.exclusively("follow", section, touches),
    });
    this.#followers.push(follower);
    return follower;
  }

  protected override download(flat: Float32Array, names?: readonly string[]): Promise<void> {
    return this.#faults.guard(() => this.#download(flat, names));
  }

  async #download(flat: Float32Array, names?: readonly string[]): Promise<void> {
    if (flat.length === 0) return;
    const staging = this.#gpu.createBuffer({
      size: flat.length * FLOAT_BYTES,
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
    this.#copy(
      names,
      (encoder, { buffer, bytes }, offset) =>
        encoder.copyBufferToBuffer(buffer, 0, staging, offset, bytes),
    );
    await staging.mapAsync(GPUMapMode.READ);
    flat.set(new Float32Array(staging.getMappedRange()));
    staging.destroy();
  }

  protected override upload(flat: Float32Array, names?: readonly string[]): void {
    this.#faults.assertNone();
    if (flat.length === 0) return;
    const staging = this.#gpu.createBuffer({
      size: flat.length * FLOAT_BYTES,
      usage: GPUBufferUsage.COPY_SRC,
      mappedAtCreation: true,
    });
    new Float32Array(staging.getMappedRange()).set(flat);
    staging.unmap();
    this.#copy(
      names,
      (encoder, { buffer, bytes }, offset) =>
        encoder.copyBufferToBuffer(staging, offset, buffer, 0, bytes),
    );
    staging.destroy();
  }

  /** Has variables copied, each to or from a place of its own in bytes, one after the other. */
  #copy(
    names: readonly string[] = [...this.#variables.keys()],
    copy: (encoder: GPUCommandEncoder, variable: VariableBuffer, offset: number) => void,
  ): void {
    const encoder = this.#gpu.createCommandEncoder();
    let offset = 0;
    for (const name of names) {
      const variable = this.#variables.get(name)!;
      copy(encoder, variable, offset);
      offset += variable.bytes;
    }
    this.#gpu.queue.submit([encoder.finish()]);
  }

  protected override async lend(): Promise<Float32Array> {
    const flat = new Float32Array(this.length);
    await this.download(flat);
    return flat;
  }

  protected override takeBack(flat: Float32Array): void {
    this.upload(flat);
  }

  protected override release(): void {
    for (const follower of this.#followers.splice(0)) follower.release();
    for (const { buffer } of this.#variables.values()) buffer.destroy();
    this.#variables.clear();
  }
}
