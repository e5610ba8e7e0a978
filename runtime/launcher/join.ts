/**
 * Joins a job of another host with ranks of this one.
 *
 * @module
 */

import { type AgentOutcome, runAgent } from "../agents/agent.ts";
import type { Prepare } from "../agents/agent_job.ts";
import { decodeInvitation, type Invitation } from "../agents/invitation.ts";
import { RendezvousError } from "../base/errors.ts";
import type { LauncherPlace } from "./across_hosts.ts";
import { becomeCompiledRank } from "../ranks/compiled_rank.ts";
import { type InterruptOptions, onInterrupt, signalCode } from "./interrupts.ts";
import { checkPlace, findCoordinator, type KnownPlace } from "./launcher_place.ts";
import { RUNTIME_VERSION } from "./world.ts";

/**
 * How to take part in a job of another host; what interrupts that ends the job on all hosts, or only leaves it where
 * that had begun before this one came, or, for one that was invited, has not begun.
 */
export interface JoinLaunchOptions extends InterruptOptions {
  /** How many ranks to start here. */
  readonly ranks: number;
  /** Version of the program; it must be the coordinator's. @default {the runtime's} */
  readonly version?: string;
  /** This host's place in the order of hosts, if the coordinator has given it one. */
  readonly seat?: number;
  /** Address, network (`10.0.0.0/8`) or card (`eth0`) at which others reach the ranks. @default {the nearest} */
  readonly listen?: string;
  /** The one port that other hosts need of this one. @default {any, and one of each rank} */
  readonly port?: number;
  /** Seconds in which the coordinator must be found. @default {60} */
  readonly joinTimeout?: number;
  /** Resolves when whoever has started this process is gone; then it ends at once. */
  readonly orphaned?: Promise<void>;
  /**
   * Prepares this host for its ranks: gets the coordinator's `details`, and says what is different here.
   * Whatever it throws ends the job.
   */
  readonly prepare?: Prepare;
  /** Says a line to the user. @default {on standard error} */
  readonly say?: (line: string) => void;
}

/**
 * Starts ranks on this host for a job that another launcher has begun, until that is at its end. They are
 * ended with it, whatever becomes of the coordinator.
 *
 * @param invitation to the job, or this process's place among launchers that something else has started
 * @returns the job's exit code; 1 if the coordinator was lost
 * @throws RangeError if an option is wrong
 * @throws RendezvousError if the coordinator is not there or refuses this host
 * @throws HandshakeError if the coordinator cannot be trusted, or does not trust this host
 */
export async function joinLaunch(
  invitation: Invitation | string | LauncherPlace,
  options: JoinLaunchOptions,
): Promise<AgentOutcome> {
  await becomeCompiledRank();
  const { ranks, port } = options;
  if (!Number.isInteger(ranks) || ranks < 1 || ranks > 65536) {
    throw new RangeError(`cannot join: the number of ranks is from 1 to 65536, not ${ranks}`);
  }
  if (port !== undefined && !(Number.isInteger(port) && port >= 1 && port <= 65535)) {
    throw new RangeError(`cannot join: a port is from 1 to 65535, not ${port}`);
  }
  const say = options.say ?? ((line: string) => console.error(`celgc: ${line}`));
  const place = typeof invitation === "object" && "source" in invitation
    ? invitation as KnownPlace
    : null;
  if (place !== null) checkPlace(place, ranks, undefined);
  const coordinator = place !== null
    ? (deadline: number) => findCoordinator(place, deadline)
    : typeof invitation === "string"
    ? decodeInvitation(invitation)
    : invitation as Invitation;
  if (typeof coordinator === "object") checkVersion(coordinator, options);
  const controller = new AbortController();
  let interrupt: ((how: string, code: number) => void) | null = null;
  let ended: string | null = null;
  const abort = (how: string) => {
    ended = how;
    controller.abort(how);
    interrupt?.(how, signalCode(how));
  };
  const undo = onInterrupt(options, abort);
  if (options.signal?.aborted) abort("abort");
  try {
    return await runAgent(coordinator, {
      ranks,
      version: options.version ?? RUNTIME_VERSION,
      seat: place !== null ? place.index - 1 : options.seat ?? null,
      listen: options.listen ?? null,
      port: port ?? null,
      joinTimeout: options.joinTimeout ?? 60,
      signal: controller.signal,
      interrupts(take) {
        interrupt = take;
        if (ended !== null) take(ended, signalCode(ended));
      },
      ...(options.orphaned ? { orphaned: options.orphaned } : {}),
      ...(options.prepare ? { prepare: options.prepare } : {}),
      say,
    });
  } finally {
    undo();
  }
}

/** Before anything is dialled: the coordinator would refuse it as well. */
function checkVersion(invitation: Invitation, { version = RUNTIME_VERSION }: JoinLaunchOptions) {
  if (invitation.version === version) return;
  throw new RendezvousError(
    `cannot join: the invitation is to version ${invitation.version} of the program, this is version ` +
      `${version}: run the same on all hosts`,
  );
}
