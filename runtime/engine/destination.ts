/**
 * Where the payload of a frame goes, and the frames that came too early to go anywhere.
 *
 * @module
 */

/** Where a frame's payload goes, and what happens when it is complete. */
export interface Destination {
  /** Exactly as long as the payload. */
  readonly into: Uint8Array;
  /** Called once `into` is filled. */
  done(): void;
}

/** A destination for a payload that is kept aside until `done`. */
export function keptAside(length: number, done: (payload: Uint8Array) => void): Destination {
  const into = new Uint8Array(length);
  return { into, done: () => done(into) };
}

/** Hands over a payload that is already here, whole; it is copied. */
export function deliverWhole(destination: Destination, payload: Uint8Array): void {
  destination.into.set(payload);
  destination.done();
}

/** A frame that arrived before whoever it is meant for existed. */
export interface EarlyFrame<F> {
  readonly from: number;
  readonly frame: F;
  readonly payload: Uint8Array;
}

/** Frames that arrived before whoever they are meant for existed, by the number of whom. */
export class EarlyFrames<F> {
  readonly #frames = new Map<number, EarlyFrame<F>[]>();

  /** Keeps a frame for `owner`. */
  keep(owner: number, frame: EarlyFrame<F>): void {
    const kept = this.#frames.get(owner);
    if (kept === undefined) this.#frames.set(owner, [frame]);
    else kept.push(frame);
  }

  /** What was kept for `owner`, in the order of arrival, and no longer is. */
  take(owner: number): readonly EarlyFrame<F>[] {
    const kept = this.#frames.get(owner);
    if (kept === undefined) return NONE;
    this.#frames.delete(owner);
    return kept;
  }
}

const NONE: readonly never[] = [];
