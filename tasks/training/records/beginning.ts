/**
 * What rank 0 writes of a run before its first step: what its data is, and what the ranks have found out.
 *
 * @module
 */

import { join } from "node:path";
import type { RunHost } from "../../logs/records.ts";
import type { Options } from "../../options/table.ts";
import { FILES, newConfig, type RunFacts, writeConfig } from "../../run/folder.ts";
import { writing } from "../../run/write_error.ts";
import type { TrainStep } from "../../steps/train_step.ts";
import type { Task } from "../../task.ts";
import type { RunOutput } from "./run_files.ts";

/** Parts that a caller gave instead of what the options name. */
interface OwnParts {
  readonly model?: { readonly name: string };
  readonly task?: unknown;
  readonly optimizer?: { readonly name: string };
  readonly algorithm?: { readonly name: string };
}

/** A run as it begins. */
interface Beginning {
  /** Where the graph runs, in words. */
  readonly device: string;
  readonly hosts: readonly RunHost[];
  readonly task: Task;
  /** Steps that each rank takes. */
  readonly steps: number;
  readonly trainStep: TrainStep;
}

/**
 * Writes how a run begins into its folder. Says so if the ranks compute on different devices.
 *
 * @throws WriteError if the disk is full
 */
export async function writeBeginning(
  output: RunOutput,
  options: Options,
  parts: OwnParts,
  { device, hosts, task, steps, trainStep }: Beginning,
): Promise<void> {
  noteDevices(hosts);
  await writeDescriptions(output.directory, task);
  await writeFacts(output, options, parts, {
    device,
    steps,
    stepsPerEpoch: task.stepsPerEpoch,
    trainSamples: task.trainSamples,
    testSamples: task.splits.at(-1)!.samples,
    parameters: trainStep.parameterCount,
    initialWeights: await hashOf(await trainStep.weights.read()),
    ...task.images ? { images: task.images } : {},
    ...hosts.length > 1 ? { hosts } : {},
  });
}

function noteDevices(hosts: readonly RunHost[]): void {
  if (new Set(hosts.flatMap(({ devices }) => devices)).size <= 1) return;
  const each = hosts.map(({ name, devices }) => `${name}: ${devices.join(", ")}`).join("; ");
  console.error(`note: the bits of the result depend on which ranks compute on what: ${each}`);
}

/** Writes what a task says of its data: a text's words, what arrays are fed and predicted. */
async function writeDescriptions(
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
async function writeFacts(
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

/** SHA-256 in hexadecimal. */
async function hashOf(values: Float32Array): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", values as BufferSource)).toHex();
}
