/**
 * One rank's callbacks while it trains, and the agreement of all ranks on whether a run stops.
 *
 * @module
 */

import type { Communicator } from "../../../runtime/communicator.ts";
import type { Summary } from "../../run/metrics.ts";
import { type Callback, CallbackError, type CallbackRun, HOOKS, type Seen } from "./callback.ts";

/** Who has stopped a run, and why. */
type StoppedBy = NonNullable<Summary["stoppedBy"]>;

/** Callbacks of one rank; every rank makes the same calls of {@linkcode Callbacks.agree}. */
export class Callbacks {
  readonly #comm: Communicator;
  readonly #callbacks: readonly Callback[];
  readonly #steps: number;
  readonly #anywhere: boolean;
  #asked: Omit<StoppedBy, "rank"> | null = null;
  #stoppedBy: StoppedBy | null = null;

  /**
   * Nothing is called yet.
   *
   * @param comm the ranks; stays the caller's
   * @param callbacks this rank's, see {@linkcode checkCallbacks}
   * @param options.steps that each rank is to take
   * @param options.anywhere whether any rank has some; the same on every rank
   */
  constructor(
    comm: Communicator,
    callbacks: readonly Callback[],
    { steps, anywhere }: { steps: number; anywhere: boolean },
  ) {
    this.#comm = comm;
    this.#callbacks = callbacks;
    this.#steps = steps;
    this.#anywhere = anywhere;
  }

  /** Whether any rank has some. */
  get anywhere(): boolean {
    return this.#anywhere;
  }

  /** Who has stopped the run, when the ranks have agreed on it. */
  get stoppedBy(): StoppedBy | null {
    return this.#stoppedBy;
  }

  /**
   * Calls a hook of all callbacks, in their order, and waits for each.
   *
   * @throws CallbackError if one throws
   */
  async call<Name extends typeof HOOKS[number]>(name: Name, seen: Seen<Name>): Promise<void> {
    for (const callback of this.#callbacks) {
      try {
        await (callback[name] as ((seen: unknown, run: CallbackRun) => unknown) | undefined)?.call(
          callback,
          seen,
          this.#runOf(callback.name),
        );
      } catch (cause) {
        const { rank, step = 0 } = this.#comm,
          told = cause instanceof Error ? cause.message : cause;
        throw new CallbackError(
          `callback ${callback.name} failed in ${name} at step ${step} on rank ${rank}: ${told}`,
          { cause },
        );
      }
    }
  }

  #runOf(callback: string): CallbackRun {
    const { rank, size: ranks } = this.#comm;
    const stop = (reason: string) => {
      this.#asked ??= { callback, reason: String(reason) };
    };
    return { rank, ranks, steps: this.#steps, stop };
  }

  /** Whether a callback of any rank has asked to stop. Collective, unless no rank has any. */
  async agree(): Promise<boolean> {
    if (!this.#anywhere) return false;
    const { rank, size } = this.#comm, asked = this.#asked;
    const first = Int32Array.of(asked ? rank : size);
    await this.#comm.allreduce(first, "min");
    const [root] = first;
    if (root === size) return false;
    const own = new TextEncoder().encode(rank === root ? JSON.stringify(asked) : "");
    const length = Int32Array.of(own.length);
    await this.#comm.bcast(length, root);
    const bytes = rank === root ? own : new Uint8Array(length[0]);
    await this.#comm.bcast(bytes, root);
    this.#stoppedBy = { rank: root, ...JSON.parse(new TextDecoder().decode(bytes)) };
    return true;
  }
}

/**
 * Throws TypeError unless each has a name, and under the names of hooks functions, and nothing besides that only
 * looks like one.
 */
export function checkCallbacks(callbacks: readonly Callback[]): void {
  const hooks: readonly string[] = HOOKS;
  for (const [i, callback] of callbacks.entries()) {
    const { name } = callback;
    if (typeof name !== "string" || name === "") {
      throw new TypeError(`callback ${i} has no name, which errors and the summary call it by`);
    }
    for (const [key, value] of Object.entries(callback)) {
      const isHook = hooks.includes(key);
      if (
        isHook ? value !== undefined && typeof value !== "function" : /^(before|after)/.test(key)
      ) {
        throw new TypeError(
          isHook
            ? `${key} of callback ${name} must be a function, not ${typeof value}`
            : `callback ${name} has ${key}, which is none of ${hooks.join(", ")}`,
        );
      }
    }
  }
}
