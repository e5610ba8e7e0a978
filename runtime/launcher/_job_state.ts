/**
 * Where a job stands, and why it ends.
 *
 *     running ──▶ grace ──▶ terminating ──▶ done
 *        │                       ▲            ▲
 *        └───────────────────────┘────────────┘
 *
 * A rank that fails opens the grace period, in which the others may find out and say so. Whatever ends
 * the job from outside terminates it at once.
 *
 * @module
 */

import {
  describeFailure,
  describePending,
  exitCodeOf,
  findRootCause,
  type RankStatus,
} from "./root_cause.ts";
import { signalCode } from "./interrupts.ts";
import type { LaunchOutcome } from "./options.ts";

/** Why the launcher ends the ranks. */
export type EndCause =
  /** A rank has failed. */
  | { readonly kind: "failure" }
  /** Some ranks have not joined in time. */
  | { readonly kind: "late"; readonly ranks: readonly number[]; readonly seconds: number }
  /** A rank that has left the job neither ends nor gives a sign of life. */
  | { readonly kind: "stalled"; readonly rank: number; readonly seconds: number }
  /** A rank has called `abort()`. */
  | {
    readonly kind: "abort";
    readonly rank: number;
    readonly code: number;
    readonly message: string;
  }
  /** A signal to the launcher, or "abort" for the caller's `AbortSignal`. */
  | { readonly kind: "interrupt"; readonly how: string };

/** Where a job stands. */
export type JobState =
  | { readonly name: "running" }
  | { readonly name: "grace" }
  | { readonly name: "terminating"; readonly cause: EndCause }
  | { readonly name: "done"; readonly cause: EndCause | null };

/** Of two causes the later in this list is the one to tell. */
const ORDER: readonly EndCause["kind"][] = ["failure", "late", "stalled", "abort", "interrupt"];

/** The cause to tell of a job that is being ended when another cause comes up. */
export function strongerCause(one: EndCause, other: EndCause): EndCause {
  return ORDER.indexOf(other.kind) > ORDER.indexOf(one.kind) ? other : one;
}

/**
 * How a job ended.
 *
 * @param cause why the launcher ended it; null if it did not
 * @param lastLines what each rank printed last
 */
export function outcomeOf(
  cause: EndCause | null,
  ranks: readonly RankStatus[],
  lastLines: readonly (readonly string[])[],
): LaunchOutcome {
  const describe = (rank: number) => describeFailure(rank, ranks, lastLines[rank]);
  switch (cause?.kind) {
    case "interrupt":
      return {
        code: signalCode(cause.how),
        interrupted: cause.how,
        pending: describePending(ranks),
      };
    case "abort": {
      const { rank, code, message: words } = cause, failure = describe(rank);
      const message =
        `rank ${rank} on ${failure.host} ended the job with exit code ${code}: ${words}`;
      if (code === 0) return { code };
      return { code, failure: { ...failure, code, signal: null, headline: message, message } };
    }
    case "late": {
      const who = cause.ranks.length === 1 ? "rank" : "ranks";
      const message =
        `the job cannot start: ${who} ${cause.ranks.join(", ")} ${
          who === "rank" ? "has" : "have"
        } not called init() ` +
        `within ${cause.seconds} s of the others; a longer timeout or joinTimeout would wait longer`;
      const failure = describe(cause.ranks[0]);
      return {
        code: 1,
        failure: { ...failure, code: null, signal: null, headline: message, message },
      };
    }
    case "stalled": {
      const { rank, seconds } = cause, failure = describe(rank);
      const message =
        `rank ${rank} on ${failure.host} has left the job, but neither ended nor gave a ` +
        `sign of life for ${seconds} s: it was busy, or stopped, and was ended; a longer timeout would ` +
        "wait longer";
      return {
        code: 1,
        failure: { ...failure, code: null, signal: null, headline: message, message },
      };
    }
    default: {
      const rootCause = findRootCause(ranks);
      if (rootCause === null) return { code: 0 };
      return { code: exitCodeOf(rootCause, ranks), failure: describe(rootCause) };
    }
  }
}
