/**
 * Where rank 0 writes, and what it writes there of what was trained.
 *
 * @module
 */

import { join } from "node:path";
import type { VariableSpec } from "../../../runtime/devices/device.ts";
import { encodeTrained, encodeTrainedState } from "../../networks/trained_model.ts";
import type { Options } from "../../options/table.ts";
import { FILES, type RunConfig } from "../../run/folder.ts";
import { replaceFile, writeSynced } from "../../run/write_error.ts";
import type { TrainableModel } from "../../task.ts";

/** Where a run writes. */
export interface RunOutput {
  /** The run's folder, which exists. */
  readonly directory: string;
  /** As written so far. @default {that of the options, begun at this moment} */
  readonly config?: RunConfig;
}

/** A model with the weights that it came to. */
interface TrainedModel {
  readonly model: TrainableModel;
  /** Names and shapes, in the order of the weights. */
  readonly specs: readonly VariableSpec[];
  /** The averaged weights, then the running statistics. */
  readonly weights: Float32Array;
}

/** Writes weights as a state dict. Throws WriteError. */
export async function writeState(
  directory: string,
  name: string,
  { task }: Options,
  { model, specs, weights }: TrainedModel,
): Promise<void> {
  const bytes = encodeTrainedState(model, specs, weights, { model: model.name, task });
  await replaceFile(join(directory, name), bytes);
}

/** Writes the trained model, as an ONNX file and as a state dict. Throws WriteError. */
export async function writeTrained(
  directory: string,
  options: Options,
  { model, specs, weights }: TrainedModel,
): Promise<void> {
  const metadata = { model: model.name, task: options.task };
  // One that does not fit on the disk does not keep the others from being written.
  const errors: unknown[] = [];
  for (
    const make of [
      () => [FILES.weights, encodeTrainedState(model, specs, weights, metadata)] as const,
      () => [FILES.model, encodeTrained(model, specs, weights, metadata)] as const,
    ]
  ) {
    const [name, bytes] = make(), path = join(directory, name);
    await writeSynced(path, [bytes]).catch((error) => errors.push(error));
  }
  if (errors.length > 0) throw errors[0];
}
