/**
 * The processes that ranks are.
 *
 * @module
 */

import { permissionsFor } from "../../runtime/devices/open.ts";
import type { DeviceKind } from "../../runtime/devices/device.ts";
import type { LaunchProgramOptions } from "../../runtime/launcher/launch.ts";
import type { Options } from "../options/table.ts";
import { tlsOf } from "../options/tls.ts";

/** The program that ranks train by. */
export const TRAINER = new URL(import.meta.resolve("../training/rank_program.ts"));

/**
 * How the ranks of a run are started, whatever their program.
 *
 * @param options with a device and a data set that have been found
 * @param directory a folder that they read and write
 */
export function processesOf(
  options: Options,
  directory: string,
): Omit<LaunchProgramOptions, "program"> {
  const tls = tlsOf(options);
  const readable = options.data === null ? [directory] : [directory, options.data];
  return {
    ranks: options.ranks,
    env: options.env,
    ...(options.cwd === null ? {} : { cwd: options.cwd }),
    allow: [
      ...permissionsFor(options.device as DeviceKind),
      `read=${readable.map(comma)}`,
      `write=${comma(directory)}`,
      // The CPU's engine is native code, which may do anything, so the ranks may share memory as well. An
      // MPI library is native code too.
      ...(options.device === "cpu" || options.transport === "mpi" ? ["ffi"] : []),
      ...options.allow,
    ],
    ...(options.transport === "auto" ? {} : { transport: options.transport }),
    stdin: options.stdin,
    listen: options.listen,
    timeout: options.timeout,
    ...(tls ? { tls } : {}),
    ...(options.link === null ? {} : { link: options.link }),
    ...(options.connections === 1 ? {} : { connections: options.connections }),
    ...(options.onFailure === "shrink" ? { onFailure: "return" } : {}),
    quiet: true,
  };
}

/** A comma separates paths in a permission; one inside a path is doubled. */
const comma = (path: string) => path.replaceAll(",", ",,");
