/**
 * What the states of all devices have in common: who may touch them, and when.
 *
 * @module
 */

import { Layout } from "./_layout.ts";
import type { Lock } from "./_lock.ts";
import type { DeviceState, VariableRange, VariableSpec } from "./device.ts";
import type { Displacement } from "./displacement/displacement.ts";

/** A state that refuses to be used while it is edited and after it was disposed of. */
export abstract class GuardedState implements DeviceState {
  readonly #lock: Lock;
  protected readonly layout: Layout;
  #status: "ready" | "edited" | "disposed" = "ready";

  constructor(specs: readonly VariableSpec[], lock: Lock) {
    this.layout = new Layout(specs);
    this.#lock = lock;
  }

  get specs(): readonly VariableSpec[] {
    return this.layout.specs;
  }

  get length(): number {
    return this.layout.length;
  }

  range(name: string): VariableRange {
    return this.layout.range(name);
  }

  /** Whether it can be used no more. */
  protected get isDisposed(): boolean {
    return this.#status === "disposed";
  }

  /** Shape of a variable. */
  dims(name: string): readonly number[] {
    return this.layout.dims(name);
  }

  /** Throws unless the state may be used now. */
  assertReady(verb: string): void {
    if (this.#status === "disposed") {
      throw new Error(`cannot ${verb} a state that was disposed of`);
    }
    if (this.#status === "edited") {
      throw new Error(`cannot ${verb} a state that is being edited: wait for edit() to resolve`);
    }
  }

  prefetch(): void {}

  follow(_format: string, _range: VariableRange): Displacement | null {
    return null;
  }

  /**
   * Calls a section when nobody else uses the engine.
   *
   * @param touches whether it uses the variables, which may then not be edited meanwhile
   */
  protected exclusively<T>(
    verb: string,
    section: () => Promise<T>,
    touches: boolean,
  ): Promise<T> {
    return this.#lock.run(() => {
      if (touches || this.#status === "disposed") this.assertReady(verb);
      return section();
    });
  }

  read(into?: Float32Array, names?: readonly string[]): Promise<Float32Array> {
    return this.#lock.run(async () => {
      this.assertReady("read");
      const { length } = this.layout.some(names), flat = into ?? new Float32Array(length);
      this.layout.checkFlat(flat, "read", length);
      await this.download(flat, names);
      return flat;
    });
  }

  write(flat: Float32Array, names?: readonly string[]): Promise<void> {
    return this.#lock.run(async () => {
      this.assertReady("write");
      this.layout.checkFlat(flat, "write", this.layout.some(names).length);
      await this.upload(flat, names);
    });
  }

  async edit(change: (flat: Float32Array) => void | Promise<void>): Promise<void> {
    const flat = await this.#lock.run(async () => {
      this.assertReady("edit");
      const flat = await this.lend();
      this.#status = "edited";
      return flat;
    });
    // The engine is free meanwhile: `change` may wait for other ranks, or run another session.
    try {
      await change(flat);
      if (this.#status === "edited") await this.#lock.run(() => this.takeBack(flat));
    } finally {
      if (this.#status === "edited") this.#status = "ready";
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lock.run(() => this.end());
  }

  /** Disposes of it. The caller holds the engine's lock. */
  async end(): Promise<void> {
    if (this.#status === "disposed") return;
    this.#status = "disposed";
    await this.release();
  }

  /** Copies variables, by default all, into `flat`. */
  protected abstract download(flat: Float32Array, names?: readonly string[]): void | Promise<void>;
  /** Copies `flat` into them. */
  protected abstract upload(flat: Float32Array, names?: readonly string[]): void | Promise<void>;
  /** The variables, flat, for somebody to change. */
  protected abstract lend(): Float32Array | Promise<Float32Array>;
  /** Makes what was changed in the lent array the variables' values. */
  protected abstract takeBack(flat: Float32Array): void | Promise<void>;
  /** Gives the memory back. Called once. */
  protected abstract release(): void | Promise<void>;
}

/** Variables in this process's memory, one after another in one array. */
export class ArenaState extends GuardedState {
  /** The variables' values. */
  protected arena: Float32Array;

  constructor(specs: readonly VariableSpec[], lock: Lock) {
    super(specs, lock);
    this.arena = new Float32Array(this.length);
  }

  /** A variable's memory: a view, until the next run. */
  view(name: string): Float32Array {
    const { offset, length } = this.range(name);
    return this.arena.subarray(offset, offset + length);
  }

  protected override download(flat: Float32Array, names?: readonly string[]): void {
    let at = 0;
    for (const { offset, length } of this.layout.some(names).ranges) {
      flat.set(this.arena.subarray(offset, offset + length), at);
      at += length;
    }
  }

  protected override upload(flat: Float32Array, names?: readonly string[]): void {
    let at = 0;
    for (const { offset, length } of this.layout.some(names).ranges) {
      this.arena.set(flat.subarray(at, at += length), offset);
    }
  }

  protected override lend(): Float32Array {
    return this.arena;
  }

  protected override takeBack(): void {}

  protected override release(): void {
    this.arena = new Float32Array(0);
  }
}
