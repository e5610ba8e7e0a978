/**
 * Where one algorithm gives way to another. Results do not depend on any of these.
 *
 * @module
 */

/** Contributions of up to this many bytes travel inside the wave that every collective begins with. */
export const SMALL_BYTES = 32768;

/** Longest part of a large collective, in bytes. */
export const SEGMENT_BYTES = 512 << 10;

/** Segments that may be on their way to the rank that sums them. */
export const SEGMENTS_IN_FLIGHT = 4;
