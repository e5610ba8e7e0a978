/**
 * A plan as a table for people.
 *
 * @module
 */

import { formatBytes, loadTables } from "../../deps.ts";
import { PLAIN_TABLE } from "../launch/plain_table.ts";
import { formatSizes } from "./curve.ts";
import type { RunPlan } from "./plan.ts";

/** The table, and below it what it rests on. */
export async function formatPlan(
  { runs, steps, epochs, ranks, hosts, link, sizes, measured }: RunPlan,
): Promise<string> {
  const head = ["algorithm", "I", "rounds", "sent", "time", "comm.", "speedup"];
  const table = new (await loadTables())({
    head,
    colAligns: head.map((_, i) => i === 0 ? "left" : "right"),
    style: { head: [], border: [], "padding-left": 0, "padding-right": 0 },
    chars: PLAIN_TABLE,
  });
  for (const run of runs) {
    table.push([
      run.algorithm,
      run.interval === null ? "–" : String(run.interval),
      String(run.rounds),
      formatBytes(run.bytesSent),
      formatSeconds(run.seconds),
      `${(100 * run.communicationShare).toFixed(1)} %`,
      `${run.speedup.toFixed(2)}×`,
    ]);
  }
  const lines = table.toString().split("\n").map((line: string) => line.trimEnd());
  const { network, device, step, allreduce, shared } = measured;
  const [timed] = Object.values(step), { seconds } = allreduce.at(-1)!;
  const notes = [
    `${steps} steps on ${ranks === 1 ? "one rank" : `each of ${ranks} ranks`}, ${
      epochs.toFixed(2)
    } epochs; start-up and evaluations left out`,
    link === null
      ? hosts === null
        ? "for the network as it is"
        : `for ${hosts} ${hosts === 1 ? "host" : "hosts"} and the network between them, as they are`
      : hosts === null
      ? `for ranks behind access links of ${link}`
      : `for ${hosts} hosts of ${ranks / hosts} ranks, each behind an access link of ${link}`,
    ...formatSizes(sizes),
    `step         ${milliseconds(timed.mean)}, ${milliseconds(timed.slowest)} on the slowest rank`,
    `allreduce    ${milliseconds(seconds)} for ${
      shared.toLocaleString("en-US")
    } floats, as measured${hosts === null || link === null ? "" : " within a host"}`,
    ...network === null ? [] : [
      `ping         ${milliseconds(network.latencySeconds)} one way, ` +
      `${formatBytes(network.bytesPerSecond)}/s, as measured`,
    ],
    `device       ${device}`,
  ];
  return [...lines, "", ...notes].join("\n");
}

function milliseconds(seconds: number): string {
  return `${(1000 * seconds).toPrecision(3)} ms`;
}

/** In the unit that a person would take. */
function formatSeconds(seconds: number): string {
  if (seconds < 100) return `${seconds.toPrecision(3)} s`;
  if (seconds < 6000) return `${(seconds / 60).toPrecision(3)} min`;
  return `${(seconds / 3600).toPrecision(3)} h`;
}
