/**
 * Variables in GPU buffers, one buffer each, since the engine binds whole buffers; and, where kernels work on many
 * of them, in one.
 *
 * @module
 */

import { GuardedState } from "./_state.ts";
import { type Ort, type OrtTensor, webLock } from "./_web_engine.ts";
import type { VariableRange, VariableSpec } from "./device.ts";
import type { GpuFaults } from "./faults/gpu_faults.ts";
import { isDisplacementFormat } from "./displacement/formats.ts";
import type { Displacement } from "./displacement/displacement.ts";
import { fitsGpu, GpuDisplacement } from "./displacement/gpu_displacement.ts";

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

/** Where a variable's value is or goes, in bytes. */
export interface GpuPlace {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly bytes: number;
}

/** A variable's two places, and which of them hold its value. */
interface Variable {
  /** The buffer that the engine binds; undefined where the engine has no use for it. */
  readonly own: GpuTensor | undefined;
  readonly bytes: number;
  /** Bytes before it in the flat form. */
  readonly offset: number;
  inOwn: boolean;
  inFlat: boolean;
}

/** A copy that is to be made; one way. */
interface Copy {
  readonly from: GPUBuffer;
  readonly at: number;
  readonly to: GPUBuffer;
  readonly toAt: number;
  readonly bytes: number;
}

/**
 * The variables of one state on a GPU. Each has a buffer of its own, which the engine binds; where kernels work
 * on all of them at once, a state has a buffer for its flat form as well, and a value is copied from the one to the
 * other when it is needed there.
 */
export class GpuState extends GuardedState {
  readonly #gpu: GPUDevice;
  readonly #faults: GpuFaults;
  readonly #variables = new Map<string, Variable>();
  readonly #followers: GpuDisplacement[] = [];
  #flat: GPUBuffer | undefined;

  /** @param engine what binds the variables; null if kernels alone work on them */
  constructor(
    specs: readonly VariableSpec[],
    engine: Ort | null,
    gpu: GPUDevice,
    faults: GpuFaults,
  ) {
    super(specs, webLock);
    this.#gpu = gpu;
    this.#faults = faults;
    for (const { name, dims } of specs) {
      const { offset, length } = this.range(name), bytes = length * FLOAT_BYTES;
      this.#variables.set(name, {
        own: engine ? createGpuTensor(engine, gpu, "float32", dims, bytes) : undefined,
        bytes,
        offset: offset * FLOAT_BYTES,
        inOwn: engine !== null,
        inFlat: engine === null,
      });
    }
  }

  /** The flat form's buffer, from now on kept beside the variables' own. */
  get flat(): GPUBuffer {
    const { STORAGE, COPY_SRC, COPY_DST } = GPUBufferUsage;
    return this.#flat ??= this.#gpu.createBuffer({
      size: Math.max(16, this.length * FLOAT_BYTES),
      usage: STORAGE | COPY_SRC | COPY_DST,
    });
  }

  /** The variable as the engine reads it, once {@linkcode GpuState.bring} has brought its value. */
  tensor(name: string): OrtTensor {
    return this.#variables.get(name)!.own!.tensor;
  }

  /** The variable's own buffer. */
  buffer(name: string): GPUBuffer {
    return this.#variables.get(name)!.own!.buffer;
  }

  /** Has variables' values be where they are to be read. */
  bring(names: readonly string[], where: "own" | "flat"): void {
    const copies: Copy[] = [];
    for (const name of names) {
      const variable = this.#variables.get(name)!, { own, offset, bytes } = variable;
      if (where === "own" ? variable.inOwn : variable.inFlat) continue;
      variable.inOwn = variable.inFlat = true;
      copies.push(
        where === "own"
          ? { from: this.flat, at: offset, to: own!.buffer, toAt: 0, bytes }
          : { from: own!.buffer, at: 0, to: this.flat, toAt: offset, bytes },
      );
    }
    if (copies.length > 0) this.#submit(copies);
  }

  /** Where a new value of a variable is to be copied to; whoever asks does it next. */
  takes(name: string): GpuPlace {
    const variable = this.#variables.get(name)!, { own, offset, bytes } = variable;
    variable.inOwn = own !== undefined;
    variable.inFlat = !variable.inOwn;
    return own ? { buffer: own.buffer, offset: 0, bytes } : { buffer: this.flat, offset, bytes };
  }

  /** Says that variables have been given new values in the flat form. */
  changedFlat(names: readonly string[]): void {
    for (const name of names) {
      const variable = this.#variables.get(name)!;
      variable.inFlat = true;
      variable.inOwn = false;
    }
  }

  override follow(format: string, { offset, length }: VariableRange): Displacement | null {
    if (!isDisplacementFormat(format) || !fitsGpu(this.#gpu, length)) return null;
    const names = this.specs.map(({ name }) => name).filter((name) => {
      const at = this.range(name).offset;
      return at >= offset && at < offset + length;
    });
    const follower = new GpuDisplacement({
      gpu: this.#gpu,
      format,
      length: names.reduce((sum, name) => sum + this.range(name).length, 0),
      copy: (encoder, buffer, way) => encode(encoder, this.#copies(names, buffer, way)),
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
    this.#submit(this.#copies(names, staging, "from"));
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
    this.#submit(this.#copies(names, staging, "to"));
    staging.destroy();
  }

  /**
   * The copies of variables, one after the other, from where they are to another buffer, or back from there: to the
   * flat form if there is one. Neighbours there go in one copy.
   */
  #copies(
    names: readonly string[] = [...this.#variables.keys()],
    other: GPUBuffer,
    way: "from" | "to",
  ): Copy[] {
    const copies: Copy[] = [];
    let there = 0;
    for (const name of names) {
      const variable = this.#variables.get(name)!, { own, offset, bytes } = variable;
      if (way === "to") {
        variable.inFlat = this.#flat !== undefined;
        variable.inOwn = !variable.inFlat;
      }
      const [here, at] = variable.inFlat ? [this.flat, offset] : [own!.buffer, 0];
      const copy = way === "from"
        ? { from: here, at, to: other, toAt: there, bytes }
        : { from: other, at: there, to: here, toAt: at, bytes };
      there += bytes;
      const last = copies.at(-1);
      if (last && continues(last, copy)) {
        copies.splice(-1, 1, { ...last, bytes: last.bytes + bytes });
      } else copies.push(copy);
    }
    return copies;
  }

  #submit(copies: readonly Copy[]): void {
    const encoder = this.#gpu.createCommandEncoder();
    encode(encoder, copies);
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
    for (const { own } of this.#variables.values()) own?.buffer.destroy();
    this.#flat?.destroy();
    this.#variables.clear();
  }
}

/** Whether a copy goes on where another ends, on both sides. */
function continues(last: Copy, { from, at, to, toAt }: Copy): boolean {
  return last.from === from && last.to === to && last.at + last.bytes === at &&
    last.toAt + last.bytes === toAt;
}

function encode(encoder: GPUCommandEncoder, copies: readonly Copy[]): void {
  for (const { from, at, to, toAt, bytes } of copies) {
    encoder.copyBufferToBuffer(from, at, to, toAt, bytes);
  }
}
