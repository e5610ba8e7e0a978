/**
 * Which inputs of a model are fed and which are variables, which outputs come back and which stay;
 * and the check of every feed against what the model declares.
 *
 * @module
 */

import { elementCount } from "./_layout.ts";
import type { GuardedState } from "./_state.ts";
import type { CompileOptions, ElementType, HostTensor } from "./device.ts";

/** An input or output as the engine reports it; a dimension with a name is not fixed. */
export interface Port {
  readonly name: string;
  readonly type: string;
  readonly dims: readonly (number | string)[];
}

/** A variable of a state, bound to an input or an output. */
export interface Bound<S> {
  readonly port: string;
  readonly state: S;
  readonly variable: string;
}

const ARRAYS: Readonly<Record<ElementType, { new (length: number): HostTensor["data"] }>> = {
  float32: Float32Array,
  float64: Float64Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
};

/** The typed array class that carries an element type. */
export function arrayOf(type: string): { new (length: number): HostTensor["data"] } {
  const array = ARRAYS[type as ElementType];
  if (array === undefined) throw new TypeError(`tensors of type ${type} are not supported`);
  return array;
}

/** A model's inputs and outputs, sorted by what becomes of them. */
export class Binding<S extends GuardedState> {
  /** Inputs the caller must feed. */
  readonly fed: readonly Port[];
  /** Inputs that read a variable. */
  readonly read: readonly Bound<S>[];
  /** Outputs that become a variable's value. */
  readonly updated: readonly Bound<S>[];
  /** Outputs that come back to the caller. */
  readonly returned: readonly Port[];
  /** Every state a run touches. */
  readonly states: readonly S[];
  readonly #fed: ReadonlyMap<string, Port>;
  readonly #bound: ReadonlySet<string>;

  constructor(
    inputs: readonly Port[],
    outputs: readonly Port[],
    options: CompileOptions,
    owns: (state: unknown) => state is S,
  ) {
    const variables = new Map<string, { state: S; dims: readonly number[] }>();
    for (const state of options.state ?? []) {
      if (!owns(state)) {
        throw new TypeError("cannot bind a state of another device: allocate it on this one");
      }
      state.assertReady("bind");
      for (const { name, dims } of state.specs) {
        if (variables.has(name)) {
          throw new RangeError(
            `cannot bind "${name}": two of the states have a variable of that name`,
          );
        }
        variables.set(name, { state, dims });
      }
    }
    const fed: Port[] = [];
    const read: Bound<S>[] = [];
    for (const port of inputs) {
      const variable = variables.get(port.name);
      if (variable === undefined) fed.push(port);
      else {
        checkFit(`input "${port.name}"`, port, port.name, variable.dims);
        read.push({ port: port.name, state: variable.state, variable: port.name });
      }
    }

    const byName = new Map(outputs.map((port) => [port.name, port]));
    const updated: Bound<S>[] = [];
    const taken = new Map<string, string>();
    for (const [output, name] of Object.entries(options.updates ?? {})) {
      const port = byName.get(output);
      if (port === undefined) {
        throw new RangeError(
          `cannot update "${name}" from "${output}": the model has no such output`,
        );
      }
      const variable = variables.get(name);
      if (variable === undefined) {
        throw new RangeError(
          `cannot update "${name}" from "${output}": no state has such a variable`,
        );
      }
      const rival = taken.get(name);
      if (rival !== undefined) {
        throw new RangeError(`cannot update "${name}" from both "${rival}" and "${output}"`);
      }
      taken.set(name, output);
      checkFit(`output "${output}"`, port, name, variable.dims);
      updated.push({ port: output, state: variable.state, variable: name });
    }

    this.fed = fed;
    this.read = read;
    this.updated = updated;
    const stays = new Set(updated.map((bound) => bound.port));
    this.returned = outputs.filter((port) => !stays.has(port.name));
    this.states = [...new Set([...read, ...updated].map((bound) => bound.state))];
    this.#fed = new Map(fed.map((port) => [port.name, port]));
    this.#bound = new Set(read.map((bound) => bound.port));
    for (const port of [...fed, ...this.returned]) arrayOf(port.type);
  }

  /** Throws unless the feeds are exactly what the model asks for. */
  checkFeeds(feeds: Readonly<Record<string, HostTensor>>): void {
    for (const [name, tensor] of Object.entries(feeds)) {
      const port = this.#fed.get(name);
      if (port === undefined) {
        throw new RangeError(
          this.#bound.has(name)
            ? `cannot feed "${name}": it is a variable on the device; change it with the state's write()`
            : `cannot feed "${name}": the model has no such input; it takes ${listing(this.fed)}`,
        );
      }
      checkFeed(port, tensor);
    }
    for (const { name, type, dims } of this.fed) {
      if (!Object.hasOwn(feeds, name)) {
        throw new RangeError(`cannot run: input "${name}" (${type}[${dims}]) was not fed`);
      }
    }
  }
}

function checkFit(
  what: string,
  port: Port,
  variable: string,
  dims: readonly number[],
): void {
  if (port.type !== "float32") {
    throw new TypeError(`cannot bind ${what}: variables are float32, the model says ${port.type}`);
  }
  if (!sameDims(port.dims, dims)) {
    throw new RangeError(
      `cannot bind ${what}: the model says [${port.dims}], variable "${variable}" is [${dims}]`,
    );
  }
}

/** Throws unless a tensor is what an input takes. */
export function checkFeed(port: Port, tensor: HostTensor): void {
  const name = port.name;
  if (tensor === null || typeof tensor !== "object" || !Array.isArray(tensor.dims)) {
    throw new TypeError(
      `cannot feed "${name}": need { type, dims, data }, got ${Deno.inspect(tensor)}`,
    );
  }
  if (tensor.type !== port.type) {
    throw new TypeError(`cannot feed "${name}": the model takes ${port.type}, got ${tensor.type}`);
  }
  const array = arrayOf(port.type);
  if (!(tensor.data instanceof array)) {
    throw new TypeError(
      `cannot feed "${name}": ${port.type} data is a ${array.name}, got ${
        (tensor.data as { constructor?: { name?: string } } | undefined)?.constructor?.name ??
          tensor.data
      }`,
    );
  }
  if (!sameDims(port.dims, tensor.dims)) {
    throw new RangeError(
      `cannot feed "${name}": the model takes [${port.dims}], got [${tensor.dims}]`,
    );
  }
  const count = elementCount(tensor.dims);
  if (tensor.data.length !== count) {
    throw new RangeError(
      `cannot feed "${name}": shape [${tensor.dims}] has ${count} elements, got ${tensor.data.length}`,
    );
  }
}

function sameDims(declared: readonly (number | string)[], actual: readonly number[]): boolean {
  return declared.length === actual.length &&
    declared.every((dim, i) => typeof dim === "string" || dim === actual[i]);
}

function listing(ports: readonly Port[]): string {
  return ports.length === 0 ? "none" : ports.map((port) => port.name).join(", ");
}
