/**
 * Several byte strings in one: their lengths as u32, padding to 8 bytes, then each, padded to 8 bytes,
 * so that the elements inside stay aligned.
 *
 * @module
 */

// In whole numbers, and not in those of 32 bits that `&` knows: a string may have 2 GiB and more.
const padded = (length: number) => Math.ceil(length / 8) * 8;

/** Joins byte strings, each shorter than 4 GiB. */
export function pack(parts: readonly Uint8Array[]): Uint8Array {
  const start = padded(4 * parts.length);
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + padded(part.length), start));
  const view = new DataView(whole.buffer);
  let offset = start;
  parts.forEach((part, i) => {
    view.setUint32(4 * i, part.length);
    whole.set(part, offset);
    offset += padded(part.length);
  });
  return whole;
}

/**
 * Takes `count` byte strings apart again, as views.
 *
 * @throws Error if there are fewer bytes than they say
 */
export function unpack(whole: Uint8Array, count: number): Uint8Array[] {
  const view = new DataView(whole.buffer, whole.byteOffset, whole.byteLength);
  let offset = padded(4 * count);
  return Array.from({ length: count }, (_, i) => {
    const length = view.getUint32(4 * i);
    const part = whole.subarray(offset, offset + length);
    if (part.length !== length) throw new Error("a frame of a collective is shorter than it says");
    offset += padded(length);
    return part;
  });
}
