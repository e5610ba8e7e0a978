/**
 * What is fetched before a run: an engine, a matter of hundreds of megabytes of which people want to know, and a data
 * set where that was asked for.
 *
 * @module
 */

import { basename, dirname, join, resolve } from "node:path";
import { ONNXRUNTIME_VERSION } from "../../deps.ts";
import type { DeviceKind } from "../../runtime/devices/device.ts";
import type { DownloadProgress } from "../data/sources/download.ts";
import { OptionError } from "../options/kinds.ts";
import type { Options } from "../options/values.ts";
import { TASKS } from "../options/defaults.ts";
import { openDownloadView } from "./download_view.ts";
import type { ViewKind } from "./view.ts";

/** What an engine's package takes on disk, in MB. */
const SIZES = { "onnxruntime-node": 290, "onnxruntime-web": 140 } as const;

/**
 * Says that an engine is about to be fetched, and how large it is, for `resolveDevice`.
 *
 * @param say gets one line; none if Deno's cache holds the engine, or where that is cannot be told
 */
export function sayDownload(say: (line: string) => void): (kind: DeviceKind) => Promise<void> {
  return async (kind) => {
    const line = await engineToFetch(kind);
    if (line !== null) say(line);
  };
}

async function engineToFetch(kind: DeviceKind): Promise<string | null> {
  const name = kind === "cpu" ? "onnxruntime-node" : "onnxruntime-web";
  try {
    const cache = cacheFolder();
    if (cache === null || import.meta.url.includes("/node_modules/")) return null;
    if (await holds(cache, name)) return null;
  } catch {
    return null; // It may not be looked at.
  }
  return `fetching ${name} ${ONNXRUNTIME_VERSION} from the npm registry, about ${
    SIZES[name]
  } MB: this ` +
    "once, then it is in Deno's cache";
}

async function holds(cache: string, name: string): Promise<boolean> {
  const packages = join(cache, "npm");
  try {
    for await (const registry of Deno.readDir(packages)) {
      const folder = join(packages, registry.name, name, ONNXRUNTIME_VERSION);
      if (await Deno.stat(folder).then(() => true, () => false)) return true;
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return false;
}

/** Deno's cache, as `deno info` shows it. */
function cacheFolder(): string | null {
  const given = Deno.env.get("DENO_DIR");
  if (given) return given;
  const [variable, ...path] = {
    windows: ["LOCALAPPDATA", "deno"],
    darwin: ["HOME", "Library", "Caches", "deno"],
  }[Deno.build.os as string] ??
    (Deno.env.get("XDG_CACHE_HOME") ? ["XDG_CACHE_HOME", "deno"] : ["HOME", ".cache", "deno"]);
  const base = Deno.env.get(variable);
  return base ? join(base, ...path) : null;
}

/** The data set's folder, absolute; fetched first if that was asked for. */
export async function findData(
  options: Pick<Options, "task" | "data" | "download" | "mirror">,
  kind: ViewKind,
): Promise<string> {
  const folder = resolve(options.data!);
  if (options.download && !await holdsAnotherForm(options.task, folder)) {
    const sources = await import("../data/sources/sources.ts");
    await using view = openDownloadView(kind);
    const onProgress = (progress: DownloadProgress) => view.onProgress(progress);
    const how = { onProgress, mirrors: options.mirror };
    switch (options.task) {
      case "cifar10":
        return resolve(await sources.downloadCifar10(folder, how));
      case "cifar100":
        return resolve(await sources.downloadCifar100(folder, how));
      case "ptb":
        return resolve(await sources.downloadPennTreebank(folder, how));
      case "wikitext2":
        return resolve(await sources.downloadWikiText2(folder, how));
    }
  }
  const info = await Deno.stat(folder).catch(() => null);
  if (!info?.isDirectory && !(info?.isFile && TASKS[options.task].takesFile)) {
    const what = TASKS[options.task].takesFile ? "a folder or file" : "a folder";
    throw new OptionError(`--data must be ${what} that exists, not "${options.data}"`);
  }
  return folder;
}

/** Whether CIFAR is there, whole, in a form that `--download` does not bring, which is read as it is. */
async function holdsAnotherForm(task: Options["task"], place: string): Promise<boolean> {
  if (task !== "cifar10" && task !== "cifar100") return false;
  const { cifarFiles } = await import("../data/images/cifar/cifar.ts");
  const { CIFAR10, CIFAR100 } = await import("../data/images/cifar/kinds.ts");
  const { isArchive } = await import("../data/sources/file_set.ts");
  const kind = task === "cifar10" ? CIFAR10 : CIFAR100;
  const files = await cifarFiles(kind, place).catch(() => []);
  const isBrought = (path: string) => basename(dirname(path)) === kind.binary.folder;
  if (files.length === 0 || files.some(isBrought)) return false;
  const isSplit = (path: string) => !isArchive(path) && !path.endsWith(".parquet");
  // Some of the files alone are a set too, if a smaller one.
  return !files.some(isSplit) || files.length > kind.trainFiles;
}
