import { checkModelOn } from "../../models/foreign/check.ts";
import {
  checkModel,
  type ForeignModelOptions,
  formatModelReport,
  type ModelReport,
  OnnxFileError,
  type Target,
} from "../../models/mod.ts";
import type { Device } from "../../runtime/devices/device.ts";
import { openDevice } from "../../runtime/devices/open.ts";
import { type FileOptions, importOptions, readModelFile } from "../networks/onnx_model.ts";
import { OptionError } from "../options/kinds.ts";

/** What `export --check` may be told besides the file. */
export interface CheckOptions extends FileOptions {
  /** Whether to print the report as JSON. */
  readonly json: boolean;
  /** The engine that is to compile its training graph. @default {"portable", the CPU's} */
  readonly target?: Target;
}

/** The report, its verdict tried on a device where that can be opened. */
async function reportOn(
  target: Target,
  file: Uint8Array,
  settings: ForeignModelOptions,
): Promise<ModelReport> {
  let device: Device;
  try {
    device = await openDevice(target === "portable" ? "cpu" : target);
  } catch (error) {
    const report = checkModel(file, settings);
    const note = `its training graph was not compiled: ${(error as Error).message}`;
    return { ...report, notes: [...report.notes, note] };
  }
  await using opened = device;
  return await checkModelOn(opened, file, settings);
}

/**
 * Prints what an ONNX file is made of, and whether it can be trained.
 *
 * @param location a path or URL
 * @returns the exit code: 0 when it can be trained, else 1
 * @throws OptionError when the file cannot be read at all
 */
export async function checkFile(
  location: string,
  { json, target = "portable", ...options }: CheckOptions,
): Promise<number> {
  const flag = "--check", settings = importOptions(options);
  const file = await readModelFile(location, flag);
  try {
    const report = await reportOn(target, file, settings);
    const shown = { file: location, trainable: report.problems.length === 0, ...report };
    console.log(json ? JSON.stringify(shown, null, 2) : formatModelReport(report));
    return shown.trainable ? 0 : 1;
  } catch (error) {
    if (!(error instanceof OnnxFileError)) throw error;
    throw new OptionError(`${flag} ${location}: ${error.message}`, { cause: error });
  }
}
