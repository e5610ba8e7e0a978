/**
 * Folders of runs with a small log whose figures can be worked out by hand.
 *
 * @module
 */

import type { MetricRecord } from "../../tasks/run/metrics.ts";

/** What the lines of a step, a round or an evaluation have in common. */
export function position(
  iteration: number,
  stepsPerEpoch: number,
  more: Partial<MetricRecord> = {},
) {
  return {
    rank: 0,
    step: iteration,
    epoch: iteration / stepsPerEpoch,
    iteration,
    round: 0,
    seconds: iteration / 10,
    samples: iteration * 16,
    bytesSent: 0,
    bytesReceived: 0,
    ...more,
  };
}

/**
 * Writes a run into a new folder below `parent`; its path. Lines that are text stand as they are.
 */
export async function writeRun(
  parent: string,
  name: string,
  options: Record<string, unknown>,
  lines: readonly (string | object)[],
): Promise<string> {
  const directory = `${parent}/${name}`;
  await Deno.mkdir(directory, { recursive: true });
  await Deno.writeTextFile(`${directory}/config.json`, JSON.stringify({ options }));
  const text = lines.map((line) => typeof line === "string" ? line : JSON.stringify(line) + "\n");
  await Deno.writeTextFile(`${directory}/metrics.jsonl`, text.join(""));
  return directory;
}

/**
 * 2 ranks, 8 epochs of 2 steps, a round every `interval` steps. The mean loss of step t is `scale /
 * t`, in the ranks half above and below; of the 4 steps of epochs 1 to 4, 4, 3, 2 and 1 clip, and
 * none after.
 */
export function knownLines(
  { interval, scale, stepMs, syncMs, drift, driftBound }: {
    interval: number;
    scale: number;
    stepMs: number;
    syncMs: number;
    drift: number;
    driftBound: number | null;
  },
): object[] {
  const lines: object[] = [];
  for (let t = 1; t <= 16; t++) {
    const epoch = Math.ceil(t / 2);
    const round = Math.floor(t / interval);
    const at = { ...position(t, 2), round, seconds: t * stepMs / 1000, bytesSent: round * 1000 };
    for (let rank = 0; rank < 2; rank++) {
      const nth = ((t - 1) % 2) * 2 + rank;
      lines.push({
        type: "step",
        ...at,
        rank,
        loss: scale / t * (rank === 0 ? 0.5 : 1.5),
        gradNorm: 16 / t,
        clipped: nth < 5 - epoch,
        lr: 0.1,
        clip: 1,
        stepMs,
        syncMs: t % interval === 0 ? syncMs : 0,
      });
    }
    if (t % interval === 0) {
      const participants = [0, 1];
      lines.push({ type: "round", ...at, syncMs, drift: drift * t, driftBound, participants });
    }
    if (t % 8 === 0) lines.push({ type: "eval", ...at, loss: 1, accuracy: t / 20, count: 100 });
  }
  lines.push({ type: "summary", ...position(16, 2) });
  return lines;
}
