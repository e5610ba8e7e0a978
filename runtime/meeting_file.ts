/**
 * How the ranks of a job without a launcher of ours find rank 0: it writes where it listens, and a
 * secret, to a file that only their user can read. On one host that is in a temporary folder; on several,
 * in one that they share.
 *
 * @module
 */

import { join } from "node:path";
import { RendezvousError } from "./errors.ts";

/** How often the file is looked for, in ms. */
const LOOK_MS = 50;

/** What the file says. */
export interface MeetingNote {
  readonly hostname: string;
  readonly port: number;
  /** The job's secret, in hexadecimal digits. */
  readonly secret: string;
}

/** The folder on one host. Whoever else writes there is recognised by the owner of the file. */
export function defaultFolder(environment: (name: string) => string | undefined): string {
  return environment("TMPDIR") ?? "/tmp";
}

/** Where the file of a job is. */
export function meetingPath(folder: string, job: string): string {
  return join(folder, `celgc-${job}-${Deno.uid() ?? 0}`);
}

/** Writes the file, readable for this user alone. */
export async function writeMeeting(path: string, note: MeetingNote): Promise<void> {
  const part = `${path}.${Deno.pid}`;
  try {
    await Deno.writeTextFile(part, JSON.stringify(note), { createNew: true, mode: 0o600 });
    await Deno.rename(part, path);
  } catch (error) {
    throw new RendezvousError(
      `rank 0 cannot write ${path}, by which the others find it: ${(error as Error).message}`,
      { cause: error },
    );
  }
}

/**
 * Waits for the file and reads it.
 *
 * @param deadline when to give up, on the clock of `performance.now()`
 * @throws RendezvousError if it does not come, or somebody else could have written or read it
 */
export async function readMeeting(path: string, deadline: number): Promise<MeetingNote> {
  for (;;) {
    const found = await Deno.lstat(path).catch((error) => {
      if (error instanceof Deno.errors.NotFound) return null;
      throw error;
    });
    if (found !== null) {
      const { isFile, uid, mode } = found;
      if (!isFile || uid !== Deno.uid() || mode === null || (mode & 0o077) !== 0) {
        throw new RendezvousError(
          `cannot trust ${path}: it must be a file of this user's with mode 0600`,
        );
      }
      return JSON.parse(await Deno.readTextFile(path));
    }
    if (performance.now() > deadline) {
      throw new RendezvousError(
        `rank 0 has not written ${path} in time: it has not called init(), or its job has another ` +
          "name (then set CELGC_JOB to the same one on all ranks), or it runs on another host (then set " +
          "CELGC_FOLDER to a folder that all hosts share)",
      );
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
