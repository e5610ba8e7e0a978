import { join } from "node:path";
import { LogError } from "./log_error.ts";

/** A run's `config.json`: `options` and, beside them, what was found out when it began. */
export type RunConfigFile = Readonly<Record<string, unknown>>;

/**
 * Reads the `config.json` in a run's folder, and checks no more than that it is an object.
 *
 * @returns null where there is none
 * @throws {LogError} where it is not an object
 */
export async function readConfigFile(directory: string): Promise<RunConfigFile | null> {
  const path = join(directory, "config.json");
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value)) return value;
  } catch { /* said below */ }
  throw new LogError(
    `cannot read ${path}: it must hold one JSON object (a run's options) and does not; ` +
      "a report is made without the options where it is deleted",
  );
}

/** A file of a run's folder that is there while a process writes to it, where `config.json` has it as `lock`. */
export const LOCK_FILE = ".run.lock";

/**
 * Whether the folder itself says that nobody writes to it any more; a process that was killed could not have it say so.
 * To be asked before the log is read, so that what a run has written last is in it.
 */
export async function isLeft(directory: string, config: RunConfigFile | null): Promise<boolean> {
  if (config?.lock !== LOCK_FILE) return false;
  try {
    await Deno.lstat(join(directory, LOCK_FILE));
    return false;
  } catch (error) {
    return error instanceof Deno.errors.NotFound;
  }
}

/** A run's options: those in its `config.json`, or none where it is missing or holds none. */
export function optionsOf(config: RunConfigFile | null): Readonly<Record<string, unknown>> {
  const options = config?.options ?? config ?? {};
  return isObject(options) ? options : {};
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
