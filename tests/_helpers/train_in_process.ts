/** Trains on several ranks inside this process, over real sockets, each behind a link if one is asked for. */

import type { Communicator } from "../../runtime/communicator.ts";
import { parseLink } from "../../runtime/transport/access_link.ts";
import { readMetrics } from "../../tasks/logs/log_tail.ts";
import type { MetricRecord, Summary } from "../../tasks/logs/records.ts";
import type { Options } from "../../tasks/options/table.ts";
import { resolveOptions } from "../../tasks/options/resolve.ts";
import { newConfig } from "../../tasks/run/folder.ts";
import { train, type Trained, type TrainParts } from "../../tasks/training/train.ts";
import { clusterModel, clusters } from "./clusters.ts";
import { temporaryFolder } from "./temporary_folder.ts";
import { world } from "./world.ts";

/**
 * Trains with real collectives between the ranks and real sessions on the CPU.
 *
 * @param parts what a rank uses instead of what the options say
 * @returns rank 0's result
 */
export async function trainInProcess(
  given: Partial<Options>,
  parts: (comm: Communicator, options: Options) => TrainParts,
): Promise<Trained> {
  const options = resolveOptions({ device: "cpu", ...given });
  const link = options.link === null ? undefined : parseLink(options.link);
  await using mesh = await world(options.ranks, { link });
  const [first] = await Promise.all(
    mesh.ranks.map((comm) => train(comm, options, parts(comm, options))),
  );
  return first;
}

/** What a run came to. */
export interface Ran {
  readonly summary: Summary;
  readonly records: readonly MetricRecord[];
  /** Test loss at each evaluation, that of the untrained weights first. */
  readonly losses: readonly number[];
}

/**
 * Trains on clusters of points and reads the log.
 *
 * @param hidden units of the small network, which learns the small task; null: what the options say
 */
export async function run(given: Partial<Options>, hidden: number | null = 12): Promise<Ran> {
  await using folder = await temporaryFolder();
  const directory = folder.path;
  const { summary } = await trainInProcess({ link: "0us", ...given }, (comm, options) => ({
    ...hidden === null ? {} : { model: clusterModel(hidden), task: clusters(options, comm.rank) },
    output: { directory, config: newConfig(options) },
  }));
  const records = readMetrics(`${directory}/metrics.jsonl`);
  const losses = records.flatMap((record) => record.type === "eval" ? record.loss : []);
  return { summary, records, losses };
}
