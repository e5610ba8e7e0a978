/**
 * The hosts that a run is spread over.
 *
 * @module
 */

import { RendezvousError } from "../../runtime/base/errors.ts";
import {
  type HostShare,
  type LauncherPlace,
  openWorld,
  type World,
  type WorldOptions,
  worldSize,
} from "../../runtime/launcher/across_hosts.ts";
import { InterruptedError } from "../../runtime/launcher/interrupts.ts";
import { describeData } from "../problems/data_files.ts";
import { asOptionError } from "../options/as_option_error.ts";
import { OptionError } from "../options/kinds.ts";
import { checkRules } from "../options/rules.ts";
import { parseElastic } from "../options/recovery/elastic.ts";
import { checkOptions, OPTIONS } from "../options/table.ts";
import { tlsOf } from "../options/tls.ts";
import type { Options } from "../options/values.ts";
import { VERSION } from "../run/version.ts";
import type { RunDetails } from "./host_preparation.ts";

/** How agents are started by ssh. */
const SSH = { program: import.meta.resolve("./agent_program.ts") };

/** What {@linkcode openHosts} goes by. */
export interface OpenHostsOptions {
  /** This process's place among launchers that something else has started; null: there are no others. */
  readonly place: LauncherPlace | null;
  /** Gives up. */
  readonly signal?: AbortSignal | undefined;
  /** Says a line to the user. */
  readonly say: (line: string) => void;
}

/** That no run has begun, because not all of its hosts are there. */
export class HostsError extends Error {
  /** The name of the class. */
  override readonly name = "HostsError";

  /** Says what is missing. */
  constructor(
    message: string,
    /** What the process ends with. */
    readonly code: number,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** Whether options name other hosts than this one, or leave room for such as come later. */
export function leavesHost(given: Partial<Options>, place: LauncherPlace | null): boolean {
  const { ranks, world, hosts, hostfile, preset, resume } = given;
  const others = world != null && world !== (ranks ?? OPTIONS.ranks.default);
  if (place !== null || others || hosts != null || hostfile != null) return true;
  // What a preset or a folder says of ranks is not known yet.
  const here = ranks ?? (preset != null || resume != null ? Infinity : OPTIONS.ranks.default);
  return (mostRanksOf(given) ?? 0) > here;
}

/** Most ranks of a run to which hosts may come while it goes on; null of another. */
function mostRanksOf(given: Partial<Options>): number | null {
  const { elastic = null } = checkOptions({ elastic: given.elastic ?? null });
  return elastic === null ? null : parseElastic(elastic).most;
}

/** What the runtime is told of which hosts there are. */
function worldOf(given: Partial<Options>, place: LauncherPlace | null): WorldOptions {
  const { ranks = place === null ? OPTIONS.ranks.default : 1 } = given, most = mostRanksOf(given);
  const { world, hosts, hostfile, port, invitation, listen, timeout, transport = "auto" } = given;
  const joins = place === null && hosts == null && hostfile == null;
  if (joins) checkRules({ world: world ?? null, ranks }, given);
  if (tlsOf(given)) {
    throw new OptionError(
      "--tls-cert is for ranks of this host: a job on several makes a certificate for itself alone, which " +
        "nobody else's authority need sign; leave --tls-cert, --tls-key and --tls-ca out",
    );
  }
  return {
    ranks,
    ...world ? { world } : {},
    // Whoever has started several launchers decides which hosts there are.
    ...most !== null && place === null ? { mostRanks: most } : {},
    ...hosts ? { hosts } : {},
    ...hostfile ? { hostfile } : {},
    ...place ? { place } : {},
    ...port ? { port } : {},
    ...invitation ? { invitation } : {},
    ...listen && listen !== OPTIONS.listen.default ? { listen } : {},
    ...timeout ? { timeout } : {},
    ...transport === "auto" ? {} : { transport },
  };
}

/**
 * Number of all ranks, as options say before anybody has come; what contradicts it is refused before
 * anybody waits.
 *
 * @throws OptionError if options contradict each other
 */
export async function sizeOf(
  given: Partial<Options>,
  place: LauncherPlace | null,
): Promise<number> {
  const { size, here } = await asOptionError(null, () => worldSize(worldOf(given, place)));
  if (here > 0) return size;
  throw new OptionError(
    `${
      given.hosts != null ? "--hosts" : "--hostfile"
    } does not name this host, and a run's folder is where ` +
      "rank 0 is: name this host as well, or start the command line, which goes to the first that is named",
  );
}

/**
 * Waits until all hosts are there.
 *
 * @throws OptionError if options contradict each other
 * @throws HostsError if a host does not come, or it was given up before
 */
export async function openHosts(
  given: Partial<Options>,
  { place, signal, say }: OpenHostsOptions,
): Promise<World> {
  try {
    return await asOptionError(null, () =>
      openWorld({
        ...worldOf(given, place),
        ...signal ? { signal } : {},
        version: VERSION,
        ssh: SSH,
        say,
      }));
  } catch (error) {
    if (error instanceof RendezvousError) throw new HostsError(error.message, 1, { cause: error });
    if (!(error instanceof InterruptedError)) throw error;
    const code = error.how === "SIGTERM" ? 143 : 130;
    throw new HostsError(error.message, code, { cause: error });
  }
}

/**
 * Waits for what is done here for hosts that have joined, such as what comes before their ranks are started. Where it
 * fails, they end with 1, and are told why.
 *
 * @param hosts null: there are none, or whatever else they have joined for goes on
 */
export async function tellHosts<T>(hosts: World | null, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (hosts) hosts.outcome = { code: 1, message };
    throw error;
  }
}

/** For example `on a (ranks 0 to 3) and b (ranks 4 to 7)`. */
export function describeHosts({ hosts }: World): string {
  // A host may have several launchers, one for each rank.
  const merged: HostShare[] = [];
  for (const { host, first, count } of hosts) {
    const last = merged.at(-1);
    if (last?.host !== host) merged.push({ host, first, count });
    else merged[merged.length - 1] = { ...last, count: last.count + count };
  }
  const each = merged.map(({ host, first, count }) =>
    `${host} (${count === 1 ? `rank ${first}` : `ranks ${first} to ${first + count - 1}`})`
  );
  return `on ${each.join(", ")}`;
}

/**
 * What the other hosts are told of a run.
 *
 * @param asked the device as it was asked for
 * @throws DataError if a file of the data set is not there
 */
export async function describeRun(
  options: Options,
  asked: Options["device"],
  { run, directory }: Pick<RunDetails, "run" | "directory">,
): Promise<Omit<RunDetails, "from">> {
  const { task, data, sendData, checkpointLocal, transport } = options;
  return {
    kind: "celgc run",
    run,
    directory,
    env: options.env,
    device: asked,
    allow: transport === "mpi" ? [...options.allow, "ffi"] : options.allow,
    task,
    data: data === null
      ? null
      : { folder: data, files: sendData ? [] : await describeData({ task, data }) },
    sendsData: sendData,
    keepsCheckpoints: checkpointLocal,
  };
}
