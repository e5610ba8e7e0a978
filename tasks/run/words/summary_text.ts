/**
 * The closing summary of a run, for people.
 *
 * @module
 */

import { formatBytes } from "../../../deps.ts";
import { CLIP_RULES } from "../../../optimizers/clip_by.ts";
import { membersOf, type Worlds } from "../../data/sampling/worlds.ts";
import type { Options } from "../../options/values.ts";
import type { Summary, WaitingSummary } from "../metrics.ts";

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
  const s = summary, { left, came } = changesOf(s.membership ?? []);
  const rows: Row[] = [
    ...scoreRows(s),
    ...lossRows(s),
    ["steps", `${stepsOf(s)}, ${s.epochs.toFixed(2)} epochs`],
    ["speed", speedText(s, options)],
    ["communication", communicationText(s)],
    ["waiting", given(s.waiting, waitingText)],
    ["relayed", given(s.relayed, relayedText)],
    ["dialled out", s.relayed ? null : given(s.hosts, dialledOutText)],
    ["compression", given(s.compression, compressionText)],
    ["DIVERGED", s.diverged ? divergedText(s) : null],
    [
      "skipped",
      given(
        s.skippedSteps || null,
        (n) => `${many(n, "step")} of all ranks, which were not finite`,
      ),
    ],
    [
      "rolled back",
      given(s.rollbacks || null, (n) => `${times(n)}, each with half the learning rate`),
    ],
    ["left out", left.join(", ")],
    ["came", came.join(", ")],
    [
      "restarted",
      given(s.restarts || null, (n) => `${times(n)}, from a checkpoint or the beginning`),
    ],
    ["clipped", given(s.clipRate, (share) => `${percent(share)} of the steps`)],
    ["drift", given(s.maxDrift, (drift) => driftText(drift, s, options))],
    ["weights", samenessText(s)],
    ["averaging", given(s.ema, (ema) => `moving average of the weights, ${ema}`)],
    ["averaging", given(s.averagedSteps, (n) => `over the weights of ${many(n, "step")}`)],
    ["best weights", given(s.best, (best) => bestText(best, s))],
    [
      "stopped by",
      given(s.stoppedBy, ({ callback, rank, reason }) => `${callback} on rank ${rank}: ${reason}`),
    ],
    ["batch norm", s.batchNorm],
    ["device", s.device],
  ];
  return rows.flatMap(([name, value]) => value ? [[name, value]] : []);
}

/** What may be said, and its name; nothing is said where there is no text. */
type Row = [name: string, value: string | null | undefined];

/** What is said of a value, where there is one. */
function given<T>(value: T | null | undefined, tell: (value: T) => string): string | null {
  return value === null || value === undefined ? null : tell(value);
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

function scoreRows(s: Summary): Row[] {
  const four = (value: number) => value.toFixed(4);
  // What is scored all along, the untrained weights too, is the validation set where there is one.
  const rows = (
    name: string,
    show: (value: number) => string,
    test: number | undefined,
    valid: number | undefined,
    untrained: number | undefined,
  ): Row[] => {
    const before = given(untrained, (untrained) => `  (untrained ${show(untrained)})`) ?? "";
    const scored = (value: number) => `${show(value)}${before}`;
    return [
      [`test ${name}`, given(test, valid === undefined ? scored : show)],
      [`valid ${name}`, given(valid, scored)],
    ];
  };
  return [
    ...rows("accuracy", percent, s.testAccuracy, s.validationAccuracy, s.untrainedAccuracy),
    ...rows(
      "perplexity",
      formatPerplexity,
      ...[s.testPerplexity, s.validationPerplexity, s.untrainedPerplexity] as const,
    ),
    ["best possible", bestPossibleText(s)],
    ...rows("RMSE", formatError, s.testRmse, s.validationRmse, s.untrainedRmse),
    ...rows("R²", four, s.testR2, s.validationR2, s.untrainedR2),
    ...rows("loss", four, s.testLoss, s.validationLoss, s.untrainedLoss),
  ];
}

function bestPossibleText({ bestPerplexity, entropyRate }: Summary): string | null {
  if (bestPerplexity === undefined || entropyRate === undefined) return null;
  const nats = entropyRate.toFixed(3);
  return `${formatPerplexity(bestPerplexity)}; the source has ${nats} nats a token`;
}

/** The loss of the averaged weights, if it is known, and that of the steps. */
function lossRows({ trainLoss, trainLossAveraged, ranks }: Summary): Row[] {
  const whose = ranks === 1 ? "" : ", each rank's own weights";
  return [
    [
      "training loss",
      given(
        trainLossAveraged,
        (loss) => `${loss.toFixed(4)} of the averaged weights, on a part of the training set`,
      ),
    ],
    [
      trainLossAveraged === undefined ? "training loss" : "mini-batch loss",
      given(trainLoss, (loss) => `${loss.toFixed(4)} over the last tenth of the steps${whose}`),
    ],
  ];
}

function speedText(s: Summary, { task }: BoundOptions): string {
  return `${s.stepsPerSecond.toFixed(2)} steps/s, ` +
    `${whole(s.samplesPerSecond)} ${unitOf(s, task)}/s, ${s.trainSeconds.toFixed(1)} s`;
}

function communicationText(s: Summary): string {
  const between = given(
    s.bytesBetweenHosts,
    (bytes) => `; ${formatBytes(bytes)} between hosts, evaluations included`,
  );
  return `${percent(s.communicationShare)} of the time, waiting included; ` +
    `${many(s.rounds, "round")}, ` +
    `${formatBytes(s.totalBytesSent)} sent${between ?? ""}`;
}

function relayedText(pairs: NonNullable<Summary["relayed"]>): string {
  const each = pairs.map(({ hosts, bytes }) => `${formatBytes(bytes)} ${hosts.join(" – ")}`);
  return `${each.join(", ")}: hosts that could only dial out`;
}

/** Of which hosts; empty if others could reach them all. */
function dialledOutText(hosts: NonNullable<Summary["hosts"]>): string {
  const names = hosts.flatMap(({ name, dialsOut }) => dialsOut ? [name] : []);
  return names.length > 0 ? `${names.join(", ")}: others could not reach it` : "";
}

function compressionText(
  { codec, ratio, residualNorm }: NonNullable<Summary["compression"]>,
): string {
  return `${codec}: ${ratio.toPrecision(3)} of the bytes of float32; ` +
    `${residualNorm.toPrecision(3)} still to be made up for`;
}

function divergedText({ testLoss, trainLoss, untrainedLoss }: Summary): string {
  return `the loss is ${(Math.max(testLoss, trainLoss ?? 0) / untrainedLoss).toPrecision(3)} ` +
    "times that of the untrained weights: try a smaller --lr or --clip";
}

function driftText(drift: number, s: Summary, options: BoundOptions): string {
  const bound = given(
    s.driftBound || null,
    (bound) => `; never above ${boundOf(s, options)} ${Number(bound.toPrecision(6))}`,
  );
  return `${drift.toPrecision(3)} at most${bound ?? ""}`;
}

function samenessText({ identicalWeights, ranks, weightsHash }: Summary): string {
  const sameness = identicalWeights ? "identical, bit for bit, on" : "DIFFERENT on some of";
  const those = ranks === 1 ? "the one rank" : `all ${ranks} ranks`;
  return `${sameness} ${those} (SHA-256 ${weightsHash.slice(0, 16)}…)`;
}

function bestText(
  best: NonNullable<Summary["best"]>,
  { stoppedEarly, stoppedBy }: Summary,
): string {
  const { epoch, validationLoss, testAccuracy, testPerplexity, testRmse, testLoss } = best;
  const tested = testAccuracy !== undefined
    ? `test accuracy ${percent(testAccuracy, 2)}`
    : testPerplexity !== undefined
    ? `test perplexity ${formatPerplexity(testPerplexity)}`
    : testRmse !== undefined
    ? `test RMSE ${formatError(testRmse)}`
    : `test loss ${testLoss.toFixed(4)}`;
  const stopped = stoppedEarly && !stoppedBy ? "; the run stopped for want of better ones" : "";
  return `of epoch ${epoch.toFixed(2)}: validation loss ${validationLoss.toFixed(4)}, ` +
    `${tested}${stopped}`;
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
