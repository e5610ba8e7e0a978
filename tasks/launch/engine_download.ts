/**
 * Whether an engine has to be fetched before it can run: a matter of hundreds of megabytes, of which people
 * want to know.
 *
 * @module
 */

import { join } from "node:path";
import { ONNXRUNTIME_VERSION } from "../../deps.ts";
import type { DeviceKind } from "../../runtime/devices/device.ts";

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
