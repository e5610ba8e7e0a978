/**
 * A report that could not be made: the message says which folder or file, what was needed and the
 * way out.
 */
export class ReportError extends Error {
  /** The name of the class. */
  override readonly name = "ReportError";
}
