/**
 * Checkpoints that are written while the run goes on: what they hold is copied at the step, and the files follow,
 * over a communicator of their own.
 *
 * @module
 */

import { RevokedError } from "../../runtime/base/errors.ts";
import { platform } from "../../runtime/base/platform.ts";
import type { Communicator } from "../../runtime/communicator.ts";
import type { Stateful } from "./checkpoint.ts";
import {
  type CheckpointFolders,
  type CheckpointNotes,
  encode,
  writeCheckpoint,
} from "./write_checkpoint.ts";

/** What checkpoints of a run have in common. */
export interface CheckpointWriterOptions extends CheckpointFolders, Omit<CheckpointNotes, "loss"> {
  /** Is told of each that is on the disk: the steps done, and how long it took; in ms of `performance.now()`. */
  readonly wrote?: ((step: number, start: number, milliseconds: number) => void) | undefined;
}

/** One rank's end of the writing, at most one checkpoint at a time. Every rank makes the same calls. */
export class CheckpointWriter implements AsyncDisposable {
  readonly #comm: Communicator;
  readonly #options: CheckpointWriterOptions;
  #aside: Communicator | null = null;
  #writing: Promise<void> | null = null;
  #error: unknown = null;
  /** What has ended the writing where another rank could not do its part; null: nothing has. */
  #calledOff: RevokedError | null = null;

  /** @param comm the ranks; stays the caller's */
  constructor(comm: Communicator, options: CheckpointWriterOptions) {
    this.#comm = comm;
    this.#options = options;
  }

  /**
   * Begins to write a checkpoint: what is saved has been copied when the promise resolves. Waits for the one before.
   * Collective.
   *
   * @param step steps done
   * @param parts what to save
   * @param loss of the last evaluation, see `Manifest.loss`; null: not known
   * @throws whatever has become of the one before
   */
  async begin(step: number, parts: readonly Stateful[], loss: number | null): Promise<void> {
    await this.settle();
    const began = platform.now(), { wrote } = this.#options;
    const bytes = await encode(parts), aside = this.#aside ??= await this.#comm.dup();
    this.#writing = writeCheckpoint(aside, this.#options, step, bytes, { ...this.#options, loss })
      .then(() => wrote?.(step, began, platform.now() - began))
      .catch((error) => {
        if (error instanceof RevokedError) this.#calledOff = error;
        else this.#error = error;
        // One that waits for the others here, on its way out of an error of its own, would wait for ever.
        aside.revoke();
      });
  }

  /** Calls all ranks out of the writing that they wait in, after one was lost. */
  revoke(): void {
    this.#aside?.revoke();
  }

  /** Throws what has become of a checkpoint, if it could not be written. */
  check(): void {
    if (this.#error !== null) throw this.#error;
  }

  /** Waits until what was begun is on the disk. Throws if it could not be written. */
  async settle(): Promise<void> {
    await this.#writing;
    this.#writing = null;
    this.check();
    if (this.#calledOff === null) return;
    // Whoever could not do its part ends with that: it is for want of this rank that the others fail.
    await this.#comm.barrier();
    throw this.#calledOff;
  }

  /** Waits likewise, so that the last checkpoint is there for whoever goes on; what has failed is told elsewhere. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing;
  }
}
