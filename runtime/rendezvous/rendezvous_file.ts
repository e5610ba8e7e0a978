/**
 * How the ranks of a job without a launcher of ours find rank 0: it writes where it listens, and a
 * secret, to a file that only their user can read. On one host that is in a temporary folder; on several,
 * in one that they share.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { join } from "node:path";
import { systemReason } from "../base/system_error.ts";
import { RendezvousError } from "../base/errors.ts";
import { platform } from "../base/platform.ts";

/** How often the file is looked for, in ms. */
const LOOK_MS = 50;

/** Most bytes that are read. */
const LARGEST_RECORD = 4096;

/** What the file says. */
export interface RendezvousRecord {
  readonly hostname: string;
  readonly port: number;
  /** The job's secret, in hexadecimal digits. */
  readonly secret: string;
}

/** The folder on one host. Whoever else writes there is recognised by the owner of the file. */
export function defaultFolder(environment: (name: string) => string | undefined): string {
  return environment("TMPDIR") ?? "/tmp";
}

/**
 * Where the file of a job is.
 *
 * @param job its whole name, however long
 * @throws RendezvousError on Windows, where files have no owner and mode by which to trust them
 */
export function rendezvousPath(folder: string, job: string): string {
  if (Deno.build.os === "windows") {
    throw new RendezvousError(
      "cannot find the other ranks by a file on Windows, where it cannot be told who may read it: set " +
        "CELGC_RENDEZVOUS to host:port of rank 0 and CELGC_SECRET_FILE",
    );
  }
  return join(folder, `celgc-${fileName(job)}-${Deno.uid() ?? 0}`);
}

/** A job's name as part of a file's; where it cannot be that, its hash tells it from others. */
function fileName(job: string): string {
  if (/^[\w.-]{1,64}$/.test(job)) return job;
  const hash = createHash("sha256").update(job).digest("hex").slice(0, 32);
  return `${job.slice(0, 31).replace(/[^\w.-]/g, "_")}-${hash}`;
}

/**
 * Writes the file, readable for this user alone, instead of any that an earlier job has left.
 *
 * @returns removes the file again, unless it has become another job's; what is left to do when this
 *   process ends is done then
 */
export async function writeRendezvousFile(
  path: string,
  record: RendezvousRecord | string,
): Promise<() => void> {
  const part = `${path}.${platform.pid}`;
  const text = typeof record === "string" ? record : JSON.stringify(record);
  try {
    for (const old of [path, part]) {
      await platform.remove(old).catch((error) => {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      });
    }
    await platform.writeTextFile(part, text, { createNew: true, mode: 0o600 });
    await platform.rename(part, path);
  } catch (error) {
    throw new RendezvousError(
      `rank 0 cannot write ${path}, by which the others find it: ${systemReason(error)}`,
      { cause: error },
    );
  }
  const remove = () => {
    removeEventListener("unload", remove);
    try {
      if (platform.readTextFileSync(path) === text) platform.removeSync(path);
    } catch {
      // Gone already.
    }
  };
  addEventListener("unload", remove);
  return remove;
}

/**
 * Waits for the file and reads what it holds, for {@linkcode parseRecord} or whoever has written something else.
 *
 * @param deadline when to give up, on the clock of `performance.now()`
 * @throws RendezvousError if it does not come, or somebody else could have written or read it
 */
export async function readRendezvousText(path: string, deadline: number): Promise<string> {
  for (;;) {
    const text = await readNow(path);
    if (text !== null) return text;
    if (platform.now() > deadline) {
      throw new RendezvousError(
        `rank 0 has not written ${path} in time: it has not called init() or has given up, or its job has another ` +
          "name (then set CELGC_JOB to the same one on all ranks), or it runs on another host (then set " +
          "CELGC_FOLDER to a folder that all hosts share)",
      );
    }
    await new Promise((resolve) => platform.setTimeout(resolve, LOOK_MS));
  }
}

/** What the file says; null if there is none. */
async function readNow(path: string): Promise<string | null> {
  try {
    // Opening a pipe would wait for its writer, and a link leads elsewhere: so first without opening.
    checkOwner(path, await platform.lstat(path));
    using file = await platform.open(path);
    checkOwner(path, await file.stat());
    const text = new Uint8Array(LARGEST_RECORD);
    let length = 0;
    for (let n; (n = await file.read(text.subarray(length)));) length += n;
    return new TextDecoder().decode(text.subarray(0, length));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

function checkOwner(path: string, { isFile, uid, mode }: Deno.FileInfo): void {
  if (isFile && uid === Deno.uid() && mode !== null && (mode & 0o077) === 0) return;
  throw new RendezvousError(
    `cannot trust ${path}: it must be a file of this user's with mode 0600`,
  );
}

/**
 * Reads the text; errors do not show it, since it has the secret.
 *
 * @throws RendezvousError if it is no record
 */
export function parseRecord(path: string, text: string): RendezvousRecord {
  let record: Partial<Record<keyof RendezvousRecord, unknown>> | null;
  try {
    record = JSON.parse(text);
  } catch {
    record = null;
  }
  const { hostname, port, secret } = record ?? {};
  if (
    typeof hostname === "string" && /^[\w.:%-]{1,255}$/.test(hostname) &&
    typeof port === "number" && Number.isInteger(port) && port >= 1 && port <= 65535 &&
    typeof secret === "string" && /^[0-9a-f]{64}$/.test(secret)
  ) {
    return { hostname, port, secret };
  }
  throw new RendezvousError(
    `cannot read ${path}: it must have a host, a port and a secret of 64 hexadecimal digits, as rank 0 ` +
      "of this version writes them; remove the file and start the job again",
  );
}
