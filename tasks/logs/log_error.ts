/**
 * A run's folder or log that cannot be read: the message says which folder, file or line, what was needed
 * and the way out.
 */
export class LogError extends Error {
  /** The name of the class. */
  override readonly name: string = "LogError";
}
