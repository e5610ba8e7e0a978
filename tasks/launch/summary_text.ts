/**
 * The closing summary of a run, for people.
 *
 * @module
 */

import { formatBytes } from "../../deps.ts";
import { CLIP_RULES } from "../../optimizers/clip_by.ts";
import { membersOf, type Worlds } from "../data/sampling/worlds.ts";
import type { Options } from "../options/values.ts";
import type { Summary, WaitingSummary } from "../run/metrics.ts";

const percent = (share: number, digits = 1) => `${(100 * share).toFixed(digits)} %`;

const whole = (count: number) => Math.round(count).toLocaleString("en-US");

/** An error in the unit of the data, whose size nobody knows. */
export const formatError = (error: number): string => String(Number(error.toPrecision(4)));

/** For example `91.23`, or `4.93e+74` of a model that has run away. */
export function formatPerplexity(perplexity: number): string {
  return perplexity < 1e6 ? perplexity.toFixed(2) : perplexity.toExponential(2);
}

/** Scores of weights; a task has one of them. */
export interface TaskScores {
  readonly accuracy?: number | null;
  readonly perplexity?: number | null;
  readonly rmse?: number | null;
}

/** The score of a task: `63.6 %`, `perplexity 120.00`, `RMSE 1.25`; null where there is none. */
export function formatScore({ accuracy, perplexity, rmse }: TaskScores): string | null {
  if (typeof accuracy === "number") return percent(accuracy);
  if (typeof perplexity === "number") return `perplexity ${formatPerplexity(perplexity)}`;
  return typeof rmse === "number" ? `RMSE ${formatError(rmse)}` : null;
}

/**
 * Writes a summary as aligned lines.
 *
 * @param directory where the run's files are
 * @param options of the run, which say what bounds its drift
 */
export function formatSummary(
  summary: Summary,
  directory: string,
  options: BoundOptions = {},
): string {
  const rows = [...summaryRows(summary, options), ["files", directory]];
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join("\n");
}

/** Options of a run on which the bound of its drift, and what its samples are, depend. */
export type BoundOptions = Partial<Pick<Options, "mix" | "clipBy" | "weigh" | "task">>;

/** What bounds the drift, as the paper or what goes beyond it has it. */
function boundOf({ stepsByRank }: Summary, options: BoundOptions): string {
  const { mix = null, clipBy = "local", weigh = "equal" } = options;
  if (mix !== null) return "the bound of averages that are mixed,";
  if (CLIP_RULES[clipBy].longestStep(null) !== 1) return `the bound of --clip-by ${clipBy},`;
  if (!stepsByRank) return "2γI =";
  return weigh === "samples" ? "γ(Σ p n + max n) =" : "2γ max n =";
}

/**
 * What a summary says, each with its name.
 *
 * @param options as in {@linkcode formatSummary}
 */
export function summaryRows(
  summary: Summary,
  options: BoundOptions = {},
): [name: string, value: string][] {
  const s = summary;
  const rows = scoreRows(s);
  if (s.trainLossAveraged !== undefined) {
    const loss = s.trainLossAveraged.toFixed(4);
    rows.push(["training loss", `${loss} of the averaged weights, on a part of the training set`]);
  }
  if (s.trainLoss !== null) {
    const loss = `${s.trainLoss.toFixed(4)} over the last tenth of the steps`;
    const name = s.trainLossAveraged === undefined ? "training loss" : "mini-batch loss";
    rows.push([name, s.ranks === 1 ? loss : `${loss}, each rank's own weights`]);
  }
  rows.push(
    ["steps", `${stepsOf(s)}, ${s.epochs.toFixed(2)} epochs`],
    [
      "speed",
      `${s.stepsPerSecond.toFixed(2)} steps/s, ${whole(s.samplesPerSecond)} ${
        unitOf(s, options.task)
      }/s, ` +
      `${s.trainSeconds.toFixed(1)} s`,
    ],
    [
      "communication",
      `${percent(s.communicationShare)} of the time, waiting included; ${
        many(s.rounds, "round")
      }, ` +
      `${formatBytes(s.totalBytesSent)} sent` +
      (s.bytesBetweenHosts === undefined
        ? ""
        : `; ${formatBytes(s.bytesBetweenHosts)} between hosts, evaluations included`),
    ],
  );
  const waited = s.waiting ? waitingText(s.waiting) : "";
  if (waited !== "") rows.push(["waiting", waited]);
  if (s.relayed) {
    const each = s.relayed.map(({ hosts, bytes }) => `${formatBytes(bytes)} ${hosts.join(" – ")}`);
    rows.push(["relayed", `${each.join(", ")}: hosts that could only dial out`]);
  } else if (s.hosts?.some(({ dialsOut }) => dialsOut)) {
    const names = s.hosts.flatMap(({ name, dialsOut }) => dialsOut ? [name] : []);
    rows.push(["dialled out", `${names.join(", ")}: others could not reach it`]);
  }
  if (s.compression) {
    const { codec, ratio, residualNorm } = s.compression;
    rows.push([
      "compression",
      `${codec}: ${ratio.toPrecision(3)} of the bytes of float32; ` +
      `${residualNorm.toPrecision(3)} still to be made up for`,
    ]);
  }
  if (s.diverged) {
    rows.push([
      "DIVERGED",
      `the loss is ${(Math.max(s.testLoss, s.trainLoss ?? 0) / s.untrainedLoss).toPrecision(3)} ` +
      "times that of the untrained weights: try a smaller --lr or --clip",
    ]);
  }
  if (s.skippedSteps) {
    rows.push(["skipped", `${many(s.skippedSteps, "step")} of all ranks, which were not finite`]);
  }
  if (s.rollbacks) {
    rows.push(["rolled back", `${times(s.rollbacks)}, each with half the learning rate`]);
  }
  const { left, came } = changesOf(s.membership ?? []);
  if (left.length > 0) rows.push(["left out", left.join(", ")]);
  if (came.length > 0) rows.push(["came", came.join(", ")]);
  if (s.restarts) {
    rows.push(["restarted", `${times(s.restarts)}, from a checkpoint or the beginning`]);
  }
  if (s.clipRate !== null) rows.push(["clipped", `${percent(s.clipRate)} of the steps`]);
  if (s.maxDrift !== null) {
    const bound = s.driftBound === null || s.driftBound === 0
      ? ""
      : `; never above ${boundOf(s, options)} ${Number(s.driftBound.toPrecision(6))}`;
    rows.push(["drift", `${s.maxDrift.toPrecision(3)} at most${bound}`]);
  }
  const sameness = s.identicalWeights ? "identical, bit for bit, on" : "DIFFERENT on some of";
  rows.push(
    [
      "weights",
      `${sameness} ${s.ranks === 1 ? "the one rank" : `all ${s.ranks} ranks`} (SHA-256 ${
        s.weightsHash.slice(0, 16)
      }…)`,
    ],
  );
  if (s.ema !== undefined) rows.push(["averaging", `moving average of the weights, ${s.ema}`]);
  if (s.averagedSteps !== undefined) {
    rows.push(["averaging", `over the weights of ${many(s.averagedSteps, "step")}`]);
  }
  if (s.best) {
    const { epoch, validationLoss, testAccuracy, testPerplexity, testRmse, testLoss } = s.best;
    const tested = testAccuracy !== undefined
      ? `test accuracy ${percent(testAccuracy, 2)}`
      : testPerplexity !== undefined
      ? `test perplexity ${formatPerplexity(testPerplexity)}`
      : testRmse !== undefined
      ? `test RMSE ${formatError(testRmse)}`
      : `test loss ${testLoss.toFixed(4)}`;
    rows.push([
      "best weights",
      `of epoch ${epoch.toFixed(2)}: validation loss ${validationLoss.toFixed(4)}, ${tested}` +
      (s.stoppedEarly && !s.stoppedBy ? "; the run stopped for want of better ones" : ""),
    ]);
  }
  if (s.stoppedBy) {
    const { callback, rank, reason } = s.stoppedBy;
    rows.push(["stopped by", `${callback} on rank ${rank}: ${reason}`]);
  }
  if (s.batchNorm !== undefined) rows.push(["batch norm", s.batchNorm]);
  rows.push(["device", s.device]);
  return rows;
}

const many = (count: number, noun: string): string =>
  `${whole(count)} ${noun}${count === 1 ? "" : "s"}`;

const times = (count: number): string => count === 1 ? "once" : `${count} times`;

function stepsOf({ steps, stepsByRank, ranks }: Summary): string {
  if (!stepsByRank) {
    return `${whole(steps)} ${ranks === 1 ? "on one rank" : `on each of ${ranks} ranks`}`;
  }
  const [least, most] = [Math.min(...stepsByRank), Math.max(...stepsByRank)];
  return `${whole(least)} to ${whole(most)} on ${ranks} ranks, ${whole(steps)} in the mean`;
}

/** What is counted. */
function unitOf({ testAccuracy, testPerplexity }: Summary, task?: Options["task"]): string {
  if (testPerplexity !== undefined) return "tokens";
  return testAccuracy !== undefined && task !== "arrays" ? "images" : "samples";
}

function scoreRows(s: Summary): [string, string][] {
  const rows: [string, string][] = [];
  const add = (
    name: string,
    value: number | undefined,
    untrained: number | undefined,
    show: (value: number) => string,
  ) => {
    if (value === undefined) return;
    const before = untrained === undefined ? "" : `  (untrained ${show(untrained)})`;
    rows.push([name, `${show(value)}${before}`]);
  };
  const four = (value: number) => value.toFixed(4);
  add("test accuracy", s.testAccuracy, s.untrainedAccuracy, (share) => percent(share));
  add("test perplexity", s.testPerplexity, s.untrainedPerplexity, formatPerplexity);
  if (s.bestPerplexity !== undefined && s.entropyRate !== undefined) {
    const nats = s.entropyRate.toFixed(3);
    rows.push([
      "best possible",
      `${formatPerplexity(s.bestPerplexity)}; the source has ${nats} nats a token`,
    ]);
  }
  add("test RMSE", s.testRmse, s.untrainedRmse, formatError);
  add("test R²", s.testR2, s.untrainedR2, four);
  add("valid perplexity", s.validationPerplexity, undefined, formatPerplexity);
  add("test loss", s.testLoss, s.untrainedLoss, four);
  return rows;
}

/** For whom the ranks have waited; empty if nobody stands out. */
function waitingText({ share, stragglers = [], links = [] }: WaitingSummary): string {
  const each = [
    ...stragglers.map((one) => `${percent(one.share)} of it for rank ${one.rank}`),
    ...links.map(({ ranks, seconds, share }) =>
      `${percent(share)} of it for the link between ranks ${ranks.join(" and ")}, over which ` +
      `nothing came for ${seconds.toFixed(1)} s`
    ),
  ];
  return each.length > 0 ? `${percent(share)} of the time; ${each.join(", ")}` : "";
}

/** Who left a run and who came to it while it went on, and when. */
function changesOf(worlds: Worlds): { readonly left: string[]; readonly came: string[] } {
  const left: string[] = [], came: string[] = [];
  for (const [i, world] of worlds.slice(1).entries()) {
    const before = membersOf(worlds[i]), after = membersOf(world);
    const named = (rank: number) => `rank ${rank} after step ${world.step}`;
    left.push(...before.filter((rank) => !after.includes(rank)).map(named));
    came.push(...after.filter((rank) => !before.includes(rank)).map(named));
  }
  return { left, came };
}
