/**
 * Where one algorithm gives way to another. Results do not depend on any of these.
 *
 * @module
 */

/**
 * Contributions of up to this many bytes travel inside the tree exchange that every collective
 * begins with.
 */
export const SMALL_BYTES = 32768;

/**
 * k of the k-nomial tree that tree exchanges run on: a rank has at most k − 1 children for each
 * power of it. Where ranks share cores, frames that arrive together cost less than frames that
 * arrive one after the other.
 */
export const TREE_RADIX = 8;

/** Whether a contribution travels inside the tree exchange. */
export const isSmall = (bytes: Uint8Array): boolean => bytes.length <= SMALL_BYTES;

/** Longest segment of a large collective, in bytes. */
export const SEGMENT_BYTES = 512 << 10;

/** Segments that one rank may have in flight to the rank that reduces them. */
export const WINDOW_SEGMENTS = 4;
