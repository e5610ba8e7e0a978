/** Training itself cannot go on: the loss is no longer finite, or a proven bound is broken. */
export class TrainingError extends Error {
  override readonly name = "TrainingError";
}
