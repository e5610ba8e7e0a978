/**
 * A data set that is missing, incomplete or altered, or that could not be fetched. The message stands
 * by itself: it names the file, what was required, what was found and the way out.
 */
export class DataError extends Error {
  /** The file or folder at fault, where there is one. */
  readonly path: string | undefined;

  /**
   * An error that stands by itself.
   *
   * @param message what could not be done, required, found, way out
   * @param options `path`: the file at fault; `cause`: the error underneath
   */
  constructor(message: string, options: { path?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "DataError";
    this.path = options.path;
  }
}
