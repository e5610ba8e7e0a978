/**
 * A model in parts as one session: graphs that the engine runs, and kernels between them, in one queue.
 *
 * @module
 */

import {
  bytesOfReturned,
  GpuSubmission,
  type Place,
  Readback,
  type Returned,
  returnedOf,
} from "../_gpu_readback.ts";
import { type GpuEngine, GpuSession } from "../_gpu_session.ts";
import { GpuState } from "../_gpu_state.ts";
import { elementCount } from "../_layout.ts";
import type { Feeds } from "../_session.ts";
import { webLock } from "../_web_engine.ts";
import type { CompileOptions, HostTensor, NodeTime, Session, Submission } from "../device.ts";
import type { GpuFaults } from "../faults/gpu_faults.ts";
import { BoundUpdate } from "./bound_update.ts";
import { KernelTimes } from "./kernel_times.ts";
import { CompiledKernel } from "./kernels.ts";
import { decodeSegmented, type KernelCall, OUTPUT_SUFFIX } from "./segmented_model.ts";

/** A kernel between two graphs, and the variables that it reads, by their states. */
interface BoundKernel {
  readonly kernel: CompiledKernel;
  readonly reads: ReadonlyMap<GpuState, readonly string[]>;
}

/** A graph, or a kernel. */
type CompiledPart = GpuSession | BoundKernel;

/** What is fed that a kernel reads. */
interface KernelFeed {
  readonly buffer: GPUBuffer;
  readonly dims: readonly number[];
}

/** What a session in parts is made of. */
interface Parts {
  readonly gpu: GPUDevice;
  readonly faults: GpuFaults;
  readonly parts: readonly CompiledPart[];
  readonly update: BoundUpdate | null;
  readonly fed: ReadonlyMap<string, KernelFeed>;
  /** Null unless kernels are timed. */
  readonly times: KernelTimes | null;
  readonly owned: AsyncDisposableStack;
}

/** A session on a GPU that is made of several. */
export class SegmentedSession implements Session {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly captured: boolean;
  readonly #own: Parts;
  /** What the last graph and the update return, where it lies. */
  readonly #returned: readonly Returned[];
  /** Undefined if nothing is returned. */
  readonly #readback: Readback | undefined;
  #disposed = false;

  /** Compiles a model in parts. The caller holds the engine's lock. */
  static async compile(
    engine: GpuEngine,
    model: Uint8Array,
    options: CompileOptions,
  ): Promise<SegmentedSession> {
    const { ort, gpu, faults } = engine;
    const { passed: specs, parts, update: call } = decodeSegmented(model);
    const { updates = {} } = options, state = statesOf(options);
    await using stack = new AsyncDisposableStack();
    const passed = new GpuState(specs, ort, gpu, faults);
    stack.defer(() => passed.end());
    const update = call ? new BoundUpdate(call, engine, { states: state, updates }) : null;
    if (update) stack.defer(() => update.release());
    const times = options.profile ? KernelTimes.on(gpu) : null;
    stack.defer(() => times?.release());
    const fed = new Map<string, KernelFeed>(), compiled: CompiledPart[] = [];
    const readsOf = ({ inputs }: KernelCall) =>
      new Map(
        state.map((each) =>
          [
            each,
            each.specs.map(({ name }) => name).filter((name) => inputs.includes(name)),
          ] as const
        ).filter(([, names]) => names.length > 0),
      );
    const bufferOf = ({ inputs, inputDims }: KernelCall) => (name: string): GPUBuffer => {
      const holder = [passed, ...state].find(({ specs }) =>
        specs.some((spec) => spec.name === name)
      );
      if (holder) return holder.buffer(name);
      let feed = fed.get(name);
      if (!feed) {
        const dims = inputDims[inputs.indexOf(name)];
        const { STORAGE, COPY_DST } = GPUBufferUsage;
        const size = Math.max(16, FEED_BYTES * elementCount(dims));
        const buffer = gpu.createBuffer({ size, usage: STORAGE | COPY_DST });
        stack.defer(() => buffer.destroy());
        fed.set(name, feed = { dims, buffer });
      }
      return feed.buffer;
    };
    const last = parts.findLastIndex((part) => "graph" in part);
    for (const [i, part] of parts.entries()) {
      if ("kernel" in part) {
        const find = bufferOf(part.kernel);
        // Also what its program has no use for: the model has such an input.
        for (const name of part.kernel.inputs) if (name !== null) find(name);
        const kernel = new CompiledKernel(gpu, part.kernel, find);
        stack.defer(() => kernel.release());
        compiled.push({ kernel, reads: readsOf(part.kernel) });
        continue;
      }
      const session = await GpuSession.compile(engine, part.graph, {
        ...options,
        state: [...state, passed, ...update ? [update.scratch] : []],
        updates: {
          ...Object.fromEntries(part.updates.map((name) => [name + OUTPUT_SUFFIX, name])),
          ...i === last ? update ? update.others : updates : {},
        },
      });
      stack.defer(() => session.end());
      compiled.push(session);
    }
    return new SegmentedSession({
      gpu,
      faults,
      parts: compiled,
      update,
      fed,
      times,
      owned: stack.move(),
    });
  }

  private constructor(own: Parts) {
    this.#own = own;
    const { gpu, parts, update, fed, owned } = own;
    const graphs = parts.filter((part) => part instanceof GpuSession), last = graphs.at(-1);
    const inputs = [...graphs.flatMap(({ inputs }) => inputs), ...fed.keys()];
    this.inputs = [...new Set([...inputs, ...update?.fed ?? []])];
    this.#returned = returnedOf([...last?.returned ?? [], ...update?.returned ?? []]);
    this.outputs = this.#returned.map(({ name }) => name);
    this.captured = graphs.every(({ captured }) => captured);
    const bytes = bytesOfReturned(this.#returned);
    const readback = bytes > 0 ? new Readback(gpu, bytes) : undefined;
    if (readback) owned.defer(() => readback.close());
    this.#readback = readback;
  }

  submit(feeds: Feeds): Promise<Submission> {
    return webLock.run(() => this.#own.faults.guard(() => this.#submit(feeds)));
  }

  async run(feeds: Feeds): Promise<Record<string, HostTensor>> {
    const { outputs } = await webLock.run(async () => {
      const submission = await this.#own.faults.guard(() => this.#submit(feeds));
      return { outputs: submission.outputs() };
    });
    return await outputs;
  }

  async endProfile(): Promise<NodeTime[]> {
    const times: NodeTime[] = [];
    for (const part of this.#own.parts) {
      if (part instanceof GpuSession) times.push(...await part.endProfile());
    }
    const kernels = await webLock.run(() => this.#own.times?.read());
    return [...times, ...kernels ?? []];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    await webLock.run(() => this.#own.owned.disposeAsync());
  }

  async #submit(feeds: Feeds): Promise<Submission> {
    if (this.#disposed) throw new Error("cannot run a session that was disposed of");
    const { gpu, parts, update, times, faults } = this.#own;
    for (const part of parts) {
      if (part instanceof GpuSession) continue;
      for (const state of part.reads.keys()) state.assertReady("run on");
    }
    await this.#readback?.makeRoom();
    this.#feedKernels(feeds);
    update?.feed(feeds);
    const place = this.#readback?.place();
    try {
      const last = parts.findLast((part) => part instanceof GpuSession);
      for (const part of parts) {
        if (part === last) await last.enqueueInto(place, takenBy(last, feeds));
        else if (part instanceof GpuSession) await part.enqueue(takenBy(part, feeds));
        else {
          for (const [state, names] of part.reads) state.bring(names, "own");
          const encoder = gpu.createCommandEncoder();
          part.kernel.dispatch(encoder, times);
          gpu.queue.submit([encoder.finish()]);
        }
      }
      update?.run((name) => this.#placeOf(name, place), times);
    } finally {
      place?.written();
    }
    return new GpuSubmission(place, this.#returned, faults);
  }

  #placeOf(name: string, place: Place | undefined): { buffer: GPUBuffer; offset: number } {
    const { offset } = this.#returned.find((each) => each.name === name)!;
    return { buffer: place!.buffer, offset: place!.offset + offset };
  }

  /** Checks and uploads what kernels read of what is fed. */
  #feedKernels(feeds: Feeds): void {
    for (const name of Object.keys(feeds)) {
      if (!this.inputs.includes(name)) {
        throw new RangeError(
          `cannot feed "${name}": the model has no such input; it takes ${this.inputs.join(", ")}`,
        );
      }
    }
    for (const [name, { buffer, dims }] of this.#own.fed) {
      const tensor = feeds[name];
      if (tensor === undefined) throw new RangeError(`cannot run: input "${name}" was not fed`);
      if (tensor.data.BYTES_PER_ELEMENT !== FEED_BYTES || String(tensor.dims) !== String(dims)) {
        throw new RangeError(
          `cannot feed "${name}": a kernel takes 4-byte numbers of shape [${dims}], got ` +
            `${tensor.type}[${tensor.dims}]`,
        );
      }
      this.#own.gpu.queue.writeBuffer(buffer, 0, tensor.data as Int32Array<ArrayBuffer>);
    }
  }
}

/** Kernels read integers and floats of four bytes. */
const FEED_BYTES = 4;

/** The states that a session is to be bound to, all of this device. */
function statesOf({ state = [] }: CompileOptions): GpuState[] {
  return state.map((each) => {
    if (each instanceof GpuState) return each;
    throw new TypeError("cannot bind a state of another device: allocate it on this one");
  });
}

function takenBy({ inputs }: Session, feeds: Feeds): Feeds {
  const taken: Record<string, HostTensor> = {};
  for (const name of inputs) if (feeds[name] !== undefined) taken[name] = feeds[name];
  return taken;
}
