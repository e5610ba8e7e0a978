/**
 * Which rank brought a job down, and how to say it. One rank's end makes others fail as well: theirs
 * are told apart by what they report.
 *
 * @module
 */

import type { ReportMessage } from "../rendezvous/messages.ts";

/** How a rank ended the job. */
export interface LaunchFailure {
  /** The rank that failed first. */
  readonly rank: number;
  /** The one of those that the job began with in whose stead it was started; absent if it was in nobody's. */
  readonly stead?: number;
  /** Host the rank ran on. */
  readonly host: string;
  /** Whether its host is lost with it, or cannot start it, so that none can be started there in its stead. @default {false} */
  readonly withHost?: boolean;
  /** Its exit code, or null if it was ended by the launcher because it had fallen silent. */
  readonly code: number | null;
  /** The signal that ended it, such as "SIGKILL", or null. */
  readonly signal: string | null;
  /** The training step, as told by the rank itself or by those that waited for it; null if nobody knew. */
  readonly step: number | null;
  /** What others were waiting for it in, such as "allreduce"; null if nobody was. */
  readonly operation: string | null;
  /** The last lines it printed, oldest first. */
  readonly lastLines: readonly string[];
  /** All of this in words, but for the last lines. */
  readonly headline: string;
  /** All of this in words, several lines. */
  readonly message: string;
}

/** What the launcher knows of one rank. */
export interface RankStatus {
  host: string;
  /** As {@linkcode LaunchFailure.stead}. */
  readonly stead?: number | undefined;
  /** Whether it has called `init()`. */
  joined: boolean;
  /** Whether it has said goodbye to all others. */
  finalized: boolean;
  /** What it has said of its own end. */
  report: ReportMessage | null;
  /** What it has said of ranks that it has lost and goes on without. */
  readonly losses: ReportMessage[];
  /** The operations in which it waited for others when the job was interrupted; null if not told. */
  pending: readonly string[] | null;
  /** How and when its process ended; null while it runs. */
  exit: {
    readonly code: number;
    readonly signal: string | null;
    readonly lost: string | null;
    readonly order: number;
  } | null;
  /** Whether the launcher ended it. */
  ended: boolean;
  /** Whether others have gone on without it to a good end. @default {false} */
  survived?: boolean;
}

/** Whether a rank's end is a failure of its own. */
export function hasFailed(facts: RankStatus, anyJoined: boolean): boolean {
  if (facts.exit === null || facts.ended || facts.survived) return false;
  return facts.exit.code !== 0 || (facts.joined ? !facts.finalized : anyJoined);
}

/** Whether a rank has left the job and ended with exit code 0. */
export function anyEndedWell(all: readonly RankStatus[]): boolean {
  return all.some(({ exit, finalized }) => exit?.code === 0 && finalized);
}

/** The end of a rank in words, to follow "rank 3 on host". */
export function describeEnd({ exit, joined, report }: RankStatus): string {
  if (exit === null) return "was still running";
  if (exit.lost !== null) return exit.lost;
  if (exit.signal !== null) return `was ended by ${exit.signal}`;
  if (exit.code !== 0) {
    const [first] = (report?.message ?? "").split("\n");
    return `ended with exit code ${exit.code}${first === "" ? "" : `: ${first}`}`;
  }
  return joined
    ? "ended with exit code 0 before it had left the job (Deno.exit() without closing the communicator)"
    : "ended with exit code 0 without calling init(), which others did";
}

/**
 * Finds the rank that failed first: the earliest failure, or the rank that this one blames, and so on.
 *
 * @param all what is known of every rank, once all have ended
 * @returns null if none has failed
 */
export function findRootCause(all: readonly RankStatus[]): number | null {
  const anyJoined = all.some(({ joined }) => joined);
  const failed = [...all.keys()].filter((rank) => hasFailed(all[rank], anyJoined))
    .sort((a, b) => all[a].exit!.order - all[b].exit!.order);
  if (failed.length === 0) return null;
  let [rootCause] = failed;
  for (const seen = new Set<number>(); !seen.has(rootCause);) {
    seen.add(rootCause);
    const blamed = lossesOf(all[rootCause])[0]?.lost ?? null;
    // A rank that left in good order and ended well is not to blame for being missed.
    if (blamed === null || all[blamed].survived) continue;
    if (all[blamed].ended || failed.includes(blamed)) rootCause = blamed;
  }
  return rootCause;
}

/** What a rank has said of others that it has lost. */
function lossesOf({ report, losses }: RankStatus): ReportMessage[] {
  return report === null || report.lost === null ? losses : [...losses, report];
}

/** Puts a failure into words. */
export function describeFailure(
  rank: number,
  all: readonly RankStatus[],
  lastLines: readonly string[],
): LaunchFailure {
  const facts = all[rank];
  const seen = all.map((other) => lossesOf(other).find(({ lost }) => lost === rank));
  const witnesses = [...all.keys()].filter((other) => seen[other]);
  const reports = [facts.report, ...seen].flatMap((report) => report ?? []);
  const step = reports.find((report) => report.step !== null)?.step ?? null;
  const operation = reports.find((report) => report.operation !== null)?.operation ?? null;
  const silent = facts.ended && witnesses.length > 0;
  const end = silent
    ? `gave no sign of life, as seen by ${names(witnesses)}, and was ended`
    : describeEnd(facts);
  const stead = facts.stead === undefined ? "" : ` (in the stead of rank ${facts.stead})`;
  const lines = [
    `rank ${rank}${stead} on ${facts.host} ${end}${step === null ? "" : ` (at step ${step})`}`,
  ];
  if (witnesses.length > 0) {
    const waited = operation === null ? "for it" : `for it in ${operation}`;
    lines.push(`${names(witnesses)} waited ${waited}`);
  }
  const headline = lines.join("\n");
  if (lastLines.length > 0) {
    lines.push(`last lines of rank ${rank}:`, ...lastLines.map((line) => `  [${rank}] ${line}`));
  }
  return {
    rank,
    ...facts.stead === undefined ? {} : { stead: facts.stead },
    host: facts.host,
    ...facts.exit?.lost != null ? { withHost: true } : {},
    code: silent || facts.exit?.lost != null ? null : facts.exit?.code ?? null,
    signal: silent ? null : facts.exit?.signal ?? null,
    step,
    operation,
    lastLines,
    headline,
    message: lines.join("\n"),
  };
}

/** What each rank waited for when the job was interrupted, in words; undefined if no rank has joined. */
export function describePending(all: readonly RankStatus[]): string | undefined {
  const groups = new Map<string, number[]>();
  for (const [rank, { joined, finalized, pending }] of all.entries()) {
    const what = !joined
      ? "had not called init()"
      : finalized
      ? "had left the job"
      : pending === null
      ? "gave no answer: busy, or stopped"
      : pending.length === 0
      ? "waited for no other rank"
      : `waited in ${pending.join(", ")}`;
    groups.set(what, [...groups.get(what) ?? [], rank]);
  }
  if (!all.some(({ joined }) => joined)) return undefined;
  return [...groups].map(([what, ranks]) => `${names(ranks)} ${what}`).join("\n");
}

function names(ranks: readonly number[]): string {
  const shown = ranks.slice(0, 8).join(", ");
  const more = ranks.length > 8 ? ` and ${ranks.length - 8} more` : "";
  return ranks.length === 1 ? `rank ${shown}` : `ranks ${shown}${more}`;
}

/** The exit code of a job that a rank brought down: that rank's, or that of the first who missed it. */
export function exitCodeOf(rank: number, all: readonly RankStatus[]): number {
  const { exit, ended } = all[rank];
  if (exit !== null && !ended) return exit.code || 1;
  const witness = all.filter((facts) => !facts.ended && facts.exit && facts.exit.code !== 0)
    .sort((a, b) => a.exit!.order - b.exit!.order)[0];
  return witness?.exit?.code ?? 1;
}
