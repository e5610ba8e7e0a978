/**
 * What is asked of a run between its steps: that it end early, or write a checkpoint. What comes from outside, by
 * a signal or by the clock, the ranks agree on, so that all of them write the same checkpoint.
 *
 * @module
 */

import type { Communicator } from "../../runtime/communicator.ts";
import type { Request } from "../../runtime/mod.ts";
import { secondsOf, type StepsOrTime } from "../options/recovery/checkpoint_every.ts";

/** A run that was asked to end has ended, with a checkpoint to go on from. */
export class StoppedError extends Error {
  /** The name of the class. */
  override readonly name = "StoppedError";
}

/** What is asked. */
export interface Asked {
  /** That the run end here, with a checkpoint. */
  readonly stops: boolean;
  /** A checkpoint. */
  readonly saves: boolean;
}

/** Who asks. */
export interface Asking {
  /** Whether the run was asked to end; rank 0's word counts. @default {never} */
  readonly stops?: (() => boolean) | undefined;
  /** Steps from one checkpoint to the next, or a time, which rank 0 measures; null: none are asked for. */
  readonly saveEvery: StepsOrTime | null;
  /** Whether ranks wait for the answer, since one that travels could be lost with a rank. @default {false} */
  readonly waits?: boolean;
}

const NOTHING: Asked = { stops: false, saves: false };

/** One rank's end of the agreement. Every rank makes the same calls in the same order. */
export class Requests {
  readonly #comm: Communicator;
  readonly #asking: Asking;
  /** Seconds from one checkpoint to the next, if they go by the clock. */
  readonly #seconds: number | null;
  /** When this rank last asked for a checkpoint, in ms of `performance.now()`; whether it came is another matter. */
  #lastAsked: number;
  #lastSave: number;
  /** What all ranks have agreed on, and not done. */
  #asked = NOTHING;
  /** A communicator of its own: the question travels while other collectives go on. */
  #aside: Communicator | null = null;
  #travelling: Request | null = null;
  #answer = new Uint8Array(2);

  /**
   * Nothing is sent yet.
   *
   * @param comm the ranks; stays the caller's
   * @param lastSave when a checkpoint was last agreed on, in ms of `performance.now()`
   */
  constructor(comm: Communicator, asking: Asking, lastSave: number = performance.now()) {
    this.#comm = comm;
    this.#lastAsked = this.#lastSave = lastSave;
    this.#asking = asking;
    this.#seconds = secondsOf(asking.saveEvery);
  }

  /** When a checkpoint was last agreed on, whoever asked for it; in ms of `performance.now()`. */
  get lastSave(): number {
    return this.#lastSave;
  }

  /**
   * Agrees on what rank 0 was asked at the call before this one. Nobody waits for an answer, it has travelled
   * since. Collective.
   */
  async poll(): Promise<void> {
    if (!this.#asking.stops && this.#seconds === null) return;
    const { rank, size } = this.#comm;
    if (size === 1) return void (this.#asked = this.#ask());
    this.#asked = await this.settle();
    const { stops, saves } = rank === 0 ? this.#ask() : NOTHING;
    this.#answer = Uint8Array.of(Number(stops), Number(saves));
    if (this.#asking.waits) {
      await this.#comm.bcast(this.#answer, 0);
      return void (this.#asked = this.#answered);
    }
    const aside = this.#aside ??= await this.#comm.dup();
    this.#travelling = aside.ibcast(this.#answer, 0);
  }

  /** What all ranks do after step `t`, at which they stand together. */
  take(t: number): Asked {
    const { stops, saves } = this.#asked, { saveEvery } = this.#asking;
    this.#asked = NOTHING;
    if (saves) this.#lastSave = performance.now();
    return { stops, saves: typeof saveEvery === "number" ? t % saveEvery === 0 : saves };
  }

  /** Takes in the answer that is on its way. Collective; to be called before the communicator goes. */
  async settle(): Promise<Asked> {
    const travelling = this.#travelling;
    this.#travelling = null;
    if (!travelling) return NOTHING;
    await travelling.wait();
    return this.#answered;
  }

  get #answered(): Asked {
    return { stops: this.#answer[0] === 1, saves: this.#answer[1] === 1 };
  }

  #ask(): Asked {
    const seconds = this.#seconds, now = performance.now();
    const saves = seconds !== null && now - this.#lastAsked >= 1000 * seconds;
    if (saves) this.#lastAsked = now;
    return { stops: this.#asking.stops?.() ?? false, saves };
  }
}
