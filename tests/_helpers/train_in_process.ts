/** Trains on several ranks inside this process, over real sockets, each behind a link. */

import { parseLink } from "../../runtime/transport/access_link.ts";
import { readMetrics } from "../../tasks/logs/log_tail.ts";
import type { MetricRecord, Summary } from "../../tasks/logs/records.ts";
import type { Options } from "../../tasks/options/table.ts";
import { resolveOptions } from "../../tasks/options/resolve.ts";
import { newConfig } from "../../tasks/run/folder.ts";
import { train } from "../../tasks/training/train.ts";
import { world } from "./world.ts";
import { clusterModel, clusters } from "./clusters.ts";

/** What a run came to. */
export interface Ran {
  readonly summary: Summary;
  readonly records: readonly MetricRecord[];
  /** Test loss at each evaluation, that of the untrained weights first. */
  readonly losses: readonly number[];
}

/**
 * Runs with real collectives between the ranks and real sessions on the CPU.
 *
 * @param hidden units of the small network, which learns the small task; null: what the options say
 */
export async function run(given: Partial<Options>, hidden: number | null = 12): Promise<Ran> {
  const options = resolveOptions({ device: "cpu", link: "0us", ...given });
  const directory = await Deno.makeTempDir();
  try {
    await using mesh = await world(options.ranks, { link: parseLink(options.link!) });
    const output = { directory, config: newConfig(options) };
    const [{ summary }] = await Promise.all(mesh.ranks.map((comm) =>
      train(comm, options, {
        ...hidden === null
          ? {}
          : { model: clusterModel(hidden), task: clusters(options, comm.rank) },
        output,
      })
    ));
    const records = readMetrics(`${directory}/metrics.jsonl`);
    const losses = records.flatMap((record) => record.type === "eval" ? record.loss : []);
    return { summary, records, losses };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}
