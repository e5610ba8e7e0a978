/**
 * The closing summary of a run, for people.
 *
 * @module
 */

import type { Summary } from "./metrics.ts";

const percent = (share: number, digits = 1) => `${(100 * share).toFixed(digits)} %`;

const whole = (count: number) => Math.round(count).toLocaleString("en-US");

/** For example `37.4 MB`; powers of ten. */
export function formatBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  const power = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), units.length - 1);
  return `${(bytes / 1000 ** power).toPrecision(3)} ${units[power]}`;
}

/**
 * Writes a summary as aligned lines.
 *
 * @param directory where the run's files are
 */
export function formatSummary(summary: Summary, directory: string): string {
  const s = summary;
  const rows: [string, string][] = [
    ["test accuracy", `${percent(s.testAccuracy)}  (untrained ${percent(s.untrainedAccuracy)})`],
    ["test loss", `${s.testLoss.toFixed(4)}  (untrained ${s.untrainedLoss.toFixed(4)})`],
  ];
  if (s.trainLoss !== null) {
    rows.push(["training loss", `${s.trainLoss.toFixed(4)} over the last tenth of the steps`]);
  }
  rows.push(
    ["steps", `${whole(s.steps)} on each of ${s.ranks} ranks, ${s.epochs.toFixed(2)} epochs`],
    [
      "speed",
      `${s.stepsPerSecond.toFixed(2)} steps/s, ${whole(s.samplesPerSecond)} images/s, ` +
      `${s.trainSeconds.toFixed(1)} s`,
    ],
    [
      "communication",
      `${percent(s.communicationShare)} of the time, waiting included; ${
        whole(s.rounds)
      } rounds, ` +
      `${formatBytes(s.totalBytesSent)} sent`,
    ],
  );
  if (s.clipRate !== null) rows.push(["clipped", `${percent(s.clipRate)} of the steps`]);
  if (s.maxDrift !== null) {
    const bound = s.driftBound === null ? "" : `; never above 2γI = ${s.driftBound}`;
    rows.push(["drift", `${s.maxDrift.toPrecision(3)} at most${bound}`]);
  }
  const verdict = s.identicalWeights ? "identical, bit for bit, on" : "DIFFERENT on some of";
  rows.push(
    ["weights", `${verdict} all ${s.ranks} ranks (SHA-256 ${s.weightsHash.slice(0, 16)}…)`],
    ["batch norm", s.batchNorm],
    ["device", s.device],
    ["files", directory],
  );
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join("\n");
}
