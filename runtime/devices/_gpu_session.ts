/**
 * A model compiled for a GPU. What it reads are GPU buffers made beforehand; what it writes the engine
 * allocates, once if it records its commands, and the queue copies on from there: to the variables that
 * are updated, and to where the host can read.
 *
 * @module
 */

import { arrayOf, type Port } from "./_binding.ts";
import { type Place, Readback } from "./_gpu_readback.ts";
import { createGpuTensor, GpuState, type GpuTensor } from "./_gpu_state.ts";
import { elementCount } from "./_layout.ts";
import { parseProfile } from "./_profile.ts";
import { type Feeds, GuardedSession, wrapSession } from "./_session.ts";
import { endProfile, type Ort, type OrtSession, type OrtTensor, webLock } from "./_web_engine.ts";
import type { CompileOptions, HostTensor, Submission } from "./device.ts";
import type { GpuFaults } from "./faults/gpu_faults.ts";

/** An input with a buffer of its own. */
interface Feed extends GpuTensor {
  readonly name: string;
}

/** An output that comes back, and where it lies in a buffer for reading back, in bytes. */
interface Returned {
  readonly name: string;
  readonly type: string;
  readonly dims: readonly number[];
  readonly bytes: number;
  readonly offset: number;
}

/** A session on a GPU. */
export class GpuSession extends GuardedSession<GpuState, OrtSession> {
  override readonly captured: boolean;
  readonly #gpu: GPUDevice;
  readonly #faults: GpuFaults;
  readonly #fed: readonly Feed[];
  readonly #returned: readonly Returned[];
  /** Undefined if nothing is returned. */
  readonly #readback: Readback | undefined;

  /** Compiles a model. The caller holds the engine's lock. */
  static async compile(
    ort: Ort,
    gpu: GPUDevice,
    faults: GpuFaults,
    model: Uint8Array,
    options: CompileOptions,
  ): Promise<GpuSession> {
    const { profile = false, capture = !profile } = options;
    const create = (enableGraphCapture: boolean) =>
      ort.InferenceSession.create(model, {
        enableProfiling: profile,
        executionProviders: [{ name: "webgpu", device: gpu } as never],
        preferredOutputLocation: "gpu-buffer",
        enableGraphCapture,
        logSeverityLevel: 4,
      });
    let captured = capture;
    // Recording is refused where a node does not run on the GPU.
    const attempt = () =>
      create(capture).catch((error) => {
        if (!capture) throw error;
        captured = false;
        return create(false);
      });
    return await wrapSession(
      "webgpu",
      attempt,
      (session) => new GpuSession(ort, gpu, faults, session, captured, options),
    );
  }

  private constructor(
    ort: Ort,
    gpu: GPUDevice,
    faults: GpuFaults,
    session: OrtSession,
    captured: boolean,
    options: CompileOptions,
  ) {
    super({
      session,
      lock: webLock,
      options,
      states: GpuState,
      profile: options.profile ? (session) => parseProfile(endProfile(session)) : undefined,
    });
    this.captured = captured;
    this.#gpu = gpu;
    this.#faults = faults;
    this.#returned = returnedOf(this.binding.returned);
    this.#fed = this.binding.fed.map(({ name, type, dims }) => {
      const fixed = fixedDims(name, dims);
      return { name, ...createGpuTensor(ort, gpu, type, fixed, bytesOf(type, fixed)) };
    });
    const last = this.#returned.at(-1);
    this.#readback = last && new Readback(gpu, last.offset + padded(last.bytes));
  }

  protected override release(): void {
    for (const { buffer } of this.#fed) buffer.destroy();
    this.#readback?.close();
  }

  /** Uploads, runs and has the results copied to where they can be read. */
  protected override execute(session: OrtSession, feeds: Feeds): Promise<Submission> {
    return this.#faults.guard(() => this.#execute(session, feeds));
  }

  async #execute(session: OrtSession, feeds: Feeds): Promise<Submission> {
    const { read, updated } = this.binding;
    const inputs: Record<string, OrtTensor> = {};
    for (const { name, buffer, tensor } of this.#fed) {
      // Takes its place in the queue: behind the runs that were submitted, which still read the buffer's
      // old contents, and before this one.
      upload(this.#gpu, buffer, feeds[name].data);
      inputs[name] = tensor;
    }
    for (const { port, state, variable } of read) inputs[port] = state.tensor(variable);
    const results = await session.run(inputs);

    const encoder = this.#gpu.createCommandEncoder();
    const copy = (port: string, to: GPUBuffer, offset: number, bytes: number) => {
      const from = results[port].gpuBuffer as unknown as GPUBuffer;
      encoder.copyBufferToBuffer(from, 0, to, offset, padded(bytes));
    };
    for (const { port, state, variable } of updated) {
      const { buffer, bytes } = state.place(variable);
      copy(port, buffer, 0, bytes);
    }
    const place = this.#readback?.place();
    if (place) {
      for (const { name, offset, bytes } of this.#returned) {
        copy(name, place.buffer, place.offset + offset, bytes);
      }
    }
    this.#gpu.queue.submit([encoder.finish()]);
    for (const result of Object.values(results)) result.dispose();
    return new GpuSubmission(place, this.#returned, this.#faults);
  }
}

class GpuSubmission implements Submission {
  readonly #place: Place | undefined;
  readonly #returned: readonly Returned[];
  readonly #faults: GpuFaults;
  #outputs: Promise<Record<string, HostTensor>> | undefined;

  constructor(place: Place | undefined, returned: readonly Returned[], faults: GpuFaults) {
    this.#place = place;
    this.#returned = returned;
    this.#faults = faults;
  }

  get ready(): boolean {
    return this.#place?.arrived ?? true;
  }

  outputs(): Promise<Record<string, HostTensor>> {
    return this.#outputs ??= this.#faults.guard(() => this.#fetch());
  }

  async #fetch(): Promise<Record<string, HostTensor>> {
    const results: Record<string, HostTensor> = {};
    const bytes = await this.#place?.fetch();
    if (bytes === undefined) return results;
    for (const { name, type, dims, offset, bytes: size } of this.#returned) {
      const data = new (arrayOf(type))(elementCount(dims));
      new Uint8Array(data.buffer).set(bytes.subarray(offset, offset + size));
      results[name] = { type, dims, data } as HostTensor;
    }
    return results;
  }
}

function returnedOf(ports: readonly Port[]): Returned[] {
  let offset = 0;
  return ports.map(({ name, type, dims }) => {
    const fixed = fixedDims(name, dims), bytes = bytesOf(type, fixed);
    const returned = { name, type, dims: fixed, bytes, offset };
    offset += padded(bytes);
    return returned;
  });
}

/** WebGPU buffers have one size for good. */
function fixedDims(name: string, dims: Port["dims"]): readonly number[] {
  if (dims.every((dim) => typeof dim === "number")) return dims as readonly number[];
  throw new TypeError(
    `"${name}" has the shape [${dims}]: the webgpu device needs every dimension fixed`,
  );
}

function bytesOf(type: string, dims: readonly number[]): number {
  return elementCount(dims) * new (arrayOf(type))(1).BYTES_PER_ELEMENT;
}

/** WebGPU copies multiples of four bytes. */
function padded(bytes: number): number {
  return Math.ceil(bytes / 4) * 4;
}

function upload(gpu: GPUDevice, buffer: GPUBuffer, data: HostTensor["data"]): void {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const whole = bytes.length & ~3;
  if (whole > 0) gpu.queue.writeBuffer(buffer, 0, bytes as Uint8Array<ArrayBuffer>, 0, whole);
  if (whole < bytes.length) {
    const rest = new Uint8Array(4);
    rest.set(bytes.subarray(whole));
    gpu.queue.writeBuffer(buffer, whole, rest);
  }
}
