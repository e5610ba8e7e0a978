/**
 * An update of variables in their states' flat forms, and of what is fed to it, left behind for it, and returned by
 * it.
 *
 * @module
 */

import { checkFeed, type Port } from "../_binding.ts";
import type { GpuEngine } from "../_gpu_session.ts";
import { GpuState } from "../_gpu_state.ts";
import { elementCount } from "../_layout.ts";
import type { Feeds } from "../_session.ts";
import { CompiledUpdate, type FlatPlace, type Places } from "./compiled_update.ts";
import type { KernelTimes } from "./kernel_times.ts";
import type { PassedTensor } from "./segmented_model.ts";
import type { UpdateCall } from "./update_call.ts";

/** What an update is bound to. */
export interface UpdateBinding {
  /** The states whose variables it reads and changes. */
  readonly states: readonly GpuState[];
  /** Output name → variable name, of the whole model. */
  readonly updates: Readonly<Record<string, string>>;
}

/** Its scratch memory is shared with others that are as large, the states are the caller's. */
export class BoundUpdate {
  /** Names of what is fed to it. */
  readonly fed: readonly string[];
  /** What it returns. */
  readonly returned: readonly Port[];
  /** Output name → variable name, as far as the update does not make them. */
  readonly others: Readonly<Record<string, string>>;
  /** What is left behind for it, sums, what is fed to it and what it returns, one after the other. */
  readonly scratch: GpuState;
  readonly #engine: GpuEngine;
  readonly #scratchBytes: number;
  readonly #inputs: readonly PassedTensor[];
  readonly #compiled: CompiledUpdate;
  /** Variables that it reads or changes, and those that it changes, of each state. */
  readonly #touched = new Map<GpuState, { reads: string[]; changes: string[] }>();

  /** @throws RangeError if a variable does not fit */
  constructor(call: UpdateCall, engine: GpuEngine, { states, updates }: UpdateBinding) {
    this.#engine = engine;
    const holderOf = (name: string) =>
      states.find(({ specs }) => specs.some((spec) => spec.name === name));
    checkOrder(call, updates);
    const outputs = call.updates.flatMap((update) => update.outputs);
    const own = new Map(outputs.map((output) => [output.name, output]));
    this.others = Object.fromEntries(
      Object.entries(updates).filter(([output]) => !own.has(output)),
    );
    const returned = outputs.filter(({ name }) => updates[name] === undefined);
    this.returned = returned.map(({ name, dims }) => ({ name, dims, type: "float32" }));
    this.#inputs = call.inputs.filter(({ name }) => holderOf(name) === undefined);
    this.fed = this.#inputs.map(({ name }) => name);
    const written = new Set(Object.values(this.others));
    for (const { name, dims } of call.inputs) {
      const holder = holderOf(name);
      if (holder) checkFit(name, dims, holder);
      if (written.has(name)) {
        throw new RangeError(`cannot update "${name}" before an update that reads it`);
      }
    }
    const { gpu, faults } = engine,
      specs = [
        ...call.left,
        ...call.sums.map(({ name }) => ({ name, dims: [] })),
        ...this.#inputs.map(({ name, dims }) => ({ name: fedName(name), dims })),
        ...returned.map(({ name, dims }) => ({ name: returnedName(name), dims })),
      ];
    this.#scratchBytes = 4 * specs.reduce((sum, { dims }) => sum + elementCount(dims), 0);
    const shared = engine.scratch.take(this.#scratchBytes);
    this.scratch = new GpuState(specs, null, gpu, faults, shared);
    const inScratch = (name: string): FlatPlace => ({
      buffer: this.scratch.flat,
      offset: this.scratch.range(name).offset,
    });
    const place = (name: string, changes: boolean): FlatPlace => {
      const state = holderOf(name);
      if (!state) return inScratch(this.fed.includes(name) ? fedName(name) : name);
      let touched = this.#touched.get(state);
      if (!touched) this.#touched.set(state, touched = { reads: [], changes: [] });
      touched[changes ? "changes" : "reads"].push(name);
      return { buffer: state.flat, offset: state.range(name).offset };
    };
    const places: Places = {
      operand: (name) => place(name, false),
      output: (name) => {
        const variable = updates[name];
        if (variable === undefined) return inScratch(returnedName(name));
        const holder = holderOf(variable);
        if (!holder) {
          throw new RangeError(
            `cannot update "${variable}" from "${name}": no state has such a variable`,
          );
        }
        checkFit(variable, own.get(name)!.dims, holder);
        return place(variable, true);
      },
    };
    try {
      this.#compiled = new CompiledUpdate(gpu, call, places);
    } catch (error) {
      engine.scratch.give(this.#scratchBytes);
      throw error;
    }
  }

  /** Checks that it can run, and uploads what is fed to it. */
  feed(feeds: Feeds): void {
    for (const state of this.#touched.keys()) state.assertReady("run on");
    for (const { name, dims } of this.#inputs) {
      const tensor = feeds[name];
      if (tensor === undefined) throw new RangeError(`cannot run: input "${name}" was not fed`);
      checkFeed({ name, type: "float32", dims }, tensor);
      const at = 4 * this.scratch.range(fedName(name)).offset;
      const data = tensor.data as Float32Array<ArrayBuffer>;
      this.#engine.gpu.queue.writeBuffer(this.scratch.flat, at, data, 0, elementCount(dims));
    }
  }

  /** @param placeOf where what it returns is to be copied to, in bytes */
  run(
    placeOf: (output: string) => { readonly buffer: GPUBuffer; readonly offset: number },
    times: KernelTimes | null = null,
  ): void {
    for (const [state, { reads, changes }] of this.#touched) {
      state.bring([...reads, ...changes], "flat");
    }
    const encoder = this.#engine.gpu.createCommandEncoder();
    this.#compiled.dispatch(encoder, times);
    for (const { name } of this.returned) {
      const { offset, length } = this.scratch.range(returnedName(name)), to = placeOf(name);
      encoder.copyBufferToBuffer(this.scratch.flat, 4 * offset, to.buffer, to.offset, 4 * length);
    }
    this.#engine.gpu.queue.submit([encoder.finish()]);
    for (const [state, { changes }] of this.#touched) state.changedFlat(changes);
  }

  /** Gives the memory back. The caller holds the engine's lock. */
  async release(): Promise<void> {
    this.#compiled.release();
    await this.scratch.end();
    this.#engine.scratch.give(this.#scratchBytes);
  }
}

// A graph's inputs go by their own names, and are not to be bound to what is in the scratch memory.
const fedName = (input: string) => `fed/${input}`;
const returnedName = (output: string) => `returned/${output}`;

/** All of it is computed at once: what one part changes cannot be read or changed by another. */
function checkOrder({ updates: parts }: UpdateCall, updates: UpdateBinding["updates"]): void {
  for (const part of parts) {
    for (const { name } of part.outputs) {
      const variable = updates[name];
      if (variable === undefined) continue;
      const other = parts.find((each) => each !== part && each.operands.includes(variable));
      if (other) {
        throw new RangeError(
          `cannot update "${variable}" from "${name}": "${
            other.outputs[0].name
          }" is computed of it meanwhile`,
        );
      }
      const rival = Object.keys(updates).find((each) =>
        each !== name && updates[each] === variable
      );
      if (rival) {
        throw new RangeError(`cannot update "${variable}" from both "${name}" and "${rival}"`);
      }
    }
  }
}

function checkFit(name: string, dims: readonly number[], state: GpuState): void {
  if (String(dims) === String(state.dims(name))) return;
  throw new RangeError(
    `cannot bind "${name}": the model has it as [${dims}], the state as [${state.dims(name)}]`,
  );
}
