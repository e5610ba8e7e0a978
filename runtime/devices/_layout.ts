/**
 * Where the variables of a state lie in its flat form.
 *
 * @module
 */

import type { VariableRange, VariableSpec } from "./device.ts";

/** Elements of a tensor of this shape; 1 for a scalar. */
export function elementCount(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1);
}

/** Names, shapes and places of a state's variables, checked. */
export class Layout {
  readonly specs: readonly VariableSpec[];
  /** Floats in all. */
  readonly length: number;
  readonly #ranges = new Map<string, VariableRange>();
  readonly #dims = new Map<string, readonly number[]>();

  constructor(specs: readonly VariableSpec[]) {
    let offset = 0;
    for (const { name, dims } of specs) {
      if (typeof name !== "string" || name === "") {
        throw new TypeError(
          `cannot allocate a variable named ${Deno.inspect(name)}: give it a name`,
        );
      }
      if (!dims.every((dim) => Number.isSafeInteger(dim) && dim > 0)) {
        throw new RangeError(
          `cannot allocate "${name}": every dimension must be a positive integer, got [${dims}]`,
        );
      }
      if (this.#ranges.has(name)) {
        throw new RangeError(`cannot allocate "${name}" twice in one state`);
      }
      const length = elementCount(dims);
      this.#ranges.set(name, { offset, length });
      this.#dims.set(name, [...dims]);
      offset += length;
    }
    this.specs = specs.map(({ name, dims }) => ({ name, dims: [...dims] }));
    this.length = offset;
  }

  /** Shape of a variable. */
  dims(name: string): readonly number[] {
    this.range(name);
    return this.#dims.get(name)!;
  }

  range(name: string): VariableRange {
    const range = this.#ranges.get(name);
    if (range === undefined) {
      throw new RangeError(
        `no variable "${name}" in this state of ${this.specs.length}: ${listing(this.specs)}`,
      );
    }
    return range;
  }

  /** Some variables, one after the other, and where they lie among these; all of them by default. */
  some(names?: readonly string[]): { ranges: readonly VariableRange[]; length: number } {
    if (!names) return { ranges: [{ offset: 0, length: this.length }], length: this.length };
    const ranges = names.map((name) => this.range(name));
    return { ranges, length: ranges.reduce((sum, { length }) => sum + length, 0) };
  }

  /** Throws unless `flat` can hold or has held exactly so many floats. */
  checkFlat(
    flat: unknown,
    verb: string,
    length: number = this.length,
  ): asserts flat is Float32Array {
    if (!(flat instanceof Float32Array)) {
      throw new TypeError(`cannot ${verb} a state: need a Float32Array, got ${Deno.inspect(flat)}`);
    }
    if (flat.length !== length) {
      throw new RangeError(
        `cannot ${verb} a state of ${length} floats with an array of ${flat.length}`,
      );
    }
  }
}

function listing(specs: readonly VariableSpec[]): string {
  const names = specs.slice(0, 8).map((spec) => spec.name).join(", ");
  return specs.length > 8 ? `${names}, …` : names;
}
