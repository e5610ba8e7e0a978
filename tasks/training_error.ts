/** Training itself cannot go on: the loss is no longer finite, or a proven bound is broken. */
export class TrainingError extends Error {
  /** The name of the class. */
  override readonly name = "TrainingError";
}
