/**
 * What a run's options name: a network and a task, and where one depends on the other, in the right order.
 *
 * @module
 */

import type { DeviceKind } from "../runtime/devices/device.ts";
import { loadCifar10 } from "./data/cifar10.ts";
import { generateImages } from "./data/generated_images.ts";
import type { ImageSplits } from "./data/image_data_set.ts";
import { findModel } from "./graphs.ts";
import { imageTask } from "./image_task.ts";
import type { Options } from "./options.ts";
import type { Network, Task } from "./task.ts";

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
  _target: DeviceKind,
  own: { readonly model?: Network; readonly task?: Task } = {},
): Promise<Job> {
  const task = own.task ?? imageTask(await openImages(options), options, rank);
  return { network: own.model ?? findModel(options.model), task };
}

async function openImages(options: Options): Promise<ImageSplits> {
  const { task, seed, trainSize, testSize, data } = options;
  switch (task) {
    case "generated-images":
      return generateImages({ seed, train: trainSize, test: testSize });
    case "cifar10":
      return await loadCifar10(data!);
  }
}
