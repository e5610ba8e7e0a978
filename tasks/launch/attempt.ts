/**
 * One start of a run's ranks, followed to their end. A run that goes on after a failure has several.
 *
 * @module
 */

import { ENDING_SIGNALS } from "../../runtime/launcher/interrupts.ts";
import type { World } from "../../runtime/launcher/across_hosts.ts";
import {
  type LaunchOutcome,
  launchProgram,
  type LaunchProgramOptions,
} from "../../runtime/launcher/launch.ts";
import { asOptionError } from "../options/as_option_error.ts";
import type { Options } from "../options/table.ts";
import { readConfig, spokenOf } from "../run/folder.ts";
import type { MetricRecord, Summary } from "../run/metrics.ts";
import { EventLog } from "../tensorboard/event_log.ts";
import type { RankArguments, RankPlace } from "../training/rank_program.ts";
import type { BetweenStarts } from "./between_starts.ts";
import { Follower } from "./follower.ts";
import type { RunDetails } from "./host_preparation.ts";
import { Interruption } from "./interruption.ts";
import type { PreparedRun } from "./preparation.ts";
import { processesOf, TRAINER } from "./processes.ts";
import { RankLines } from "./rank_lines.ts";
import type { Failed } from "./recovery/again.ts";
import { afterLosses } from "./recovery/comebacks.ts";
import { tooFewLeft } from "./recovery/too_few_left.ts";
import type { ViewKind } from "./view.ts";

/** What all starts of a run have in common. */
export interface AttemptOptions {
  readonly view: ViewKind;
  /** What is said before the ranks start. */
  readonly notes: readonly string[];
  readonly onRecord: ((record: MetricRecord) => void) | undefined;
  /** Ends the run at once. */
  readonly signal: AbortSignal | undefined;
  /** The hosts; null for this one alone. */
  readonly hosts: World | null;
  /** Whether other hosts leave when all of their ranks are lost. */
  readonly hostsLeave: boolean;
  /** What the other hosts are told of the run. */
  readonly details: Omit<RunDetails, "from"> | null;
  readonly rankEnv: NonNullable<LaunchProgramOptions["rankEnv"]>;
  /** Listens where the ranks' own launcher does not. */
  readonly between: BetweenStarts;
}

/** How it ended: well; as somebody asked it to, or because too few ranks were left, to be gone on with; or not well. */
export type AttemptEnd =
  | { readonly how: "finished"; readonly summary: Summary }
  | { readonly how: "stopped"; readonly message: string; readonly code: number }
  | { readonly how: "failed"; readonly failed: Failed; readonly interrupted: boolean };

/**
 * Starts the ranks, shows how they come on, and waits for their end.
 *
 * @param options of the run, with the device of this start
 * @param from the step of the checkpoint that they go on from; null: they begin at the beginning
 */
export async function attempt(
  { directory }: PreparedRun,
  { options, from }: { readonly options: Options; readonly from: number | null },
  { view, notes, onRecord, signal, hosts, hostsLeave, details, rankEnv, between }: AttemptOptions,
): Promise<AttemptEnd> {
  await using events = options.log === "tensorboard"
    ? await EventLog.open(directory, options.ranks, from)
    : null;
  await using follower = new Follower(directory, view, (record) => {
    events?.take(record);
    onRecord?.(record);
  });
  const say = (line: string) => follower.say(line);
  notes.forEach(say);
  const lines = new RankLines(say);
  await using interruption = new Interruption(directory, options, signal, say);
  const run = options.elastic === null ? {} : { config: spokenOf(await readConfig(directory)) };
  const place: RankPlace = { from, ...run };
  const early = await between.outcome(directory, options);
  if (early) return { how: "stopped", ...early };
  between.begin();
  const outcome = await asOptionError(null, () =>
    launchProgram({
      ...hosts ? { on: hosts, hostsLeave, details: details && { ...details, ...place, from } } : {},
      ...processesOf(options, directory),
      program: TRAINER,
      args: [directory, JSON.stringify(place)] satisfies RankArguments,
      rankEnv,
      logDir: directory,
      onOutput: (rank, line) => lines.take(rank, line),
      signal: interruption.signal,
      handleSignals: ENDING_SIGNALS,
      onInterrupt: (how, from) => interruption.take(how, from),
      ...afterLosses(options, (line) => lines.pass(line)),
      // Ranks leave a scheduler's signals to their launcher.
      endSignal: "SIGINT",
    }));
  between.listen();
  await follower.end();
  const { summary } = follower, { code } = outcome;
  if (code === 0 && summary) return { how: "finished", summary };
  const stopped = await interruption.outcome(code) ?? await tooFewLeft(directory, options, outcome);
  if (stopped) return { how: "stopped", ...stopped };
  const interrupted = interruption.how ?? outcome.interrupted;
  const what = whatFailed(outcome, interrupted, view === "silent" ? null : lines);
  const failed = { code, failure: outcome.failure, what, from: from ?? 0 };
  return { how: "failed", failed, interrupted: interrupted !== undefined };
}

/**
 * What a person is to be told of a failure.
 *
 * @param shown what has been shown of the ranks' lines; null: nothing
 */
function whatFailed(
  { failure }: LaunchOutcome,
  interrupted: string | undefined,
  shown: RankLines | null,
): string {
  if (failure) return shown?.has(failure.lastLines) ? failure.headline : failure.message;
  return interrupted ? `the run was ended by ${interrupted}` : "the run ended without a summary";
}
