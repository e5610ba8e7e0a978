/**
 * A model in parts as one session: graphs that the engine runs, and kernels between them, in one queue.
 *
 * @module
 */

import { GpuSession } from "../_gpu_session.ts";
import { GpuState } from "../_gpu_state.ts";
import { elementCount } from "../_layout.ts";
import type { Feeds } from "../_session.ts";
import { type Ort, webLock } from "../_web_engine.ts";
import type { CompileOptions, HostTensor, NodeTime, Session, Submission } from "../device.ts";
import type { GpuFaults } from "../faults/gpu_faults.ts";
import { CompiledKernel } from "./kernels.ts";
import { decodeSegmented, type KernelCall, OUTPUT_SUFFIX } from "./segmented_model.ts";

/** A graph, or a kernel. */
type CompiledPart = GpuSession | CompiledKernel;

/** What is fed that a kernel reads. */
interface KernelFeed {
  readonly buffer: GPUBuffer;
  readonly dims: readonly number[];
}

/** A session on a GPU that is made of several. */
export class SegmentedSession implements Session {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly captured: boolean;
  readonly #gpu: GPUDevice;
  readonly #faults: GpuFaults;
  readonly #parts: readonly CompiledPart[];
  readonly #fed: ReadonlyMap<string, KernelFeed>;
  readonly #owned: AsyncDisposableStack;
  #disposed = false;

  /** Compiles a model in parts. The caller holds the engine's lock. */
  static async compile(
    ort: Ort,
    gpu: GPUDevice,
    faults: GpuFaults,
    model: Uint8Array,
    options: CompileOptions,
  ): Promise<SegmentedSession> {
    const { passed: specs, parts } = decodeSegmented(model), { state = [] } = options;
    await using stack = new AsyncDisposableStack();
    const passed = new GpuState(specs, ort, gpu, faults);
    stack.defer(() => passed.end());
    const fed = new Map<string, KernelFeed>(), compiled: CompiledPart[] = [];
    const bufferOf = ({ inputs, inputDims }: KernelCall) => (name: string): GPUBuffer => {
      const holder = [passed, ...state as GpuState[]]
        .find(({ specs }) => specs.some((spec) => spec.name === name));
      if (holder) return holder.place(name).buffer;
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
    for (const [i, part] of parts.entries()) {
      if ("kernel" in part) {
        const kernel = new CompiledKernel(gpu, part.kernel, bufferOf(part.kernel));
        stack.defer(() => kernel.release());
        compiled.push(kernel);
        continue;
      }
      const updates = i === parts.length - 1
        ? options.updates
        : Object.fromEntries(part.updates.map((name) => [name + OUTPUT_SUFFIX, name]));
      const session = await GpuSession.compile(ort, gpu, faults, part.graph, {
        ...options,
        state: [...state, passed],
        updates: updates ?? {},
      });
      stack.defer(() => session.end());
      compiled.push(session);
    }
    return new SegmentedSession(gpu, faults, compiled, fed, stack.move());
  }

  private constructor(
    gpu: GPUDevice,
    faults: GpuFaults,
    parts: readonly CompiledPart[],
    fed: ReadonlyMap<string, KernelFeed>,
    owned: AsyncDisposableStack,
  ) {
    this.#gpu = gpu;
    this.#faults = faults;
    this.#parts = parts;
    this.#fed = fed;
    this.#owned = owned;
    const graphs = parts.filter((part) => part instanceof GpuSession);
    this.inputs = [...new Set([...graphs.flatMap(({ inputs }) => inputs), ...fed.keys()])];
    this.outputs = graphs.at(-1)!.outputs;
    this.captured = graphs.every(({ captured }) => captured);
  }

  submit(feeds: Feeds): Promise<Submission> {
    return webLock.run(() => this.#faults.guard(() => this.#submit(feeds)));
  }

  async run(feeds: Feeds): Promise<Record<string, HostTensor>> {
    const { outputs } = await webLock.run(async () => {
      const submission = await this.#faults.guard(() => this.#submit(feeds));
      return { outputs: submission.outputs() };
    });
    return await outputs;
  }

  async endProfile(): Promise<NodeTime[]> {
    const times: NodeTime[] = [];
    for (const part of this.#parts) {
      if (part instanceof GpuSession) times.push(...await part.endProfile());
    }
    return times;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    await webLock.run(() => this.#owned.disposeAsync());
  }

  async #submit(feeds: Feeds): Promise<Submission> {
    if (this.#disposed) throw new Error("cannot run a session that was disposed of");
    for (const name of Object.keys(feeds)) {
      if (!this.inputs.includes(name)) {
        throw new RangeError(
          `cannot feed "${name}": the model has no such input; it takes ${this.inputs.join(", ")}`,
        );
      }
    }
    for (const [name, { buffer, dims }] of this.#fed) {
      const tensor = feeds[name];
      if (tensor === undefined) throw new RangeError(`cannot run: input "${name}" was not fed`);
      if (tensor.data.BYTES_PER_ELEMENT !== FEED_BYTES || String(tensor.dims) !== String(dims)) {
        throw new RangeError(
          `cannot feed "${name}": a kernel takes 4-byte numbers of shape [${dims}], got ` +
            `${tensor.type}[${tensor.dims}]`,
        );
      }
      this.#gpu.queue.writeBuffer(buffer, 0, tensor.data as Int32Array<ArrayBuffer>);
    }
    let last: Submission | undefined;
    for (const part of this.#parts) {
      if (part instanceof GpuSession) last = await part.enqueue(takenBy(part, feeds));
      else {
        const encoder = this.#gpu.createCommandEncoder();
        part.dispatch(encoder);
        this.#gpu.queue.submit([encoder.finish()]);
      }
    }
    return last!;
  }
}

/** Kernels read integers and floats of four bytes. */
const FEED_BYTES = 4;

function takenBy({ inputs }: Session, feeds: Feeds): Feeds {
  const taken: Record<string, HostTensor> = {};
  for (const name of inputs) if (feeds[name] !== undefined) taken[name] = feeds[name];
  return taken;
}
