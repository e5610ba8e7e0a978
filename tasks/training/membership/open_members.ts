/**
 * How the ranks of a run become others, chosen by what was asked for.
 *
 * @module
 */

import type { Communicator } from "../../../runtime/communicator.ts";
import { membersOf } from "../../data/sampling/worlds.ts";
import type { RunHost } from "../../logs/records.ts";
import type { Options } from "../../options/table.ts";
import type { RunStart } from "../opening/run_start.ts";
import { LiveMembers } from "./live_members.ts";
import type { Members } from "./members.ts";
import { PunctualMembers } from "./punctual_members.ts";
import { ReplayedMembers } from "./replayed_members.ts";

/** What members are told. */
interface MembersParts {
  /** Whether any rank had callbacks when the run began. */
  readonly anyCallbacks: boolean;
  /** Tells on which hosts some ranks are. Collective. */
  hostsOf(comm: Communicator): Promise<readonly RunHost[]>;
}

/** A run's members; null where its ranks stay the same. Collective over those that begin. */
export async function openMembers(
  { comm, entrance, worlds, membership, replay, limits: { least } }: RunStart,
  { maxWait }: Options,
  { anyCallbacks, hostsOf }: MembersParts,
): Promise<Members | null> {
  const say = (line: string) => console.error(line);
  switch (membership) {
    case "fixed":
      return null;
    case "live": {
      const firsts = membersOf(worlds.at(-1)!);
      const from = entrance ?? { comm: comm!, worlds, firsts, anyCallbacks };
      return new LiveMembers(from, { least, hostsOf, say });
    }
    case "punctual":
      return new PunctualMembers(comm!, await comm!.dup(), worlds, maxWait!, say);
    case "replayed":
      return new ReplayedMembers(comm!, replay!);
  }
}
