/**
 * The device that a rank computes on, and who notes what it does there.
 *
 * @module
 */

import { processEnvironment } from "../../../runtime/bootstrap/environment.ts";
import type { Device } from "../../../runtime/devices/device.ts";
import { openDevice } from "../../../runtime/devices/open.ts";
import type { Options } from "../../options/table.ts";
import { TracedDevice } from "../../trace/kernels.ts";
import { SpanLog } from "../records/span_log.ts";
import type { RunStart } from "./run_start.ts";

/** What notes when things were done; undefined where that is not asked of this rank. */
export function openSpans({ trace }: Options, { output, step }: RunStart): SpanLog | undefined {
  return trace && output ? new SpanLog(output.directory, step !== null) : undefined;
}

/** Opens the device, which notes its kernels where that is asked for, and says which GPU was given to this rank. */
export async function openRankDevice(
  options: Options,
  spans: SpanLog | undefined,
): Promise<Device> {
  const device = await openTraced(options, spans);
  const gpu = processEnvironment("CELGC_GPU");
  if (gpu !== undefined) console.error(`takes GPU ${gpu}; ${device.description}`);
  return device;
}

async function openTraced(
  { device: kind, threads, traceKernels: runs }: Options,
  spans: SpanLog | undefined,
): Promise<Device> {
  const device = await openDevice(kind, { threads });
  if (spans === undefined || runs === null) return device;
  if (device.kind !== "webgpu") return new TracedDevice(device, runs, spans);
  console.error(
    "note: --trace-kernels is for the CPU and WebAssembly: a GPU's engine records its commands once, and does not say " +
      "when it replays which",
  );
  return device;
}
