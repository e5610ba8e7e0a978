/**
 * Where one algorithm gives way to another. Results do not depend on any of these.
 *
 * @module
 */

/** Contributions of up to this many bytes travel inside the wave that every collective begins with. */
export const SMALL_BYTES = 32768;

/**
 * Children of a rank in the tree of a wave, at most, for each power of it. Where ranks share cores,
 * frames that arrive together cost less than frames that arrive one after the other.
 */
export const TREE_RADIX = 8;

/** Whether a contribution travels inside the wave. */
export const isSmall = (bytes: Uint8Array): boolean => bytes.length <= SMALL_BYTES;

/** Longest part of a large collective, in bytes. */
export const SEGMENT_BYTES = 512 << 10;

/** Segments that may be on their way to the rank that sums them. */
export const SEGMENTS_IN_FLIGHT = 4;
