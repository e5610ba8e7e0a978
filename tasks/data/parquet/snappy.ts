/**
 * Snappy's block format (google/snappy, format_description.txt).
 *
 * @module
 */

import { Cursor } from "./cursor.ts";

/** How many times longer than its bytes a block can be: 3 bytes stand for 64 at most. */
export const LONGEST_FACTOR = 22;

/**
 * Unpacks a block.
 *
 * @param length what it must come to, in bytes; at most {@linkcode LONGEST_FACTOR} times as many as there are
 * @throws Error for damage
 */
export function unsnappy(bytes: Uint8Array<ArrayBuffer>, length: number): Uint8Array<ArrayBuffer> {
  const cursor = new Cursor(bytes), said = cursor.varint();
  if (said !== length) throw new Error(`a page is damaged: ${said} bytes, must be ${length}`);
  const whole = new Uint8Array(length);
  let at = 0;
  const room = (count: number) => {
    if (at + count > length) throw new Error("a page is damaged: more bytes than it has");
  };
  while (cursor.left > 0) {
    const tag = cursor.byte(), high = tag >> 2;
    if (tag % 4 === 0) {
      const literal = cursor.take(1 + (high < 60 ? high : cursor.little(high - 59)));
      room(literal.length);
      whole.set(literal, at);
      at += literal.length;
    } else {
      const near = tag % 4 === 1, count = near ? 4 + high % 8 : 1 + high;
      const back = near ? cursor.byte() + 256 * (tag >> 5) : cursor.little(tag % 4 === 2 ? 2 : 4);
      room(count);
      if (back === 0 || back > at) {
        throw new Error(`a page is damaged: a copy from ${back} bytes back`);
      }
      for (const end = at + count; at < end; at++) whole[at] = whole[at - back]; // it may overlap itself
    }
  }
  if (at !== length) throw new Error(`a page is damaged: ${at} bytes, must be ${length}`);
  return whole;
}
