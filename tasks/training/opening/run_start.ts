/**
 * How a run stands on one rank when it begins there, as options and caller say.
 *
 * @module
 */

import type { Communicator } from "../../../runtime/communicator.ts";
import { ranksAt, type Worlds } from "../../data/sampling/worlds.ts";
import { parseElastic, type RankLimits } from "../../options/recovery/elastic.ts";
import type { Options } from "../../options/table.ts";
import type { Checkpoints } from "../loop_parts.ts";
import type { Entrance } from "../membership/live_members.ts";
import type { RunOutput } from "../records/run_files.ts";
import type { TrainParts } from "./train_parts.ts";

/** Whether a run's ranks become others while it goes on, and how, see `membership/`. */
export type Membership = "fixed" | "live" | "punctual" | "replayed";

/** One rank's beginning. */
export interface RunStart {
  /** The ranks that begin, which stay the caller's; null on a process that comes to them. */
  readonly comm: Communicator | null;
  /** How this process comes to them; null on one that begins with them. */
  readonly entrance: Entrance | null;
  /** How many begin. */
  readonly size: number;
  /** Steps that have been done, of a run that goes on from a checkpoint; null: it begins anew. */
  readonly step: number | null;
  /** Theirs is the last. */
  readonly worlds: Worlds;
  /** Whose part of the data this rank opens, and whose masks it draws, until it is known as whom it trains. */
  readonly place: number;
  readonly membership: Membership;
  /** The worlds to come, if all are known from the record of a run that is run again; null: they are not. */
  readonly replay: Worlds | null;
  /** How many ranks the run may come to have. */
  readonly limits: RankLimits;
  /** Where they are, and how many have written the one to go on from. */
  readonly checkpoints: Checkpoints | undefined;
  /** Where this rank writes; absent if another does, or none. */
  readonly output: RunOutput | undefined;
}

/** How a run begins on this rank. Nothing is opened, and nobody is asked. */
export function startOf(
  from: Communicator | Entrance,
  options: Options,
  parts: TrainParts,
): RunStart {
  const [comm, entrance] = "enter" in from ? [null, from] : [from, null];
  const size = comm?.size ?? options.ranks, step = parts.checkpoints?.from ?? null;
  const { replay = null } = parts;
  const worlds = replay?.slice(0, 1) ??
    (parts.worlds?.length ? parts.worlds : [{ step: 0, ranks: size }]);
  const ranks = step === null ? size : ranksAt(worlds, step);
  return {
    ...{ comm, entrance, size, step, worlds, replay },
    place: Math.min(comm?.rank ?? 0, worlds.at(-1)!.ranks - 1),
    membership: membershipOf(options, size, replay !== null),
    limits: options.elastic ? parseElastic(options.elastic) : { least: 1, most: size },
    checkpoints: parts.checkpoints && { ...parts.checkpoints, ranks },
    output: comm?.rank === 0 ? parts.output : undefined,
  };
}

function membershipOf(
  { onFailure, maxWait }: Options,
  size: number,
  isReplayed: boolean,
): Membership {
  if (isReplayed) return "replayed";
  if (onFailure === "shrink") return "live";
  return maxWait !== null && size > 1 ? "punctual" : "fixed";
}
