/**
 * The errors a caller of the runtime may want to catch. Two kinds (the split is gloo's): a peer was
 * lost or could not be trusted, or a caller broke an invariant. Each names ranks and values. And what to make of
 * several at once.
 *
 * @module
 */

/** What a {@linkcode PeerLostError} knows of the lost rank and of what was going on. */
export interface PeerLoss {
  /** The lost rank. */
  rank: number;
  /** Host the lost rank ran on. */
  host: string;
  /** What this rank was doing with it, such as "allreduce"; null if nothing is known. */
  operation?: string | null;
  /** The caller's training step, if the program told the communicator one. */
  step?: number | null;
  /** What is known of its end, such as "it was ended by SIGKILL". */
  reason?: string;
  /** What `agree()` has come to all the same. */
  agreed?: number;
  /** The error underneath, if any. */
  cause?: unknown;
}

/** A rank of the job has ended, fallen silent or left while this rank needed it. */
export class PeerLostError extends Error {
  /** The class's name, for those who see the error from outside. */
  override readonly name = "PeerLostError";
  /** The lost rank. */
  readonly rank: number;
  /** Host the lost rank ran on. */
  readonly host: string;
  /** What this rank was doing with it, or null. */
  readonly operation: string | null;
  /** The caller's training step, or null. */
  readonly step: number | null;
  /** What is known of its end, or null. */
  readonly reason: string | null;
  /** From `agree()`: what was agreed on all the same, by all that live; else null. */
  readonly agreed: number | null;

  /** Says what is known of the loss. */
  constructor(loss: PeerLoss) {
    const { rank, host, operation = null, step = null, reason = null } = loss;
    super(
      `${operation === null ? "" : `cannot complete ${operation}: `}lost rank ${rank} on ${host}` +
        `${step === null ? "" : ` at step ${step}`}${reason === null ? "" : `: ${reason}`}`,
      loss.cause === undefined ? undefined : { cause: loss.cause },
    );
    this.rank = rank;
    this.host = host;
    this.operation = operation;
    this.step = step;
    this.reason = reason;
    this.agreed = loss.agreed ?? null;
  }
}

/** The other end of a connection did not prove that it belongs to the job. */
export class HandshakeError extends Error {
  /** The class's name, for those who see the error from outside. */
  override readonly name = "HandshakeError";
  /** Whether trying again is of no use: the other end has refused, or is somebody else. */
  readonly final: boolean;

  /** Says what the other end did; `final` if trying again is of no use. */
  constructor(message: string, final = false) {
    super(message);
    this.final = final;
  }
}

/** The ranks of a job could not find each other, or the job's environment contradicts itself. */
export class RendezvousError extends Error {
  /** The class's name, for those who see the error from outside. */
  override readonly name = "RendezvousError";
}

/** The job was ended on purpose, by `abort()` on some rank or by whoever started it. */
export class AbortError extends Error {
  /** The class's name, for those who see the error from outside. */
  override readonly name = "AbortError";
  /** The exit code that was asked for. */
  readonly code: number;

  /** Says who ended the job, and with which exit code. */
  constructor(message: string, code: number) {
    super(message);
    this.code = code;
  }
}

/** The communicator was closed or freed on this very rank; what was pending on it ends with this. */
export class ClosedError extends Error {
  /** The class's name, for those who see the error from outside. */
  override readonly name = "ClosedError";
}

/** A member has revoked the communicator: nothing goes on there but shrink() and agree(). */
export class RevokedError extends Error {
  /** The class's name, for those who see the error from outside. */
  override readonly name = "RevokedError";
}

/** Ranks called one collective with different lengths, types, operations or roots, or out of order. */
export class MismatchError extends Error {
  /** The class's name, for those who see the error from outside. */
  override readonly name = "MismatchError";
}

/** A message is longer than the buffer that was offered for it (MPI_ERR_TRUNCATE). */
export class TruncationError extends Error {
  /** The class's name, for those who see the error from outside. */
  override readonly name = "TruncationError";
}

/** The error that came first where the end of a scope has added others. */
export function reasonOf(error: unknown): unknown {
  return inOrder(error)[0];
}

/** The errors that one is made of, as they came. */
function inOrder(error: unknown): unknown[] {
  return error instanceof SuppressedError
    ? [...inOrder(error.suppressed), ...inOrder(error.error)]
    : [error];
}

/**
 * Waits for work that cleans up at its end. Where that fails as well, what the work has failed with is thrown, as if
 * nothing had come after it.
 *
 * @param say is told of the others, a line each
 */
export async function firstError<T>(
  work: Promise<T>,
  say: (line: string) => void,
): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const [first, ...others] = inOrder(error);
    for (const other of others) {
      say(`and then, while cleaning up: ${other instanceof Error ? other.message : other}`);
    }
    throw first;
  }
}
