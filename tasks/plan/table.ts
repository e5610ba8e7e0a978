/**
 * A plan as a table for people.
 *
 * @module
 */

import { formatBytes } from "../../deps.ts";
import { counted } from "../../runtime/base/words.ts";
import { plainTable } from "../terminal/plain_table.ts";
import { formatSizes } from "./curve.ts";
import type { PlannedRun, RunPlan } from "./plan.ts";
import { type Advice, describeSetting } from "./settings.ts";

/** The table, what is advised, and what both rest on. */
export async function formatPlan(plan: RunPlan): Promise<string> {
  const { lines } = await runsTable(plan);
  const { advice, settings, link } = plan;
  const advised = advice === null ? [] : [...adviceLines(advice, settings.length, link), ""];
  return [...lines, "", ...advised, ...notes(plan)].join("\n");
}

/** A line for each run; what no run hides behind its steps has no column. */
function runsTable({ runs }: RunPlan) {
  const hides = runs.some(({ hiddenSeconds }) => hiddenSeconds > 0);
  const column = (head: string, cell: (run: PlannedRun) => string) => (
    { head, number: head !== "algorithm", cells: runs.map(cell) }
  );
  return plainTable([
    column("algorithm", ({ algorithm }) => algorithm),
    column("I", ({ interval }) => interval === null ? "–" : String(interval)),
    column("rounds", ({ rounds }) => String(rounds)),
    column("sent", ({ bytesSent }) => formatBytes(bytesSent)),
    column("peak", ({ peakBytesSent }) => formatBytes(peakBytesSent)),
    column("time", ({ seconds }) => formatSeconds(seconds)),
    column("comm.", ({ communicationShare }) => percent(communicationShare)),
    ...hides ? [column("hidden", ({ hiddenSeconds }) => formatSeconds(hiddenSeconds))] : [],
    column("speedup", ({ speedup }) => `${speedup.toFixed(2)}×`),
  ]);
}

/** What the prediction is for, and what was measured for it. */
function notes(plan: RunPlan): string[] {
  const { steps, epochs, ranks, hosts, link, sizes, measured } = plan;
  const { network, device, step, allreduce, shared } = measured;
  const [timed] = Object.values(step), { seconds } = allreduce.at(-1)!;
  const each = ranks === 1 ? "one rank" : `each of ${ranks} ranks`;
  const floats = shared.toLocaleString("en-US");
  const where = hosts === null || link === null ? "" : " within a host";
  return [
    `${counted(steps, "step")} on ${each}, ${
      epochs.toFixed(2)
    } epochs; start-up and evaluations left out`,
    networkNote(plan),
    ...link?.includes("window=")
      ? ["a calculated link's window is left out, as if --connections were enough to fill the link"]
      : [],
    ...formatSizes(sizes),
    `step         ${milliseconds(timed.mean)}, ${milliseconds(timed.slowest)} on the slowest rank`,
    `allreduce    ${milliseconds(seconds)} for ${floats} floats, as measured${where}`,
    ...network === null ? [] : [
      `ping         ${milliseconds(network.latencySeconds)} one way, ` +
      `${formatBytes(network.bytesPerSecond)}/s, as measured`,
    ],
    `device       ${device}`,
  ];
}

/** Which network the prediction is for. */
function networkNote({ link, hosts, ranks }: RunPlan): string {
  if (hosts === null) {
    return link === null ? "for the network as it is" : `for ranks behind access links of ${link}`;
  }
  if (link === null) {
    return `for ${counted(hosts, "host")} and the network between them, as they are`;
  }
  const each = counted(ranks / hosts, "rank");
  return `for ${counted(hosts, "host")} of ${each}, each behind an access link of ${link}`;
}

/** What is advised, and by what rule. */
function adviceLines(
  { cheapest, fastest, tolerance }: Advice,
  count: number,
  link: string | null,
): string[] {
  const where = link === null ? "this network" : `your link, ${link}`;
  const within = `${Number((100 * tolerance).toPrecision(3))} %`, all = counted(count, "setting");
  const advised = `${where} → ${describeSetting(cheapest)}: ` +
    `${percent(cheapest.communicationShare)} communication, ${formatSeconds(cheapest.seconds)}`;
  if (cheapest === fastest) {
    return [advised, `  the fastest of ${all}, and the smallest I within ${within} of it`];
  }
  const best = `the fastest, ${describeSetting(fastest)}: ${formatSeconds(fastest.seconds)}`;
  return [
    advised,
    `  of ${all} within ${within} of ${best}`,
    "  the smallest I, then the least compression, then the fewest fragments",
  ];
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
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
