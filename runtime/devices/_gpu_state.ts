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

/** Neighbours among variables that are read or written one after the other, in bytes. */
interface Piece extends GpuPlace {
  /** Bytes before it on the other side. */
  readonly there: number;
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
  readonly #ownsFlat: boolean;
  #staging: GPUBuffer | undefined;
  #lent: Float32Array | undefined;
  /** Changes so far. */
  #changes = 0;
  /** All variables on their way to where the host can read them, as they were after so many changes. */
  #ahead: { readonly changes: number; readonly mapped: Promise<undefined | void> } | undefined;

  /**
   * @param engine what binds the variables; null if kernels alone work on them
   * @param shared where the flat form lies, if not in a buffer of its own; the caller's
   */
  constructor(
    specs: readonly VariableSpec[],
    engine: Ort | null,
    gpu: GPUDevice,
    faults: GpuFaults,
    shared?: GPUBuffer,
  ) {
    super(specs, webLock);
    this.#flat = shared;
    this.#ownsFlat = shared === undefined;
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
    const stale = [...new Set(names)].map((name) => this.#variables.get(name)!)
      .filter(({ inOwn, inFlat }) => where === "own" ? !inOwn : !inFlat);
    if (stale.length === 0) return;
    const encoder = this.#gpu.createCommandEncoder(), { flat } = this;
    for (const variable of stale) {
      const { offset, bytes } = variable, { buffer } = variable.own!;
      variable.inOwn = variable.inFlat = true;
      if (where === "own") encoder.copyBufferToBuffer(flat, offset, buffer, 0, bytes);
      else encoder.copyBufferToBuffer(buffer, 0, flat, offset, bytes);
    }
    this.#gpu.queue.submit([encoder.finish()]);
  }

  /** Where a new value of a variable is to be copied to; whoever asks does it next. */
  takes(name: string): GpuPlace {
    const variable = this.#variables.get(name)!, { own, offset, bytes } = variable;
    variable.inOwn = own !== undefined;
    variable.inFlat = !variable.inOwn;
    this.#changes++;
    return own ? { buffer: own.buffer, offset: 0, bytes } : { buffer: this.flat, offset, bytes };
  }

  /** Says that variables have been given new values in the flat form. */
  changedFlat(names: readonly string[]): void {
    this.#changes++;
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
      copy: (encoder, other, way) => {
        for (const { buffer, offset, there, bytes } of this.#pieces(names, way === "to")) {
          if (way === "from") encoder.copyBufferToBuffer(buffer, offset, other, there, bytes);
          else encoder.copyBufferToBuffer(other, there, buffer, offset, bytes);
        }
      },
      exclusively: (section, touches) => this.exclusively("follow", section, touches),
    });
    this.#followers.push(follower);
    return follower;
  }

  protected override download(flat: Float32Array, names?: readonly string[]): Promise<void> {
    return this.#faults.guard(() => this.#download(flat, names));
  }

  override prefetch(): void {
    const fetching = webLock.run(() => {
      if (this.length === 0 || this.#ahead || this.isDisposed) return;
      const bytes = this.length * FLOAT_BYTES, mapped = this.#fetch(this.#stagingOf(bytes), bytes);
      mapped.catch(() => {}); // told when it is waited for
      this.#ahead = { changes: this.#changes, mapped };
    });
    fetching.catch(() => {}); // whoever reads does it again, and is told
  }

  async #download(flat: Float32Array, names?: readonly string[]): Promise<void> {
    if (flat.length === 0) return;
    const bytes = flat.length * FLOAT_BYTES, ahead = this.#ahead;
    this.#ahead = undefined;
    await ahead?.mapped;
    const isHere = ahead?.changes === this.#changes && names === undefined;
    if (ahead && !isHere) this.#staging!.unmap();
    const staging = this.#stagingOf(bytes);
    if (!isHere) await this.#fetch(staging, bytes, names);
    flat.set(new Float32Array(staging.getMappedRange(0, bytes)));
    staging.unmap();
  }

  /** Has variables copied to where the host can read them; resolves when it can. */
  #fetch(staging: GPUBuffer, bytes: number, names?: readonly string[]) {
    const encoder = this.#gpu.createCommandEncoder();
    for (const { buffer, offset, there, bytes } of this.#pieces(names)) {
      encoder.copyBufferToBuffer(buffer, offset, staging, there, bytes);
    }
    this.#gpu.queue.submit([encoder.finish()]);
    return staging.mapAsync(GPUMapMode.READ, 0, bytes);
  }

  /** A buffer that the host can read, kept for the next time: to make one costs more than to read it. */
  #stagingOf(bytes: number): GPUBuffer {
    if (this.#staging && this.#staging.size >= bytes) return this.#staging;
    this.#staging?.destroy();
    const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
    return this.#staging = this.#gpu.createBuffer({ size: bytes, usage });
  }

  protected override upload(flat: Float32Array, names?: readonly string[]): void {
    this.#faults.assertNone();
    if (flat.length === 0) return;
    const data = flat as Float32Array<ArrayBuffer>;
    for (const { buffer, offset, there, bytes } of this.#pieces(names, true)) {
      const [from, count] = [there, bytes].map((each) => each / FLOAT_BYTES);
      this.#gpu.queue.writeBuffer(buffer, offset, data, from, count);
    }
  }

  /**
   * Where variables' values are, one after the other.
   *
   * @param written whether they are about to be given new ones: in the flat form, if there is one
   */
  #pieces(names: readonly string[] = [...this.#variables.keys()], written = false): Piece[] {
    const pieces: Piece[] = [];
    if (written) this.#changes++;
    let there = 0;
    for (const name of names) {
      const variable = this.#variables.get(name)!, { own, bytes } = variable;
      if (written) {
        variable.inFlat = this.#flat !== undefined;
        variable.inOwn = !variable.inFlat;
      }
      const [buffer, offset] = variable.inFlat ? [this.flat, variable.offset] : [own!.buffer, 0];
      const last = pieces.at(-1);
      if (last?.buffer === buffer && last.offset + last.bytes === offset) {
        pieces.splice(-1, 1, { ...last, bytes: last.bytes + bytes });
      } else pieces.push({ buffer, offset, there, bytes });
      there += bytes;
    }
    return pieces;
  }

  protected override async lend(): Promise<Float32Array> {
    const flat = this.#lent ??= new Float32Array(this.length);
    await this.download(flat);
    return flat;
  }

  protected override takeBack(flat: Float32Array): void {
    this.upload(flat);
  }

  protected override release(): void {
    for (const follower of this.#followers.splice(0)) follower.release();
    for (const { own } of this.#variables.values()) own?.buffer.destroy();
    if (this.#ownsFlat) this.#flat?.destroy();
    this.#staging?.destroy();
    this.#variables.clear();
  }
}
