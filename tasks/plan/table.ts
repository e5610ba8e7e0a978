/**
 * A plan as a table for people.
 *
 * @module
 */

import { formatBytes } from "../../deps.ts";
import { counted } from "../../runtime/base/words.ts";
import { plainTable } from "../terminal/plain_table.ts";
import { formatSizes } from "./curve.ts";
import type { RunPlan } from "./plan.ts";
import { type Advice, describeSetting } from "./settings.ts";

/** The table, and below it what it rests on. */
export async function formatPlan(
  { runs, steps, epochs, ranks, hosts, link, sizes, measured, settings, advice }: RunPlan,
): Promise<string> {
  const hides = runs.some(({ hiddenSeconds }) => hiddenSeconds > 0);
  const column = (head: string, cell: (run: typeof runs[number]) => string) => (
    { head, number: head !== "algorithm", cells: runs.map(cell) }
  );
  const { lines } = await plainTable([
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
  const { network, device, step, allreduce, shared } = measured;
  const [timed] = Object.values(step), { seconds } = allreduce.at(-1)!;
  const notes = [
    `${counted(steps, "step")} on ${ranks === 1 ? "one rank" : `each of ${ranks} ranks`}, ${
      epochs.toFixed(2)
    } epochs; start-up and evaluations left out`,
    link === null
      ? hosts === null
        ? "for the network as it is"
        : `for ${counted(hosts, "host")} and the network between them, as they are`
      : hosts === null
      ? `for ranks behind access links of ${link}`
      : `for ${counted(hosts, "host")} of ${
        counted(ranks / hosts, "rank")
      }, each behind an access link of ${link}`,
    ...link?.includes("window=")
      ? ["a calculated link's window is left out, as if --connections were enough to fill the link"]
      : [],
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
  const advised = advice === null ? [] : [...formatAdvice(advice, settings.length, link), ""];
  return [...lines, "", ...advised, ...notes].join("\n");
}

/** What is advised, and by what rule. */
function formatAdvice(
  { cheapest, fastest, tolerance }: Advice,
  count: number,
  link: string | null,
) {
  const where = link === null ? "this network" : `your link, ${link}`;
  const best = `the fastest, ${describeSetting(fastest)}: ${formatSeconds(fastest.seconds)}`;
  return [
    `${where} → ${describeSetting(cheapest)}: ${percent(cheapest.communicationShare)} ` +
    `communication, ${formatSeconds(cheapest.seconds)}`,
    cheapest === fastest
      ? `  the fastest of ${counted(count, "setting")}, and the smallest I within ${
        Number((100 * tolerance).toPrecision(3))
      } % of it`
      : `  of ${counted(count, "setting")} within ${
        Number((100 * tolerance).toPrecision(3))
      } % of ${best}`,
    ...cheapest === fastest
      ? []
      : ["  the smallest I, then the least compression, then the fewest fragments"],
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
