/**
 * Follows a run from outside: reads its metrics as they grow, shows them, hands them on.
 *
 * @module
 */

import { join } from "node:path";
import { ALGORITHMS } from "../../optimizers/registry.ts";
import { counted } from "../../runtime/base/words.ts";
import { LogTail } from "../logs/log_tail.ts";
import type { MetricRecord, SummaryRecord } from "../logs/records.ts";
import { FILES, readConfig } from "../run/folder.ts";
import { openView, type RunView, type ViewKind } from "./view.ts";
import { kindOf } from "../options/defaults.ts";
import type { Options } from "../options/table.ts";

/** Milliseconds between two looks at the metrics of a run that goes on. */
const POLL_MS = 100;

/** Reads a run's metrics as they grow and shows them. */
export class Follower implements AsyncDisposable {
  readonly #directory: string;
  readonly #kind: ViewKind;
  readonly #onRecord?: (record: MetricRecord) => void;
  readonly #tail: LogTail;
  readonly #following: Promise<void>;
  #view: RunView | null = null;
  #ending = false;
  #wake = () => {};
  /** The run's last record, once it is there. */
  summary: SummaryRecord | null = null;

  /** @param directory the run's folder; records that are there already are passed over */
  constructor(directory: string, kind: ViewKind, onRecord?: (record: MetricRecord) => void) {
    this.#directory = directory;
    this.#kind = kind;
    this.#onRecord = onRecord;
    this.#tail = new LogTail(join(directory, FILES.metrics));
    this.#tail.records();
    this.#following = this.#follow();
    // An error is thrown where the end is awaited.
    this.#following.catch(() => {});
  }

  /** Shows a line: above the bar if there is one. */
  say(line: string): void {
    if (this.#kind === "silent") return;
    if (this.#view) this.#view.say(line);
    else console.error(line);
  }

  /** Takes in the last records and closes the view. */
  async end(): Promise<void> {
    this.#ending = true;
    this.#wake();
    await this.#following;
    this.#view?.[Symbol.dispose]();
    this.#view = null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end().catch(() => {});
  }

  async #follow(): Promise<void> {
    for (;;) {
      const last = this.#ending;
      for (const record of this.#tail.records()) await this.#take(record);
      if (last) return;
      await new Promise<void>((wake) => {
        const timer = setTimeout(wake, POLL_MS);
        this.#wake = () => {
          clearTimeout(timer);
          wake();
        };
      });
    }
  }

  async #take(record: MetricRecord): Promise<void> {
    if (!this.#view && this.#kind !== "silent") {
      const { plan, options } = await readConfig(this.#directory);
      if (plan) {
        const what = kindOf(options.task) === "text" ? "tokens" : "samples";
        const weights = plan.parameters.toLocaleString("en-US");
        this.say(`${plan.device}; ${weights} weights, ${plan.trainSamples} training ${what}`);
        const note = intervalNote(options, plan.steps);
        if (note !== null) this.say(`note: ${note}`);
      }
      this.#view = await openView(this.#kind, plan?.steps ?? 0);
    }
    if (record.type === "summary") this.summary = record;
    this.#view?.record(record);
    this.#onRecord?.(record);
  }
}

/** What is said of an interval that is longer than the epochs of a run; that of `--max-steps` is said before. */
function intervalNote(
  { algorithm, interval, maxSteps, syncEvery }: Options,
  steps: number,
): string | null {
  const known = maxSteps !== null && maxSteps <= steps;
  if (known || syncEvery !== null || ALGORITHMS[algorithm].rounds !== "interval") return null;
  return typeof interval === "number" && interval > steps
    ? `--interval ${interval} is longer than the run of ${
      counted(steps, "step")
    }: the ranks meet at its end alone`
    : null;
}
