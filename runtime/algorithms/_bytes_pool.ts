/** Lengths are rounded up to a multiple of this, so that buffers of about one length serve each other. */
const UNIT_BYTES = 1 << 16;

/** Scratch memory in pieces that are lent and given back, so that nobody waits for fresh pages. */
export class BytesPool {
  readonly #idle: Uint8Array<ArrayBuffer>[] = [];

  /** Lends so many bytes, with anything in them. */
  take(length: number): Uint8Array<ArrayBuffer> {
    const index = this.#idle.findIndex((bytes) => bytes.length >= length);
    const bytes = index >= 0
      ? this.#idle.splice(index, 1)[0]
      : new Uint8Array(Math.ceil(length / UNIT_BYTES) * UNIT_BYTES);
    return bytes.subarray(0, length);
  }

  /** Takes back what was lent, or a buffer of its own, when nobody reads it any more. */
  giveBack({ buffer }: Uint8Array): void {
    this.#idle.push(new Uint8Array(buffer as ArrayBuffer));
  }
}
