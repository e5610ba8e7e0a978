/**
 * What rank 0 writes of a run beside its log: what the ranks found out when it began, and what was trained.
 *
 * @module
 */

import { join } from "node:path";
import type { VariableSpec } from "../../runtime/devices/device.ts";
import { encodeTrained, encodeTrainedState } from "../networks/trained_model.ts";
import type { Options } from "../options/table.ts";
import { FILES, newConfig, type RunConfig, type RunFacts, writeConfig } from "../run/folder.ts";
import { replaceFile, writeSynced, writing } from "../run/write_error.ts";
import type { Task, TrainableModel } from "../task.ts";

/** Where a run writes. */
export interface RunOutput {
  /** The run's folder, which exists. */
  readonly directory: string;
  /** As written so far. @default {that of the options, begun at this moment} */
  readonly config?: RunConfig;
}

/** Parts that a caller gave instead of what the options name. */
interface OwnParts {
  readonly model?: { readonly name: string };
  readonly task?: unknown;
  readonly optimizer?: { readonly name: string };
  readonly algorithm?: { readonly name: string };
}

/** A model with the weights that it came to. */
interface TrainedModel {
  readonly model: TrainableModel;
  /** Names and shapes, in the order of the weights. */
  readonly specs: readonly VariableSpec[];
  /** The averaged weights, then the running statistics. */
  readonly weights: Float32Array;
}

/** Writes what a task says of its data: a text's words, what arrays are fed and predicted. Throws WriteError. */
export async function writeDescriptions(
  directory: string,
  { vocabulary, description }: Task,
): Promise<void> {
  const texts = { [FILES.vocabulary]: vocabulary, [FILES.arrays]: description };
  for (const [name, text] of Object.entries(texts)) {
    const path = join(directory, name);
    if (text !== undefined) await writing(path, () => Deno.writeTextFile(path, text));
  }
}

/** Adds to a run's configuration what its ranks found out, and what they take instead of what it names. */
export async function writeFacts(
  { directory, config }: RunOutput,
  options: Options,
  { model, task, optimizer, algorithm }: OwnParts,
  plan: RunFacts,
): Promise<void> {
  const own = {
    ...model ? { model: model.name } : {},
    ...task ? { task: true } as const : {},
    ...optimizer ? { optimizer: optimizer.name } : {},
    ...algorithm ? { algorithm: algorithm.name } : {},
  };
  await writeConfig(directory, {
    ...config ?? newConfig(options),
    ...(Object.keys(own).length > 0 ? { own } : {}),
    plan,
  });
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
