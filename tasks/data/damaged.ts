/**
 * Decoders that are not ours, and damaged files.
 *
 * @module
 */

/** What only a program's fault says, and no author of an error text. */
const STUMBLE = /\bundefined\b|\[object |is not a function/;

/**
 * Runs a decoder that is not this project's. Where it stumbles over damage instead of refusing it, its error
 * speaks of its own code, not of the file.
 *
 * @param what the file should be, such as `a PNG file`
 * @throws Error that says what is wrong with the file
 */
export async function decoding<T>(what: string, decode: () => T | Promise<T>): Promise<T> {
  try {
    return await decode();
  } catch (cause) {
    const refuses = cause instanceof Error && cause.constructor === Error &&
      !STUMBLE.test(cause.message);
    throw refuses ? cause : new Error(`it is no whole ${what}`, { cause });
  }
}
