import { checkModel, formatModelReport, OnnxFileError } from "../../models/mod.ts";
import { type FileOptions, importOptions, readModelFile } from "../networks/onnx_model.ts";
import { OptionError } from "../options/kinds.ts";

/** What `export --check` may be told besides the file. */
export interface CheckOptions extends FileOptions {
  /** Whether to print the report as JSON. */
  readonly json: boolean;
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
  { json, ...options }: CheckOptions,
): Promise<number> {
  const flag = "--check", settings = importOptions(options);
  const file = await readModelFile(location, flag);
  try {
    const report = checkModel(file, settings);
    const shown = { file: location, trainable: report.problems.length === 0, ...report };
    console.log(json ? JSON.stringify(shown, null, 2) : formatModelReport(report));
    return shown.trainable ? 0 : 1;
  } catch (error) {
    if (!(error instanceof OnnxFileError)) throw error;
    throw new OptionError(`${flag} ${location}: ${error.message}`, { cause: error });
  }
}
