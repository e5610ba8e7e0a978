/**
 * When a run that has taken a GPU by itself begins on the CPU after all: `--device auto` means whatever works,
 * but only as long as no step has been taken, since the bits of those that follow would be others.
 *
 * @module
 */

import type { DeviceKind } from "../../../runtime/devices/device.ts";
import { resolveDevice } from "../../../runtime/devices/open.ts";
import type { Options } from "../../options/table.ts";
import { NO_DEVICE } from "../../training/training_error.ts";
import { type Again, type Failed, goBack, type ReturningRun } from "./again.ts";

/** The device of a run. */
export interface RunDevice {
  /** As the user named it. */
  readonly asked: Options["device"];
  /** As it was understood. */
  readonly taken: Options["device"];
}

/** Whether the ranks are to start again on the CPU. */
export function beginsOnCpu(
  { asked, taken, code, failure, from }: RunDevice & Omit<Failed, "what">,
): boolean {
  if (asked !== "auto" || taken !== "webgpu" || code !== NO_DEVICE) return false;
  // The step that a rank tells is the one under way.
  return (failure?.step ?? from) <= from + 1;
}

/**
 * Takes a run back to begin on the CPU, which it may; null: it may not.
 *
 * @param on its device, and whether all its ranks are on this host
 * @param beforeFetch see `resolveDevice`
 */
export async function onCpuInstead(
  run: ReturningRun,
  { alone, ...on }: RunDevice & { readonly alone: boolean },
  failed: Failed,
  beforeFetch?: (kind: DeviceKind) => Promise<void>,
): Promise<Again | null> {
  if (!alone || !beginsOnCpu({ ...on, ...failed })) return null;
  const device = await resolveDevice("cpu", beforeFetch);
  const from = await goBack(run, (_, { options }) => ({ options: { ...options, device } }));
  run.say(
    `${failed.what}\nno step has been taken: the run begins on the CPU instead (--device auto)`,
  );
  return { from, device };
}
