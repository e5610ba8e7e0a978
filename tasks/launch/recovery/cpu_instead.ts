/**
 * When a run that has taken a GPU by itself begins on the CPU after all: `--device auto` means whatever works,
 * but only as long as no step has been taken, since the bits of those that follow would be others.
 *
 * @module
 */

import type { LaunchFailure } from "../../../runtime/launcher/root_cause.ts";
import type { Options } from "../../options/table.ts";
import { NO_DEVICE } from "../../training/training_error.ts";

/** How a start of a run's ranks ended. */
export interface FailedStart {
  /** The device as the user named it, and as it was understood. */
  readonly asked: Options["device"];
  readonly taken: Options["device"];
  readonly code: number;
  readonly failure?: LaunchFailure;
  /** The step that it began from. */
  readonly from: number;
}

/** Whether the ranks are to start again on the CPU. */
export function beginsOnCpu({ asked, taken, code, failure, from }: FailedStart): boolean {
  if (asked !== "auto" || taken !== "webgpu" || code !== NO_DEVICE) return false;
  // The step that a rank tells is the one under way.
  return (failure?.step ?? from) <= from + 1;
}
