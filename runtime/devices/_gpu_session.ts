/**
 * A model compiled for a GPU. What it reads are GPU buffers made beforehand; what it writes the engine
 * allocates, once if it records its commands, and the queue copies on from there: to the variables that
 * are updated, and to where the host can read.
 *
 * @module
 */

import {
  bytesOf,
  bytesOfReturned,
  fixedDims,
  GpuSubmission,
  padded,
  type Place,
  Readback,
  type Returned,
  returnedOf,
} from "./_gpu_readback.ts";
import { createGpuTensor, type GpuPlace, GpuState, type GpuTensor } from "./_gpu_state.ts";
import { parseProfile } from "./_profile.ts";
import { type Feeds, GuardedSession, wrapSession } from "./_session.ts";
import { endProfile, type Ort, type OrtSession, type OrtTensor, webLock } from "./_web_engine.ts";
import type { CompileOptions, HostTensor, Submission } from "./device.ts";
import { engineComplaint, type GpuFaults } from "./faults/gpu_faults.ts";
import type { ScratchBuffers } from "./segments/scratch_buffers.ts";

/** What compiles and runs graphs on a GPU. */
export interface GpuEngine {
  readonly ort: Ort;
  readonly gpu: GPUDevice;
  readonly faults: GpuFaults;
  readonly scratch: ScratchBuffers;
  /** How images lie where convolutions are computed; undefined: as the engine thinks best. */
  readonly layout: "NCHW" | "NHWC" | undefined;
}

/** An input with a buffer of its own. */
interface Feed extends GpuTensor {
  readonly name: string;
}

/** A session on a GPU. */
export class GpuSession extends GuardedSession<GpuState, OrtSession> {
  override readonly captured: boolean;
  readonly #gpu: GPUDevice;
  readonly #faults: GpuFaults;
  readonly #fed: readonly Feed[];
  /** The variables that it reads, by their states. */
  readonly #reads: ReadonlyMap<GpuState, readonly string[]>;
  /** What comes back, where it lies. */
  readonly returned: readonly Returned[];
  /** Undefined if nothing is returned. */
  readonly #readback: Readback | undefined;
  /** Where the results of the run that is being submitted go instead. */
  #into: Place | undefined;

  /** Compiles a model. The caller holds the engine's lock. */
  static async compile(
    engine: GpuEngine,
    model: Uint8Array,
    options: CompileOptions,
  ): Promise<GpuSession> {
    const { ort, gpu, layout } = engine;
    const { profile = false, capture = !profile } = options;
    const create = (enableGraphCapture: boolean) =>
      ort.InferenceSession.create(model, {
        enableProfiling: profile,
        executionProviders: [
          { name: "webgpu", device: gpu, ...layout && { preferredLayout: layout } } as never,
        ],
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
      (session) => new GpuSession(engine, session, captured, options),
    );
  }

  private constructor(
    { ort, gpu, faults }: GpuEngine,
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
    this.#reads = new Map(
      this.binding.states.map((state) => [
        state,
        this.binding.read.flatMap((each) => each.state === state ? each.variable : []),
      ]),
    );
    this.returned = returnedOf(this.binding.returned);
    // Before any of them has a buffer, all are looked at.
    const fed = this.binding.fed.map(({ name, type, dims }) => ({
      name,
      type,
      dims: fixedDims(name, dims),
    }));
    this.#fed = fed.map(({ name, type, dims }) => {
      return { name, ...createGpuTensor(ort, gpu, type, dims, bytesOf(type, dims)) };
    });
    const bytes = bytesOfReturned(this.returned);
    this.#readback = bytes > 0 ? new Readback(gpu, bytes) : undefined;
  }

  protected override release(): void {
    for (const { buffer } of this.#fed) buffer.destroy();
    this.#readback?.close();
  }

  /**
   * Starts a run as {@linkcode GpuSession.enqueue} does.
   *
   * @param place where its results go; they are fetched from there, and the caller says when all are written
   */
  async enqueueInto(place: Place | undefined, feeds: Feeds): Promise<void> {
    this.#into = place;
    try {
      await this.enqueue(feeds);
    } finally {
      this.#into = undefined;
    }
  }

  /** Uploads, runs and has the results copied to where they can be read. */
  protected override execute(session: OrtSession, feeds: Feeds): Promise<Submission> {
    return this.#faults.guard(() => this.#execute(session, feeds));
  }

  async #execute(session: OrtSession, feeds: Feeds): Promise<Submission> {
    const { read, updated } = this.binding;
    if (!this.#into) await this.#readback?.makeRoom();
    const inputs: Record<string, OrtTensor> = {};
    for (const { name, buffer, tensor } of this.#fed) {
      // Takes its place in the queue: behind the runs that were submitted, which still read the buffer's
      // old contents, and before this one.
      upload(this.#gpu, buffer, feeds[name].data);
      inputs[name] = tensor;
    }
    for (const [state, names] of this.#reads) state.bring(names, "own");
    for (const { port, state, variable } of read) inputs[port] = state.tensor(variable);
    const results = await session.run(inputs, QUIET).catch((error) => {
      throw engineComplaint(error);
    });

    const encoder = this.#gpu.createCommandEncoder();
    const copy = (port: string, { buffer, offset, bytes }: GpuPlace) => {
      const from = results[port].gpuBuffer as unknown as GPUBuffer;
      encoder.copyBufferToBuffer(from, 0, buffer, offset, padded(bytes));
    };
    for (const { port, state, variable } of updated) copy(port, state.takes(variable));
    const place = this.#into ?? this.#ownPlace();
    if (place) {
      for (const { name, offset, bytes } of this.returned) {
        copy(name, { buffer: place.buffer, offset: place.offset + offset, bytes });
      }
    }
    this.#gpu.queue.submit([encoder.finish()]);
    for (const result of Object.values(results)) result.dispose();
    return new GpuSubmission(place, this.returned, this.#faults);
  }

  /** For results that the queue is given before anybody else gets a turn. */
  #ownPlace(): Place | undefined {
    const place = this.#readback?.place();
    place?.written();
    return place;
  }
}

/** What the engine has to say is in what it throws. */
const QUIET = { logSeverityLevel: 4 } as const;

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
