/**
 * What a rank takes with it when the ranks it trains with become others: all that a checkpoint has, in memory, and
 * what lies between two checkpoints.
 *
 * @module
 */

import { platform } from "../../../runtime/base/platform.ts";
import type { Communicator } from "../../../runtime/communicator.ts";
import { membersOf, newcomersAt, type Worlds } from "../../data/sampling/worlds.ts";
import { decodeSafetensors, encodeSafetensors } from "../../networks/safetensors.ts";
import type { OpenRound } from "../../rounds/round.ts";
import { broadcastBytes, broadcastText } from "../../run/byte_stream.ts";
import { loadNumber, type StateDict, type Stateful } from "../../run/checkpoint.ts";
import type { Evaluation } from "../../steps/evaluator.ts";
import type { CompletedStep } from "../../steps/in_flight.ts";
import type { StepMetrics } from "../records/metric_gather.ts";
import { Attendance } from "./attendance.ts";
import type { WaitingLog } from "../waiting/waiting_log.ts";

/** A step that a rank has taken, before what it does with the others. */
export interface TakenStep {
  readonly t: number;
  /** Whether the ranks have exchanged anything for it, or are to. */
  readonly meets: boolean;
  /** What it came to; null where the device has not told, and nobody has to know. */
  readonly last: CompletedStep | null;
}

/** How a loop stands with its evaluations. All ranks hold the same. */
export interface Watch {
  /** How many were due. */
  readonly evaluations: number;
  /** The last one; null before the first. */
  readonly last: Evaluation | null;
  /** Whether it has been held against the best. */
  readonly noted: boolean;
}

/** What a rank takes with it. */
export interface Carried {
  /** Steps that it has done. */
  readonly step: number;
  /** The last of them, if it is still to be followed by what ranks do together. */
  readonly taken: TakenStep | null;
  /** What its parts have saved, copied. */
  readonly state: StateDict;
  /** Of each part of the weights, what has been since its last round. */
  readonly open: readonly OpenRound[];
  readonly watch: Watch;
  /** Numbers of steps that have not been brought to the one that writes. */
  readonly metrics: readonly StepMetrics[];
  /** What the ranks have waited for, on the rank that writes; null on the others. */
  readonly waits: WaitingLog | null;
  /** Whether this rank is the one that writes, so that its own are written. */
  readonly writes: boolean;
  /** Whether the rank comes to others, and has nothing of its own. */
  readonly isFresh: boolean;
  /** When the first step began, in ms of this rank's `performance.now()`. */
  readonly start: number;
  /** When a checkpoint was last agreed on, likewise. */
  readonly lastSave: number;
}

/** What parts of a run are, copied. */
export async function capture(parts: readonly Stateful[]): Promise<StateDict> {
  const states: StateDict[] = [];
  for (const each of parts) {
    const { tensors, numbers } = await each.save();
    states.push({
      tensors: tensors.map((tensor) => ({ ...tensor, data: tensor.data.slice() })),
      numbers,
    });
  }
  return {
    tensors: states.flatMap(({ tensors }) => tensors),
    numbers: Object.assign({}, ...states.map(({ numbers }) => numbers)),
  };
}

/** What of a rank's numbers is its own, and no other's: those that come have done nothing yet. */
const OWN_NUMBERS =
  /^(loop\.samples|summed|bytesSent|bytesReceived|seconds|plainBytes|tally\.(?!steps|rounds|driftBound).*)$/;

/** The losses of a rank's own latest steps. */
const OWN_LOSSES = "tally.losses";

/**
 * Tensors that are a rank's own, and zero for one that comes: what it has lost of what it sent, or owes, and how its
 * steps are corrected.
 */
const OWN_TENSORS =
  /^((compress|controls)\.residual|sends\.owed)(\.part\d+)?$|\.(correction|gradient_sum)$/;

/**
 * What a rank begins with that comes to others: weights, outer optimizers and momenta as they have them, its
 * control variates as those of all, so that its steps are corrected by nothing, and nothing owed to anybody.
 */
function forNewcomer({ tensors, numbers }: StateDict): StateDict {
  const common = tensors.find(({ name }) => name === "controls.common");
  return {
    tensors: tensors.filter(({ name }) => name !== OWN_LOSSES).map((tensor) => {
      if (OWN_TENSORS.test(tensor.name)) {
        return { ...tensor, data: new Float32Array(tensor.data.length) };
      }
      return tensor.name === "controls.own" && common ? { ...tensor, data: common.data } : tensor;
    }),
    numbers: Object.fromEntries(
      Object.entries(numbers).map(([name, value]) => [name, OWN_NUMBERS.test(name) ? 0 : value]),
    ),
  };
}

/**
 * Gives those that come what they go on from: what the first of those has that were in the last round. Collective over
 * all.
 *
 * @param carried null on a rank that comes
 * @returns what this rank goes on from
 */
export async function share(
  comm: Communicator,
  worlds: Worlds,
  carried: Carried | null,
): Promise<Carried> {
  const world = worlds.at(-1)!, come = newcomersAt(worlds, carried?.step ?? world.step);
  if (come.length === 0) return carried!;
  const members = membersOf(world), others = members.filter((rank) => !come.includes(rank));
  // One that the last round has not drawn stands elsewhere than where those are that it has.
  const best = carried && members.indexOf(Attendance.latest(carried.state, others));
  const first = members.indexOf(others[0]);
  const root = Number(await broadcastText(comm, comm.rank === first ? `${best}` : null, first));
  const gives = comm.rank === root;
  const { step, state, open, watch } = carried ?? {};
  const told = gives ? JSON.stringify({ step, numbers: state!.numbers, open, watch }) : null;
  const head = JSON.parse(await broadcastText(comm, told, root));
  const file = gives ? encodeSafetensors({ tensors: state!.tensors, metadata: {} }) : null;
  const bytes = await broadcastBytes(comm, file, root);
  if (carried) return carried;
  const { tensors } = decodeSafetensors(bytes), now = platform.now();
  return {
    ...head,
    taken: null,
    isFresh: true,
    state: forNewcomer({ tensors, numbers: head.numbers }),
    metrics: [],
    waits: null,
    writes: false,
    // The clock of the run goes on.
    start: now - loadNumber(head, "loop.milliseconds"),
    lastSave: now,
  };
}
