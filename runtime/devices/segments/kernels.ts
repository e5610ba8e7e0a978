/**
 * The kernels of operators that the engine lacks, compiled for the shapes of one call.
 *
 * @module
 */

import {
  BACKWARD_BUFFERS,
  backwardKernel,
  FORWARD_BUFFERS,
  forwardKernel,
  TILE,
  UNITS,
} from "./_lstm_kernels.ts";
import type { KernelTimes } from "./kernel_times.ts";
import { KERNEL_OPERATORS, type KernelCall, type KernelOperator } from "./segmented_model.ts";

/** One program, and how it is dispatched: once for each of its steps, in their order. */
interface Program {
  readonly code: string;
  /** Names of its buffers, of which the first has the binding 1; those that are null are not there. */
  readonly buffers: readonly (string | null)[];
  readonly steps: readonly number[];
  readonly groups: readonly [number, number];
}

/** The buffers a shader needs beside the parameter of its step. */
const MOST_BUFFERS = Math.max(FORWARD_BUFFERS.length, BACKWARD_BUFFERS.length);

/** The operators that a GPU can have kernels for. */
export function kernelsOn({ limits }: GPUDevice): ReadonlySet<KernelOperator> {
  const fits = limits.maxStorageBuffersPerShaderStage >= MOST_BUFFERS &&
    limits.maxComputeInvocationsPerWorkgroup >= 256 &&
    limits.maxComputeWorkgroupStorageSize >= 16_384;
  return new Set(fits ? KERNEL_OPERATORS : []);
}

/** What a call of an operator comes to. */
const PROGRAMS: Record<KernelCall["operator"], (call: KernelCall) => Program> = {
  "celgc.LSTM"({ inputs, inputDims, outputs }) {
    const [x, weight, hidden, cell, , positions = null, scale = null] = inputs;
    const [length, batch, four] = inputDims[0], [rows, size] = inputDims[1];
    const [states, cells, gates] = outputs;
    const indexed = positions !== null;
    return {
      code: forwardKernel({ length, batch, size: four / 4, rows, indexed }),
      buffers: [x, weight, hidden, cell, states, cells, gates, positions, scale],
      steps: Array.from({ length }, (_, t) => t),
      groups: [size, Math.ceil(batch / TILE)],
    };
  },
  "celgc.LSTMGradient"({ inputs, inputDims, outputs }) {
    const [dStates, dCells, weight, cell, cells, gates, rows = null, scale = null] = inputs;
    const [kept, size] = inputDims[2], [length, batch] = inputDims[4];
    const [dx, dHidden, dCell] = outputs;
    const indexed = rows !== null, byStates = dStates !== null, byCells = dCells !== null;
    return {
      code: backwardKernel({ length, batch, size, rows: kept, indexed, byStates, byCells }),
      buffers: [weight, cell, cells, gates, dx, dHidden, dCell, dStates, dCells, rows, scale],
      steps: [...Array.from({ length }, (_, i) => length - 1 - i), length],
      groups: [Math.ceil(size / UNITS), Math.ceil(batch / TILE)],
    };
  },
};

/** Finds a buffer by the name of what it holds. */
export type FindBuffer = (name: string) => GPUBuffer;

/** Distance of the parameters of two steps: what every adapter lets a dynamic offset be a multiple of. */
const STRIDE = 256;

/** A call that is ready to be dispatched. It owns the buffer of its parameters. */
export class CompiledKernel {
  readonly #operator: KernelOperator;
  readonly #steps: readonly number[];
  readonly #groups: readonly [number, number];
  readonly #pipeline: GPUComputePipeline;
  readonly #bindGroup: GPUBindGroup;
  readonly #parameters: GPUBuffer;

  constructor(gpu: GPUDevice, call: KernelCall, find: FindBuffer) {
    const { code, buffers, steps, groups } = PROGRAMS[call.operator](call);
    this.#operator = call.operator;
    this.#steps = steps;
    this.#groups = groups;
    const { UNIFORM, COPY_DST } = GPUBufferUsage;
    this.#parameters = gpu.createBuffer({ size: STRIDE * steps.length, usage: UNIFORM | COPY_DST });
    const values = new Uint32Array(steps.length * STRIDE / 4);
    steps.forEach((step, i) => values[i * STRIDE / 4] = step);
    gpu.queue.writeBuffer(this.#parameters, 0, values);
    const bound = buffers.flatMap((name, i) => name === null ? [] : [{ name, binding: i + 1 }]);
    const outputs = new Set(call.outputs), visibility = GPUShaderStage.COMPUTE;
    const layout = gpu.createBindGroupLayout({
      entries: [
        {
          binding: 0,
          visibility,
          buffer: { type: "uniform", hasDynamicOffset: true, minBindingSize: 4 },
        },
        ...bound.map(({ name, binding }) => ({
          binding,
          visibility,
          buffer: { type: outputs.has(name) ? "storage" as const : "read-only-storage" as const },
        })),
      ],
    });
    this.#pipeline = gpu.createComputePipeline({
      layout: gpu.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module: gpu.createShaderModule({ code }), entryPoint: "main" },
    });
    this.#bindGroup = gpu.createBindGroup({
      layout,
      entries: [
        { binding: 0, resource: { buffer: this.#parameters, size: 4 } },
        ...bound.map(({ name, binding }) => ({ binding, resource: { buffer: find(name) } })),
      ],
    });
  }

  /** Appends the call to the commands, as one pass. */
  dispatch(encoder: GPUCommandEncoder, times: KernelTimes | null = null): void {
    const pass = encoder.beginComputePass(times?.pass(this.#operator));
    pass.setPipeline(this.#pipeline);
    this.#steps.forEach((_, i) => {
      pass.setBindGroup(0, this.#bindGroup, [i * STRIDE]);
      pass.dispatchWorkgroups(...this.#groups);
    });
    pass.end();
  }

  /** Gives the memory back. */
  release(): void {
    this.#parameters.destroy();
  }
}
