/** Lengths are rounded up to a multiple of this, so that buffers of about one length serve each other. */
const UNIT_BYTES = 1 << 16;

/** Scratch memory in pieces that are lent and given back, so that nobody waits for fresh pages. */
export class BytesPool {
  readonly #idle: Uint8Array<ArrayBuffer>[] = [];
  readonly #lent = new WeakSet<ArrayBufferLike>();

  /** Lends so many bytes, with anything in them. */
  take(length: number): Uint8Array<ArrayBuffer> {
    const index = this.#idle.findIndex((bytes) => bytes.length >= length);
    const bytes = index >= 0
      ? this.#idle.splice(index, 1)[0]
      : new Uint8Array(Math.ceil(length / UNIT_BYTES) * UNIT_BYTES);
    this.#lent.add(bytes.buffer);
    return bytes.subarray(0, length);
  }

  /**
   * Takes back what was lent, when nobody reads it any more. Memory that has come from elsewhere is left alone:
   * a pool that kept what arrives in it would grow with every call.
   */
  giveBack({ buffer }: Uint8Array): void {
    if (this.#lent.delete(buffer)) this.#idle.push(new Uint8Array(buffer as ArrayBuffer));
  }
}
