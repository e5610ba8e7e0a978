/**
 * Weights to begin with, from a file or from a run.
 *
 * @module
 */

import { join } from "node:path";
import { decodeWeights, readWeightsFile, type Weights } from "../networks/state_dict.ts";
import { OptionError } from "../options/kinds.ts";
import { isUrl } from "../options/network_names.ts";
import { CheckpointError, checkpointSteps, readAverage } from "./checkpoint.ts";
import { FILES } from "./folder.ts";
import { platform } from "../../runtime/base/platform.ts";

/**
 * Reads a state dict from a safetensors file (path or URL), or a run's weights from its folder: those it
 * ended with, or the average over the ranks of its last checkpoint.
 *
 * @param flag the option that named it, for the message
 * @throws OptionError when it is not to be had, or is something else
 */
export async function readWeights(location: string, flag: string): Promise<Weights> {
  const isFolder = !isUrl(location) &&
    await platform.stat(location).then(({ isDirectory }) => isDirectory, () => false);
  return isFolder ? await readRun(location, flag) : await readWeightsFile(location, flag);
}

async function readRun(directory: string, flag: string): Promise<Weights> {
  const path = join(directory, FILES.weights);
  try {
    return {
      tensors: decodeWeights(await platform.readFile(path), `${flag} ${path}`),
      exact: true,
    };
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const step = (await checkpointSteps(directory)).at(-1);
  if (step === undefined) {
    throw new OptionError(
      `${flag} ${directory}: it is no folder of a run with weights; there is no ${FILES.weights} ` +
        `and no checkpoint in it`,
    );
  }
  try {
    return { tensors: await readAverage(directory, step), exact: false };
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    throw new OptionError(`${flag} ${directory}: ${error.message}`, { cause: error });
  }
}
