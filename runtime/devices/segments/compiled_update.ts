/**
 * An update compiled for the buffers in which its tensors lie.
 *
 * @module
 */

import {
  BLOCK,
  elementsKernel,
  partialSumsKernel,
  type PlacedForm,
  totalsKernel,
} from "./_update_kernels.ts";
import type { KernelTimes } from "./kernel_times.ts";
import type { Form, FormCall, UpdateCall } from "./update_call.ts";
import { DeviceError } from "../faults/device_error.ts";

/** Where a tensor begins, in floats. */
export interface FlatPlace {
  readonly buffer: GPUBuffer;
  readonly offset: number;
}

/** Finds tensors by name, those that are read and those that are written. */
export interface Places {
  operand(name: string): FlatPlace;
  output(name: string): FlatPlace;
}

/** A call whose results, if any, have places. */
type PlacedCall = FormCall & { readonly results: readonly FlatPlace[] };

/** What a dispatch needs. */
interface Dispatch {
  readonly pipeline: GPUComputePipeline;
  readonly bindings: GPUBindGroup;
  readonly groups: readonly [number, number];
}

/** What its pass is called where it is timed. */
const OPERATOR = "celgc.Update";

/** Most workgroups of a dispatch along one axis. */
const MOST_GROUPS = 65535;

/** It owns its tables and partial sums. At most three dispatches. */
export class CompiledUpdate {
  readonly #gpu: GPUDevice;
  readonly #dispatches: readonly Dispatch[];
  readonly #owned: GPUBuffer[] = [];

  /** @throws DeviceError if the tensors lie in more buffers than the adapter lets a shader have */
  constructor(gpu: GPUDevice, call: UpdateCall, places: Places) {
    this.#gpu = gpu;
    try {
      this.#dispatches = this.#prepare(call, places);
    } catch (error) {
      this.release();
      throw error;
    }
  }

  #prepare({ forms, sums, updates }: UpdateCall, places: Places): Dispatch[] {
    const dispatches: Dispatch[] = [];
    if (sums.length > 0) {
      const none: readonly FlatPlace[] = [];
      const table = new Table(
        forms,
        sums.flatMap(({ calls }) => calls.map((call) => ({ ...call, results: none }))),
        places,
      );
      const partial = this.#buffer(4 * table.groups);
      dispatches.push(this.#dispatch(
        partialSumsKernel(table.forms, table.buffers.length, table.groups),
        table.groups,
        [this.#upload(table.words), ...table.buffers],
        [partial],
      ));
      let call = 0, group = 0, buffer: GPUBuffer | undefined;
      const ends = sums.flatMap(({ name, calls }) => {
        const place = places.operand(name), begin = group;
        buffer = place.buffer;
        for (const _ of calls) group += table.groupsOf[call++];
        return [begin, group, place.offset];
      });
      dispatches.push(this.#dispatch(
        totalsKernel(),
        sums.length,
        [this.#upload(ends)],
        [buffer!],
        [partial],
      ));
    }
    const calls = updates.map((update) => ({
      ...update,
      results: update.outputs.map(({ name }) => places.output(name)),
    }));
    const table = new Table(forms, calls, places);
    dispatches.push(this.#dispatch(
      elementsKernel(table.forms, table.buffers.length, table.groups),
      table.groups,
      [this.#upload(table.words)],
      table.buffers,
    ));
    return dispatches;
  }

  /** Appends it to the commands, as one pass. */
  dispatch(encoder: GPUCommandEncoder, times: KernelTimes | null = null): void {
    const pass = encoder.beginComputePass(times?.pass(OPERATOR));
    for (const { pipeline, bindings, groups } of this.#dispatches) {
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, bindings);
      pass.dispatchWorkgroups(...groups);
    }
    pass.end();
  }

  /** Gives the memory back. */
  release(): void {
    for (const buffer of this.#owned.splice(0)) buffer.destroy();
  }

  #buffer(bytes: number): GPUBuffer {
    const { STORAGE, COPY_DST } = GPUBufferUsage;
    const buffer = this.#gpu.createBuffer({ size: Math.max(16, bytes), usage: STORAGE | COPY_DST });
    this.#owned.push(buffer);
    return buffer;
  }

  #upload(words: readonly number[]): GPUBuffer {
    const buffer = this.#buffer(4 * words.length);
    this.#gpu.queue.writeBuffer(buffer, 0, Uint32Array.from(words));
    return buffer;
  }

  /** Buffers are bound in their order. */
  #dispatch(
    code: string,
    count: number,
    read: readonly GPUBuffer[],
    written: readonly GPUBuffer[],
    readAfter: readonly GPUBuffer[] = [],
  ): Dispatch {
    const gpu = this.#gpu, visibility = GPUShaderStage.COMPUTE;
    const bound = [
      ...read.map((buffer) => ({ buffer, type: "read-only-storage" as const })),
      ...written.map((buffer) => ({ buffer, type: "storage" as const })),
      ...readAfter.map((buffer) => ({ buffer, type: "read-only-storage" as const })),
    ];
    const most = gpu.limits.maxStorageBuffersPerShaderStage;
    if (bound.length > most) {
      throw new DeviceError(
        "limit",
        `the GPU cannot update variables of ${bound.length} buffers at once: this adapter lets a ` +
          `shader have ${most}`,
      );
    }
    const layout = gpu.createBindGroupLayout({
      entries: bound.map(({ type }, binding) => ({ binding, visibility, buffer: { type } })),
    });
    const width = Math.min(count, MOST_GROUPS);
    return {
      pipeline: gpu.createComputePipeline({
        layout: gpu.createPipelineLayout({ bindGroupLayouts: [layout] }),
        compute: { module: gpu.createShaderModule({ code }), entryPoint: "main" },
      }),
      bindings: gpu.createBindGroup({
        layout,
        entries: bound.map(({ buffer }, binding) => ({ binding, resource: { buffer } })),
      }),
      groups: [width, Math.ceil(count / width)],
    };
  }
}

/** Which workgroup does what: two words for each, its row and its first element, and then the rows. */
class Table {
  /** Every form once for each set of buffers in which its operands and results lie. */
  readonly forms: PlacedForm[] = [];
  readonly buffers: GPUBuffer[] = [];
  readonly groups: number;
  /** Workgroups of each call. */
  readonly groupsOf: readonly number[];
  readonly words: readonly number[];

  constructor(forms: readonly Form[], calls: readonly PlacedCall[], places: Places) {
    const known = new Map<string, number>();
    this.groupsOf = calls.map(({ length }) => Math.ceil(length / BLOCK));
    this.groups = this.groupsOf.reduce((sum, each) => sum + each, 0);
    const words: number[] = [], rows: number[] = [];
    for (const [c, call] of calls.entries()) {
      const operands = call.operands.map((name) => places.operand(name));
      const numbers = (list: readonly FlatPlace[]) =>
        list.map(({ buffer }) => this.#number(buffer));
      const placed = {
        form: forms[call.form],
        operands: numbers(operands),
        results: numbers(call.results),
      };
      const key = `${call.form} ${placed.operands} ${placed.results}`;
      let form = known.get(key);
      if (form === undefined) known.set(key, form = this.forms.push(placed) - 1);
      const row = 2 * this.groups + rows.length;
      for (let i = 0; i < this.groupsOf[c]; i++) words.push(row, i * BLOCK);
      rows.push(call.length, form, ...[...operands, ...call.results].map(({ offset }) => offset));
    }
    this.words = [...words, ...rows];
  }

  #number(buffer: GPUBuffer): number {
    const known = this.buffers.indexOf(buffer);
    return known >= 0 ? known : this.buffers.push(buffer) - 1;
  }
}
