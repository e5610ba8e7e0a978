/**
 * Scratch memory that collectives borrow and give back, so that averaging a large model does not
 * allocate it again every time.
 *
 * @module
 */

/** Alignment in bytes of everything that is laid out in a workspace: one cache line. */
export const ALIGNMENT = 64;

/** Rounds a number of bytes up to the alignment. */
export function align(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}

/** A stretch of scratch memory. */
export class Workspace {
  /** The memory, aligned to {@linkcode ALIGNMENT}. */
  readonly bytes: Uint8Array;

  constructor(length: number) {
    this.bytes = new Uint8Array(length);
  }
}

/** Workspaces that wait for their next use. */
export class WorkspacePool {
  readonly #idle: Workspace[] = [];

  /** Lends a workspace of at least `length` bytes. */
  borrow(length: number): Workspace {
    const index = this.#idle.findIndex(({ bytes }) => bytes.length >= length);
    if (index >= 0) return this.#idle.splice(index, 1)[0];
    this.#idle.shift(); // too small: a larger one takes its place
    return new Workspace(length);
  }

  /** Takes a workspace back. One that frames may still be written to must not be given back. */
  giveBack(workspace: Workspace): void {
    this.#idle.push(workspace);
  }
}
