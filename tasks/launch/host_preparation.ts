/**
 * A host that joins a run: its own device, its own data compared with rank 0's, its own folder for what its
 * ranks keep. It makes no folder of a run.
 *
 * @module
 */

import { resolve } from "node:path";
import type { Prepare } from "../../runtime/agents/agent_job.ts";
import { chooseGpus, type LocalGpus } from "../../runtime/devices/gpus/local_gpus.ts";
import type { DeviceKind } from "../../runtime/devices/device.ts";
import { isCompiled } from "../../runtime/ranks/compiled_rank.ts";
import { permissionsFor, resolveDevice } from "../../runtime/devices/open.ts";
import { type DataFile, describeData, differenceOf, localFiles } from "../problems/data_files.ts";
import type { Options } from "../options/values.ts";
import { readConfig, type SharedConfig } from "../run/folder.ts";
import { makeFolder } from "../run/write_error.ts";
import type { RankArguments, RankPlace } from "../training/rank_program.ts";

/** What the coordinator of a run tells the launchers of other hosts. */
export interface RunDetails {
  readonly kind: "celgc run";
  /** The run, see `RunConfig.id`. */
  readonly run: string;
  /** As in {@linkcode RankPlace}. */
  readonly config?: SharedConfig;
  /** Its folder at the coordinator, an absolute path. */
  readonly directory: string;
  readonly from: number | null;
  /** As it was asked for: `auto` is each host's own. */
  readonly device: Options["device"];
  /** The user's own variables. */
  readonly env: Readonly<Record<string, string>>;
  /** The user's own permissions, and those that every host's ranks need beside what their device does. */
  readonly allow: readonly string[];
  readonly task: Options["task"];
  /** The data set: its folder at the coordinator and its files; null if it is drawn. */
  readonly data: { readonly folder: string; readonly files: readonly DataFile[] } | null;
  /** Whether rank 0 sends them. */
  readonly sendsData: boolean;
  /** Whether hosts that do not see the run's folder keep their ranks' logs. @default {true} */
  readonly keepsLogs?: boolean;
  /** Whether each host keeps its ranks' parts of checkpoints. */
  readonly keepsCheckpoints: boolean;
}

/** What the user of a host that joins says. */
export interface HostOptionsHere {
  /** This host's folder of the data set. @default {the coordinator's} */
  readonly data?: string | null | undefined;
  /** Folder for what is kept here. @default {runs/<the run's id>} */
  readonly out?: string | null | undefined;
  /** Says a line to the user of this host. */
  readonly say: (line: string) => void;
  /** Says what the user of the run should know. @default {as `say`} */
  readonly note?: (line: string) => void;
}

/** Prepares a host for runs, and tidies up after them. */
export class HostPreparation implements AsyncDisposable {
  readonly #options: HostOptionsHere;
  readonly #temporary: string[] = [];

  /** @param options of this host's user */
  constructor(options: HostOptionsHere) {
    this.#options = options;
  }

  /** For `joinLaunch()`. Throws Error naming the host if its data is not the coordinator's. */
  readonly prepare: Prepare = async (details, { host, before, count, comes }) => {
    const { say, out } = this.#options;
    if (!isRunDetails(details)) return out ? { logDir: await folderAt(out) } : {};
    const { from, allow, run, config } = details;
    if (comes) {
      if (details.sendsData) {
        throw new Error(
          `host ${host} comes to a run that goes on, whose data was sent when it began (--send-data): it lets in ` +
            "hosts only if it was launched without",
        );
      }
      say("the run goes on already: it lets this host's ranks in after a round");
    }
    const device = await resolveDevice(details.device);
    const data = await this.#findData(details, host);
    const kept = out ?? `runs/${run}`;
    const local = details.keepsCheckpoints ? await folderAt(kept) : null;
    const logDir = details.keepsLogs === false || await sees(details)
      ? null
      : await this.#logFolder(kept);
    const folder = details.task === "text" ? await this.#temporaryFolder("tokens") : null;
    const place: RankPlace = {
      from,
      ...config === undefined ? {} : { config },
      ...folder === null ? {} : { folder },
      device,
      ...data === null ? {} : { data },
      ...data !== null && details.sendsData ? { receives: true } : {},
      ...local === null ? {} : { local },
    };
    if (local !== null) say(`parts of checkpoints stay in ${local}`);
    if (logDir !== null) say(`the logs of this host's ranks stay in ${logDir}`);
    const written = [local, details.sendsData ? data : null, folder].filter((each) =>
      each !== null
    );
    const read = [...new Set([local, data, folder])].filter((each) => each !== null);
    const args: RankArguments = ["", JSON.stringify(place)];
    const gpus = await gpusFor(device, before + count, details.env);
    for (const note of gpus.notes) (this.#options.note ?? say)(`note: ${note}`);
    return {
      args,
      rankEnv: gpus.variables.slice(before),
      ...logDir === null ? {} : { logDir },
      allow: [
        ...permissionsFor(device),
        ...read.length > 0 ? [`read=${read.map(comma)}`] : [],
        ...written.length > 0 ? [`write=${written.map(comma)}`] : [],
        ...device === "cpu" ? ["ffi"] : [],
        ...allow,
      ],
    };
  };

  /** A folder for logs; null where none can be made and nobody has named one. */
  async #logFolder(path: string): Promise<string | null> {
    try {
      return await folderAt(path);
    } catch (error) {
      if (this.#options.out) throw error;
      this.#options.say(`this host keeps no logs of its ranks: ${(error as Error).message}`);
      return null;
    }
  }

  /** A folder that is gone afterwards. */
  async #temporaryFolder(what: string): Promise<string> {
    const folder = await Deno.makeTempDir({ prefix: `celgc-${what}-` });
    this.#temporary.push(folder);
    return folder;
  }

  /** The data set's folder on this host; null where there are no files. */
  async #findData({ data, task, sendsData }: RunDetails, host: string): Promise<string | null> {
    if (data === null) return null;
    if (sendsData) {
      return await this.#temporaryFolder("data");
    }
    const folder = resolve(this.#options.data ?? data.folder);
    const wayOut = "give --data its folder of the same files, or launch with --send-data";
    let difference: string | null;
    try {
      await localFiles({ task, data: folder });
      difference = differenceOf(await describeData({ task, data: folder }), data.files);
    } catch (error) {
      throw new Error(`host ${host}: ${(error as Error).message}; ${wayOut}`, { cause: error });
    }
    if (difference === null) return folder;
    throw new Error(
      `host ${host} has other data than rank 0: in ${folder} ${difference}; ${wayOut}`,
    );
  }

  /** Removes what was sent. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const folder of this.#temporary.splice(0)) {
      await Deno.remove(folder, { recursive: true }).catch(() => {});
    }
  }
}

/** Which GPU each of a host's ranks takes; nothing to choose where they compute on something else. */
export async function gpusFor(
  device: DeviceKind,
  ranks: number,
  env: Readonly<Record<string, string>>,
): Promise<LocalGpus> {
  // A compiled program can start nothing but itself, and so can ask nobody.
  if (device !== "webgpu" || isCompiled()) return { variables: [], notes: [] };
  return await chooseGpus(ranks, env);
}

async function folderAt(path: string): Promise<string> {
  const folder = resolve(path);
  await makeFolder(folder);
  return folder;
}

/** Whether this host has the run's folder before it, where the coordinator writes all logs. */
async function sees({ directory, run }: RunDetails): Promise<boolean> {
  try {
    return (await readConfig(directory)).id === run;
  } catch {
    return false;
  }
}

function isRunDetails(details: unknown): details is RunDetails {
  return typeof details === "object" && details !== null && "kind" in details &&
    details.kind === "celgc run";
}

/** A comma separates paths in a permission; one inside a path is doubled. */
const comma = (path: string) => path.replaceAll(",", ",,");
