/**
 * What a person sees of a run while it goes: a bar on a terminal, plain lines in a pipe, or nothing. All
 * of it goes to standard error, so that standard output holds the result alone.
 *
 * @module
 */

import { counted } from "../../runtime/base/words.ts";
import { openBar } from "../terminal/bars.ts";
import { Sparkline } from "../terminal/sparkline.ts";
import { formatError, formatPerplexity } from "../run/words/summary_text.ts";
import type { EvalRecord, MetricRecord, RoundRecord, StepRecord } from "../run/metrics.ts";

/** How much is shown. */
export type ViewKind = "bar" | "lines" | "silent";

/** The kind that fits the standard error of this process. */
export function viewKind(quiet: boolean): ViewKind {
  if (quiet) return "silent";
  return Deno.stderr.isTerminal() ? "bar" : "lines";
}

/** Milliseconds between two plain lines about steps. */
const LINE_EVERY = 5000;

/** A view of one run, fed with its records. */
export interface RunView extends Disposable {
  /** Shows one line of text. */
  say(line: string): void;
  /** Takes a record into account. */
  record(record: MetricRecord): void;
}

/**
 * Opens a view.
 *
 * @param steps steps each rank will take
 */
export async function openView(kind: ViewKind, steps: number): Promise<RunView> {
  if (kind === "silent") return { say() {}, record() {}, [Symbol.dispose]() {} };
  return kind === "bar" ? await barView(steps) : lineView(steps);
}

/** Columns of the curve of losses. */
const SPARKLINE_COLUMNS = 16;

/** The latest of what a view shows beside the step. */
export class Latest {
  readonly #losses = new Sparkline(SPARKLINE_COLUMNS);
  #clipped = 0;
  #steps = 0;
  /** Who writes the log. */
  #writer = 0;
  /** The last step of that rank. */
  step: StepRecord | null = null;
  /** The last round. */
  round: RoundRecord | null = null;

  /** Takes a record; true if it is a step of the rank that writes them, which has moved the run forward. */
  take(record: MetricRecord): boolean {
    if (record.type === "round") this.round = record;
    if (record.type !== "step") {
      this.#writer = record.rank;
      return false;
    }
    this.#steps++;
    if (record.clipped) this.#clipped++;
    if (record.rank !== this.#writer) return false;
    this.step = record;
    this.#losses.push(record.loss);
    return true;
  }

  /** The run's losses at rank 0 as a small curve; empty before the second step. */
  get curve(): string {
    return String(this.#losses);
  }

  /** For example `epoch 1.25`, `loss 1.834` (`–` of a step that was skipped), `clipped 12 %`, `drift 0.03`. */
  get parts(): string[] {
    if (!this.step) return [];
    const { epoch, loss } = this.step;
    const clipped = (100 * this.#clipped / this.#steps).toFixed(0);
    return [
      `epoch ${epoch.toFixed(2)}`,
      // Of a step that was skipped it is null in the log.
      `loss ${Number.isFinite(loss) ? loss.toFixed(3) : "–"}`,
      `clipped ${clipped} %`,
      ...this.round ? [`drift ${this.round.drift.toPrecision(2)}`] : [],
    ];
  }
}

/** For example `epoch 1.00  test accuracy 43.2 %  test loss 1.512`. */
function describeEval(record: EvalRecord): string {
  const { step, epoch, split = "test", accuracy, perplexity, rmse, r2, loss } = record;
  const { averagedSteps, ema } = record;
  const name = { valid: "validation", test: "test", train: "training" }[split];
  return [
    step === 0 ? "untrained" : `epoch ${epoch.toFixed(2)}`,
    split === "train" && "averaged weights",
    accuracy !== undefined && `${name} accuracy ${(100 * accuracy).toFixed(1)} %`,
    perplexity !== undefined && `${name} perplexity ${formatPerplexity(perplexity)}`,
    rmse !== undefined && `${name} RMSE ${formatError(rmse)}`,
    r2 !== undefined && `R² ${r2.toFixed(3)}`,
    `${name} loss ${loss.toFixed(3)}`,
    ema !== undefined && `moving average of the weights, ${ema}`,
    averagedSteps !== undefined && `weights averaged over ${counted(averagedSteps, "step")}`,
  ].filter(Boolean).join("  ");
}

function lineView(steps: number): RunView {
  const latest = new Latest();
  let lastLine = performance.now();
  return {
    say: (line) => console.error(line),
    record(record) {
      const moved = latest.take(record);
      if (record.type === "eval") console.error(describeEval(record));
      if (!moved || performance.now() - lastLine < LINE_EVERY) return;
      lastLine = performance.now();
      console.error([`step ${latest.step!.step}/${steps}`, ...latest.parts].join("  "));
    },
    [Symbol.dispose]() {},
  };
}

async function barView(steps: number): Promise<RunView> {
  const latest = new Latest();
  const bar = await openBar(
    Math.max(steps, 1),
    {},
    ({ value, total, timeLeft }) => [
      `step ${value}/${total}`,
      `${timeLeft} left`,
      ...latest.parts.slice(0, 2),
      latest.curve,
      ...latest.parts.slice(2),
    ],
  );
  return {
    say: (line) => bar.say(line),
    record(record) {
      if (latest.take(record)) bar.update(latest.step!.step, {});
      if (record.type === "eval") bar.say(describeEval(record));
    },
    [Symbol.dispose]: () => bar[Symbol.dispose](),
  };
}
