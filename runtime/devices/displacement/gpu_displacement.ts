/**
 * The displacement of variables in GPU buffers.
 *
 * @module
 */

import { BINDINGS, kernelsOf, KIND, type Parameters, PARTIAL_SUMS } from "./_kernels.ts";
import { bytesBefore } from "./formats.ts";
import type { VariableRange } from "../device.ts";
import { complaint } from "../faults/gpu_faults.ts";
import type {
  AppliedSum,
  Displacement,
  DisplacementFormat,
  DisplacementState,
} from "./displacement.ts";

/** What a displacement is of. */
export interface GpuDisplacementParts {
  readonly gpu: GPUDevice;
  readonly format: DisplacementFormat;
  /** Floats of the variables. */
  readonly length: number;
  /** Has the variables, one after the other, copied to the beginning of a buffer (`from`), or back (`to`). */
  copy(encoder: GPUCommandEncoder, flat: GPUBuffer, way: "from" | "to"): void;
  /** Calls a section when nobody else uses the GPU, or, if it touches them, the variables. */
  exclusively<T>(section: () => Promise<T>, touches: boolean): Promise<T>;
}

const KERNELS = ["encode", "sum", "apply", "total", "reveal", "lose", "turn", "catchUp"] as const;
type Kernel = typeof KERNELS[number];
type Buffers = Partial<Record<keyof typeof BINDINGS, GPUBuffer>>;

const FLOAT_BYTES = 4, WORD_BYTES = 4;
/** The square of a way and that of a residual. */
const PAIR_BYTES = 8;
/** Most workgroups of a dispatch along one axis. */
const MOST_GROUPS = 65535;

/** Whether the device has room for so many floats in each of the buffers. */
export function fitsGpu({ limits }: GPUDevice, length: number): boolean {
  const most = Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize);
  return length > 0 && length * FLOAT_BYTES <= most &&
    limits.maxStorageBuffersPerShaderStage >= 6 &&
    limits.maxComputeInvocationsPerWorkgroup >= PARTIAL_SUMS;
}

/** See {@linkcode Displacement}. Takes three times the memory of the variables, and that of what travels. */
export class GpuDisplacement implements Displacement {
  readonly length: number;
  readonly #parts: GpuDisplacementParts;
  readonly #kernels: ReturnType<typeof kernelsOf>;
  readonly #pipelines: Record<Kernel, GPUComputePipeline>;
  readonly #buffers: {
    readonly values: GPUBuffer;
    readonly reference: GPUBuffer;
    readonly residual: GPUBuffer;
    readonly encoded: GPUBuffer;
    readonly squares: GPUBuffer;
    readonly sums: GPUBuffer;
  };
  /** Bytes of all numbers. */
  readonly #bytes: number;
  /** What the GPU has refused when this was made. */
  readonly #made: Promise<GPUError | undefined>;

  constructor(parts: GpuDisplacementParts) {
    const { gpu, format, length } = parts;
    this.#parts = parts;
    this.length = length;
    const kernels = this.#kernels = kernelsOf(format), attempt = begin(gpu);
    const module = gpu.createShaderModule({ code: kernels.code });
    const pipeline = (entryPoint: Kernel) =>
      gpu.createComputePipeline({ layout: "auto", compute: { module, entryPoint } });
    this.#pipelines = Object.fromEntries(KERNELS.map((each) => [each, pipeline(each)])) as Record<
      Kernel,
      GPUComputePipeline
    >;
    this.#bytes = bytesBefore(kernels, this.length);
    const floats = this.length * FLOAT_BYTES;
    this.#buffers = {
      values: this.#create(floats),
      reference: this.#create(floats),
      residual: this.#create(floats),
      // A part of it may begin with the word behind its first byte.
      encoded: this.#create(padded(this.#bytes) + WORD_BYTES),
      squares: this.#create(this.#groups(this.length) * PAIR_BYTES),
      sums: this.#create(PARTIAL_SUMS * PAIR_BYTES),
    };
    this.#made = attempt();
  }

  startFrom(): Promise<void> {
    return this.#exclusively(() => {
      const encoder = this.#parts.gpu.createCommandEncoder();
      this.#parts.copy(encoder, this.#buffers.reference, "from");
      this.#submit(encoder);
    }, true);
  }

  hold(): Promise<void> {
    return this.#exclusively(() => {
      const encoder = this.#parts.gpu.createCommandEncoder();
      this.#parts.copy(encoder, this.#buffers.values, "from");
      this.#submit(encoder);
    }, true);
  }

  encode(own: VariableRange): Promise<Uint8Array> {
    const behind = own.offset + own.length;
    return this.#exclusively(async () => {
      const encoder = this.#parts.gpu.createCommandEncoder(), { encoded } = this.#buffers;
      const scratch: GPUBuffer[] = [];
      const others = [{ start: 0, end: own.offset }, { start: behind, end: this.length }]
        .filter(({ start, end }) => start < end);
      for (const { start, end } of others) {
        const { values, reference, residual } = this.#buffers;
        this.#dispatch(encoder, "encode", { ...NONE, start, end, word: this.#wordsBefore(start) }, {
          ...{ values, reference, residual, encoded },
        }, scratch);
      }
      const bytes = new Uint8Array(this.#bytes);
      const spans = others.map(({ start, end }) => ({
        from: WORD_BYTES * this.#wordsBefore(start),
        to: bytesBefore(this.#kernels, start),
        bytes: bytesBefore(this.#kernels, end - start),
      }));
      const places = spans.map(({ from, bytes }) => ({ buffer: encoded, from, bytes }));
      const arrived = await this.#fetch(encoder, places, scratch);
      spans.forEach(({ to }, i) => bytes.set(arrived[i], to));
      return bytes;
    });
  }

  sum(
    { offset: start, length }: VariableRange,
    given: readonly (Uint8Array | "own" | null)[],
  ): Promise<Uint8Array> {
    const end = start + length;
    return this.#exclusively(async () => {
      if (length === 0) return new Uint8Array();
      const { gpu } = this.#parts, { values, reference, residual, encoded } = this.#buffers;
      const encoder = gpu.createCommandEncoder(), scratch: GPUBuffer[] = [];
      const word = this.#wordsBefore(start), bytes = bytesBefore(this.#kernels, length);
      const stride = padded(bytes) / WORD_BYTES;
      const inputs = this.#create(given.length * stride * WORD_BYTES);
      const kinds = this.#create(given.length * WORD_BYTES);
      scratch.push(inputs, kinds);
      given.forEach((each, rank) => {
        if (each instanceof Uint8Array) this.#upload(inputs, rank * stride * WORD_BYTES, each);
      });
      const kindOf = (each: Uint8Array | "own" | null) =>
        each === null ? KIND.nothing : each === "own" ? KIND.own : KIND.encoded;
      gpu.queue.writeBuffer(kinds, 0, Uint32Array.from(given, kindOf));
      // Where this rank contributes, its residual is in the sum.
      const flag = !given.includes("own");
      this.#dispatch(
        encoder,
        "sum",
        { start, end, word, stride, ranks: given.length, flag },
        { values, reference, residual, encoded, inputs, kinds },
        scratch,
      );
      const place = { buffer: encoded, from: WORD_BYTES * word, bytes };
      return (await this.#fetch(encoder, [place], scratch))[0];
    });
  }

  reveal({ offset: start, length }: VariableRange): Promise<Float32Array> {
    return this.#exclusively(async () => {
      if (length === 0) return new Float32Array();
      const encoder = this.#parts.gpu.createCommandEncoder(), bytes = length * FLOAT_BYTES;
      const inputs = this.#create(bytes), { values, reference, residual } = this.#buffers;
      const scratch = [inputs], span = { ...NONE, start, end: start + length };
      const buffers = { values, reference, residual, inputs };
      this.#dispatch(encoder, "reveal", span, buffers, scratch);
      const place = { buffer: inputs, from: 0, bytes };
      const [arrived] = await this.#fetch(encoder, [place], scratch);
      return new Float32Array(arrived.slice().buffer);
    });
  }

  lose({ offset: start, length }: VariableRange, loss: Float32Array, adds: boolean): Promise<void> {
    return this.#exclusively(() => {
      if (length === 0) return;
      const { gpu } = this.#parts, encoder = gpu.createCommandEncoder();
      const inputs = this.#create(length * FLOAT_BYTES), { residual } = this.#buffers;
      const scratch = [inputs], span = { ...NONE, start, end: start + length, flag: adds };
      gpu.queue.writeBuffer(inputs, 0, loss as Float32Array<ArrayBuffer>, 0, length);
      this.#dispatch(encoder, "lose", span, { residual, inputs }, scratch);
      this.#submit(encoder, scratch);
    });
  }

  apply(bytes: Uint8Array, by: number, moves: boolean): Promise<AppliedSum> {
    return this.#exclusively(async () => {
      const { values, reference, residual, encoded, squares, sums } = this.#buffers;
      const encoder = this.#parts.gpu.createCommandEncoder(), scratch: GPUBuffer[] = [];
      this.#upload(encoded, 0, bytes);
      const all = { ...NONE, end: this.length, ranks: by, flag: moves };
      const read = { values, reference, residual, encoded, squares };
      this.#dispatch(encoder, "apply", all, read, scratch);
      const groups = { ...NONE, end: this.#groups(this.length) };
      this.#dispatch(encoder, "total", groups, { squares, sums }, scratch, 1);
      if (moves) this.#parts.copy(encoder, values, "to");
      const shares = { buffer: sums, from: 0, bytes: PARTIAL_SUMS * PAIR_BYTES };
      const [arrived] = await this.#fetch(encoder, [shares], scratch);
      const pairs = new Float32Array(arrived.buffer, arrived.byteOffset, 2 * PARTIAL_SUMS);
      const norm = (which: number) =>
        Math.sqrt(pairs.reduce((sum, share, i) => i % 2 === which ? sum + share : sum, 0));
      return { way: norm(0), residual: norm(1) };
    }, moves);
  }

  moveTo(values: Float32Array, moves: boolean): Promise<void> {
    return this.#exclusively(() => {
      const { gpu } = this.#parts, encoder = gpu.createCommandEncoder();
      gpu.queue.writeBuffer(this.#buffers.reference, 0, values as Float32Array<ArrayBuffer>);
      if (moves) this.#parts.copy(encoder, this.#buffers.reference, "to");
      this.#submit(encoder);
    }, moves);
  }

  turn(): Promise<void> {
    return this.#exclusively(() => {
      const { values, reference } = this.#buffers, scratch: GPUBuffer[] = [];
      const encoder = this.#parts.gpu.createCommandEncoder();
      const all = { ...NONE, end: this.length };
      this.#dispatch(encoder, "turn", all, { values, reference }, scratch);
      this.#submit(encoder, scratch);
    });
  }

  catchUp(): Promise<void> {
    return this.#exclusively(() => {
      const { values } = this.#buffers, moving = this.#create(this.length * FLOAT_BYTES);
      const encoder = this.#parts.gpu.createCommandEncoder(), scratch = [moving];
      this.#parts.copy(encoder, moving, "from");
      const all = { ...NONE, end: this.length };
      this.#dispatch(encoder, "catchUp", all, { values, moving }, scratch);
      this.#parts.copy(encoder, moving, "to");
      this.#submit(encoder, scratch);
    }, true);
  }

  read(): Promise<DisplacementState> {
    return this.#exclusively(async () => {
      const bytes = this.length * FLOAT_BYTES, { reference, residual, values } = this.#buffers;
      const [r, e, y] = await this.#fetch(
        this.#parts.gpu.createCommandEncoder(),
        [reference, residual, values].map((buffer) => ({ buffer, from: 0, bytes })),
      );
      const floats = (each: Uint8Array) => new Float32Array(each.slice().buffer);
      return { reference: floats(r), residual: floats(e), held: floats(y) };
    });
  }

  write(
    { reference, residual, held }: Omit<DisplacementState, "held"> & Partial<DisplacementState>,
  ): Promise<void> {
    return this.#exclusively(() => {
      const { queue } = this.#parts.gpu, { reference: r, residual: e, values: y } = this.#buffers;
      queue.writeBuffer(r, 0, reference as Float32Array<ArrayBuffer>);
      queue.writeBuffer(e, 0, residual as Float32Array<ArrayBuffer>);
      if (held) queue.writeBuffer(y, 0, held as Float32Array<ArrayBuffer>);
    });
  }

  /** Gives the memory back. */
  release(): void {
    for (const buffer of Object.values(this.#buffers)) buffer.destroy();
  }

  /**
   * Calls a section when nobody else uses the GPU; what it has refused meanwhile is an error.
   *
   * @param touches whether the variables are used
   */
  #exclusively<T>(section: () => T | Promise<T>, touches = false): Promise<T> {
    const { gpu, exclusively } = this.#parts;
    return exclusively(async () => {
      let refused = await this.#made;
      const attempt = begin(gpu);
      try {
        return await section();
      } finally {
        const found = await attempt();
        refused ??= found;
        // deno-lint-ignore no-unsafe-finally -- what the GPU has refused is why a section fails
        if (refused) throw complaint(refused, "cannot follow variables on the GPU");
      }
    }, touches);
  }

  /** Workgroups for so many numbers. */
  #groups(count: number): number {
    return Math.ceil(count / this.#kernels.together);
  }

  /** Words before that of a number that begins a block. */
  #wordsBefore(number: number): number {
    return Math.ceil(bytesBefore(this.#kernels, number) / WORD_BYTES);
  }

  #create(bytes: number): GPUBuffer {
    const { STORAGE, COPY_SRC, COPY_DST } = GPUBufferUsage;
    const size = Math.max(16, padded(bytes));
    return this.#parts.gpu.createBuffer({ size, usage: STORAGE | COPY_SRC | COPY_DST });
  }

  /** The numbers' kernel; `scratch` is given what is to be destroyed afterwards. */
  #dispatch(
    encoder: GPUCommandEncoder,
    kernel: Kernel,
    { start, end, word, stride, ranks, flag }: Parameters,
    buffers: Buffers,
    scratch: GPUBuffer[],
    groups = this.#groups(end - start),
  ): void {
    const { gpu } = this.#parts, pipeline = this.#pipelines[kernel];
    const parameters = gpu.createBuffer({
      size: 32,
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    });
    scratch.push(parameters);
    const fields = Uint32Array.of(start, end, word, stride, ranks, flag ? 1 : 0);
    gpu.queue.writeBuffer(parameters, 0, fields);
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(
      0,
      gpu.createBindGroup({
        layout: pipeline.getBindGroupLayout(0),
        entries: Object.entries({ parameters, ...buffers }).map(([name, buffer]) => ({
          binding: BINDINGS[name as keyof typeof BINDINGS],
          resource: { buffer },
        })),
      }),
    );
    const width = Math.min(groups, MOST_GROUPS);
    pass.dispatchWorkgroups(width, Math.ceil(groups / width));
    pass.end();
  }

  /** Has the queue write bytes, of which there may be any number, to a place that begins a word. */
  #upload(buffer: GPUBuffer, at: number, bytes: Uint8Array): void {
    const { queue } = this.#parts.gpu, whole = bytes.length & ~3;
    if (whole > 0) queue.writeBuffer(buffer, at, bytes as Uint8Array<ArrayBuffer>, 0, whole);
    if (whole === bytes.length) return;
    const rest = new Uint8Array(WORD_BYTES);
    rest.set(bytes.subarray(whole));
    queue.writeBuffer(buffer, at + whole, rest);
  }

  /** `scratch` is given back when the commands are done. */
  #submit(encoder: GPUCommandEncoder, scratch: readonly GPUBuffer[] = []): void {
    this.#parts.gpu.queue.submit([encoder.finish()]);
    for (const each of scratch) each.destroy();
  }

  /** Has the commands done, and reads bytes that lie in buffers from a word on, all at once. */
  async #fetch(
    encoder: GPUCommandEncoder,
    places: readonly { buffer: GPUBuffer; from: number; bytes: number }[],
    scratch: readonly GPUBuffer[] = [],
  ): Promise<Uint8Array[]> {
    const size = places.reduce((sum, { bytes }) => sum + padded(bytes), 0);
    const staging = this.#parts.gpu.createBuffer({
      size: Math.max(WORD_BYTES, size),
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
    let at = 0;
    for (const { buffer, from, bytes } of places) {
      encoder.copyBufferToBuffer(buffer, from, staging, at, padded(bytes));
      at += padded(bytes);
    }
    this.#submit(encoder);
    try {
      await staging.mapAsync(GPUMapMode.READ);
      const all = new Uint8Array(staging.getMappedRange().slice(0));
      at = 0;
      return places.map(({ bytes }) => {
        const part = all.subarray(at, at + bytes);
        at += padded(bytes);
        return part;
      });
    } finally {
      for (const each of [staging, ...scratch]) each.destroy();
    }
  }
}

const NONE: Parameters = { start: 0, end: 0, word: 0, stride: 0, ranks: 0, flag: false };

function padded(bytes: number): number {
  return Math.ceil(bytes / WORD_BYTES) * WORD_BYTES;
}

/** Takes note of what the GPU refuses until what is returned is called, which says the first of it. */
function begin(gpu: GPUDevice): () => Promise<GPUError | undefined> {
  gpu.pushErrorScope("out-of-memory");
  gpu.pushErrorScope("validation");
  return async () => {
    const refused = await Promise.all([gpu.popErrorScope(), gpu.popErrorScope()]);
    return refused.find((error) => error !== null);
  };
}
