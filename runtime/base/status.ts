/**
 * What a receive may leave open, and what it tells when it is done (MPI 4.1, section 3.2).
 *
 * @module
 */

/** As the source of a receive: any rank. */
export const ANY_SOURCE: number = -1;
/** As the tag of a receive: any tag. */
export const ANY_TAG: number = -1;
/** A rank that is nobody: sends to it vanish, receives from it end at once with nothing. */
export const PROC_NULL: number = -2;
/** The largest tag of a message. */
export const TAG_UB = 0x7fffffff;

/** What is known of a message. */
export interface Status {
  /** Rank that sent it. */
  readonly source: number;
  /** The tag it was sent with. */
  readonly tag: number;
  /** Its length in elements of its type. */
  readonly count: number;
}

/** The status of an operation that receives no message (MPI's empty status). */
export const EMPTY_STATUS: Status = Object.freeze({ source: ANY_SOURCE, tag: ANY_TAG, count: 0 });

/** The status of a receive from {@linkcode PROC_NULL}. */
export const NULL_STATUS: Status = Object.freeze({ source: PROC_NULL, tag: ANY_TAG, count: 0 });
