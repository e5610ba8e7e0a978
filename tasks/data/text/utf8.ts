/**
 * Where bytes are no UTF-8.
 *
 * @module
 */

import { DataError } from "../data_error.ts";

/**
 * The index of the first byte that begins no character of UTF-8 (RFC 3629: no overlong forms, no surrogates,
 * nothing above U+10FFFF); of a character that the end cuts, its first byte. Null if all are characters.
 */
export function firstInvalidByte(bytes: Uint8Array): number | null {
  for (let i = 0; i < bytes.length;) {
    const lead = bytes[i];
    if (lead < 0x80) {
      i++;
      continue;
    }
    const more = lead >= 0xc2 && lead <= 0xdf
      ? 1
      : lead >= 0xe0 && lead <= 0xef
      ? 2
      : lead >= 0xf0 && lead <= 0xf4
      ? 3
      : 0;
    if (more === 0) return i;
    for (let k = 1; k <= more; k++) {
      const low = k > 1 ? 0x80 : lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
      const high = k > 1 ? 0xbf : lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
      // A byte behind the end is undefined, and no number is in a range then.
      if (!(bytes[i + k] >= low && bytes[i + k] <= high)) return i;
    }
    i += more + 1;
  }
  return null;
}

/** Of a file that is no UTF-8. */
export function invalidError(
  path: string,
  offset: number,
  byte: number,
  cause: unknown,
): DataError {
  return new DataError(
    `cannot read the text: ${path} must be UTF-8, but byte ${offset} (0x${
      byte.toString(16).padStart(2, "0")
    }) begins no character; convert it, as with iconv -f WINDOWS-1252 -t UTF-8, or fetch it again`,
    { path, cause },
  );
}

/** Of a file with a zero byte. */
export function zeroError(path: string, offset: number): DataError {
  return new DataError(
    `cannot read the text: ${path} must be UTF-8, but byte ${offset} is zero, as in UTF-16 and in binary files; ` +
      "convert it, as with iconv -f UTF-16 -t UTF-8, or fetch it again",
    { path },
  );
}
