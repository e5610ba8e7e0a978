/**
 * What a run's options name: a network and a task, and where one depends on the other, in the right order.
 *
 * @module
 */

import type { DeviceKind } from "../runtime/devices/device.ts";
import { loadCifar10 } from "./data/cifar10.ts";
import { generateImages } from "./data/generated_images.ts";
import { type GeneratedText, generateText } from "./data/generated_text.ts";
import type { ImageSplits } from "./data/image_data_set.ts";
import { loadTextCorpus } from "./data/text_corpus.ts";
import { findModel } from "./graphs.ts";
import { imageTask } from "./image_task.ts";
import { awdLstmNetwork, awdLstmOf } from "./language_network.ts";
import type { Options } from "./options.ts";
import { partOfImages, partOfText } from "./scale.ts";
import type { Network, Task } from "./task.ts";
import { kindOf } from "./task_defaults.ts";
import { textTask } from "./text_task.ts";

/** What a run trains, and what it learns from. */
export interface Job {
  readonly network: Network;
  readonly task: Task;
}

/**
 * Loads or generates the data of a run, and makes its network.
 *
 * @param target where its graphs will run
 * @param own what is taken instead of what the options name
 * @throws DataError if the files are not as they should be
 */
export async function openJob(
  options: Options,
  rank: number,
  target: DeviceKind,
  own: { readonly model?: Network; readonly task?: Task } = {},
): Promise<Job> {
  if (own.task) return { task: own.task, network: own.model ?? findModel(options.model) };
  if (kindOf(options.task) === "text") return await openTextJob(options, rank, target);
  const task = imageTask(await openImages(options), options, rank);
  return { task, network: own.model ?? findModel(options.model) };
}

async function openTextJob(options: Options, rank: number, target: DeviceKind): Promise<Job> {
  const generated = options.task === "generated-text" ? generate(options) : null;
  const corpus = generated ??
    partOfText(await loadTextCorpus(options.data!, options.task), options.scale);
  const model = awdLstmOf(options, corpus.vocabulary.size);
  const task = textTask(corpus, model, options, rank, target);
  const source = generated && {
    entropyRate: generated.entropyRate,
    bestPerplexity: Math.exp(generated.source.meanNats(generated.test)),
  };
  return { network: awdLstmNetwork(model), task: source ? { ...task, source } : task };
}

function generate({ seed, trainSize, testSize }: Options): GeneratedText {
  return generateText({ seed, train: trainSize, valid: testSize, test: testSize });
}

async function openImages(options: Options): Promise<ImageSplits> {
  const { task, seed, trainSize, testSize, data, scale } = options;
  if (task === "generated-images") {
    return generateImages({ seed, train: trainSize, test: testSize });
  }
  const { name, train, test } = await loadCifar10(data!);
  return { name, train: partOfImages(train, scale), test: partOfImages(test, scale) };
}
