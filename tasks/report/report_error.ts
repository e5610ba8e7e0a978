import { LogError } from "../logs/log_error.ts";

/** A report that cannot be written or served. Where a log cannot be read, it is a {@linkcode LogError}. */
export class ReportError extends LogError {
  /** The name of the class. */
  override readonly name: string = "ReportError";
}
