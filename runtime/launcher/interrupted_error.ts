/** That a launch was given up before it had begun. */
export class InterruptedError extends Error {
  /** The name of the class. */
  override readonly name = "InterruptedError";

  /** Says what has ended it. */
  constructor(
    /** The signal to this process, or "abort" for an `AbortSignal`. */
    readonly how: string,
  ) {
    super(`the launch was ended by ${how} before all hosts were there`);
  }
}
