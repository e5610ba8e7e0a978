/**
 * What a plan is asked for.
 *
 * @module
 */

import type { Interval } from "../../optimizers/rounds/interval.ts";
import { ALGORITHMS } from "../../optimizers/registry.ts";
import type { LauncherPlace } from "../../runtime/launcher/across_hosts.ts";
import { leavesHost, sizeOf } from "../launch/run_hosts.ts";
import type { ViewKind } from "../launch/view.ts";
import { OptionError } from "../options/kinds.ts";
import { resolveOptions } from "../options/resolve.ts";
import { OPTIONS, type Options } from "../options/table.ts";

/** How much slower than the fastest the advised setting may be, if nothing is said. */
export const TOLERANCE = 0.05;

/** What hosts are taken to be connected by if nothing is said: a network of a cluster. */
const HOSTS_LINK = "10gbit,50us";

/** What is to be planned: options of `launch` by their names in code. */
export interface PlanOptions extends
  Partial<
    Omit<
      Options,
      | "resume"
      | "checkpointEvery"
      | "onFailure"
      | "maxRestarts"
      | "replay"
      | "maxWait"
      | "elastic"
      | "keep"
      | "grace"
      | "preemptedCode"
      | "log"
      | "trace"
      | "traceKernels"
      | "out"
      | "json"
      | "quiet"
      | "hosts"
    >
  > {
  /**
   * Whether to measure with the ranks behind `link`, instead of measuring this machine's own network
   * and calculating what the link adds. @default {false}
   */
  readonly shaped?: boolean;
  /**
   * A number: hosts that `ranks` are to be on, as many on each. Ranks of one are measured, and an allreduce
   * between hosts is calculated, for `link`, which then is a host's. Names, such as `a:4,b:4`: hosts to reach
   * by ssh, all of which are measured. @default {one for each rank if there is a `link`, else this machine}
   */
  readonly hosts?: number | string;
  /**
   * This process's place among launchers that something else has started, all of which are measured.
   * @default {there are no others}
   */
  readonly place?: LauncherPlace | null;
  /**
   * By how much the wall clock of the setting that is advised may exceed that of the fastest, as a share of this
   * one. @default {0.05}
   */
  readonly tolerance?: number;
  /** The intervals to predict. @default {those of 1, 2, 4, 8, 16 and 32 that go with the options, and `interval`} */
  readonly intervals?: readonly Interval[];
  /** What is shown on standard error. @default {"silent"} */
  readonly view?: ViewKind;
  /** Ends the measurements early, on all ranks. */
  readonly signal?: AbortSignal;
}

/** What a plan is for, checked before anything is started. */
export interface PlanRequest {
  /** Options of `launch` as they are given, `hosts` among them where they are named. */
  readonly given: Partial<Options>;
  /** The same for the ranks of all hosts. */
  readonly ofAllHosts: Partial<Options>;
  /** Those as resolved. */
  readonly options: Options;
  /** Whether ranks are measured on several hosts. */
  readonly isAcross: boolean;
  /** Hosts that are calculated, with as many ranks on each; null: none are. */
  readonly hosts: number | null;
  /** The access link that the prediction is for; null: the network that is measured. */
  readonly link: string | null;
  /** Whether the ranks are measured behind it, instead of what it adds being calculated. */
  readonly shaped: boolean;
  /** See {@linkcode PlanOptions}, as what follows. */
  readonly tolerance: number;
  readonly intervals: readonly Interval[] | undefined;
}

/**
 * Resolves and checks what a plan is for.
 *
 * @throws OptionError when an option has a value it cannot have
 */
export async function requestOf(
  asked: Omit<PlanOptions, "view" | "signal">,
): Promise<PlanRequest> {
  const { shaped = false, tolerance = TOLERANCE, place = null, intervals, ...rest } = asked;
  const given = { ...rest, hosts: typeof rest.hosts === "string" ? rest.hosts : null };
  const hosts = typeof rest.hosts === "number" ? rest.hosts : null;
  const isAcross = leavesHost(given, place);
  const ofAllHosts = isAcross ? { ...given, ranks: await sizeOf(given, place) } : given;
  const options = resolveOptions(ofAllHosts);
  checkMeaning(given, shaped);
  if (!(tolerance >= 0)) {
    throw new OptionError({ flag: "--tolerance", rule: "a share from 0", value: tolerance });
  }
  if (hosts !== null) checkHosts(options, hosts, shaped || isAcross);
  if (isAcross && options.link !== null && !shaped) {
    throw new OptionError(
      "--link is calculated for hosts that are not there: leave it out where hosts are measured, or give " +
        "--shaped to measure behind it",
    );
  }
  const link = options.link ?? (hosts === null ? null : HOSTS_LINK);
  return { given, ofAllHosts, options, isAcross, hosts, link, shaped, tolerance, intervals };
}

/** Throws OptionError for a number of hosts that cannot be calculated. */
function checkHosts({ ranks }: Options, hosts: number, measured: boolean): void {
  if (!(Number.isInteger(hosts) && hosts > 0 && ranks % hosts === 0)) {
    throw new OptionError(
      `--hosts must divide --ranks, ${ranks}, into equal parts for a plan, found ${hosts}`,
    );
  }
  if (measured) {
    throw new OptionError(
      `--hosts ${hosts} is for hosts that are not there, which are calculated: leave it out where ranks are ` +
        "measured on several, or behind a link (--shaped)",
    );
  }
}

/** Throws OptionError for what has no meaning where intervals are compared. */
function checkMeaning(given: Partial<Options>, shaped: boolean): void {
  const { algorithm = OPTIONS.algorithm.default } = given;
  if (ALGORITHMS[algorithm].rounds === "none") {
    throw new OptionError(`--algorithm ${algorithm} exchanges nothing: there is nothing to plan`);
  }
  if (given.syncEvery) {
    throw new OptionError(
      "--sync-every has no meaning for a plan, which is about intervals in steps",
    );
  }
  if (given.syncEpochs) {
    throw new OptionError("--sync-epochs is left out of a plan: it adds one round to each epoch");
  }
  if (shaped && !given.link) throw new OptionError("--shaped measures behind a --link: give one");
}
