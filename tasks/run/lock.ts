/**
 * Keeps two processes from writing to one folder at once.
 *
 * @module
 */

import { join } from "node:path";

/**
 * Locks a folder until it is disposed of. The system releases the lock should this process be killed.
 *
 * @param name of the file that is locked, in the folder; it is gone afterwards
 * @returns null if another process holds the lock
 */
export async function lockFolder(directory: string, name: string): Promise<AsyncDisposable | null> {
  const path = join(directory, name);
  for (;;) {
    const file = await Deno.open(path, { create: true, write: true });
    if (!await file.tryLock(true)) {
      file.close();
      return null;
    }
    // Who held the lock before may have removed the file between the two calls: then another one counts.
    const { ino } = await file.stat();
    const current = await Deno.stat(path).catch(() => null);
    if (current?.ino !== ino) {
      file.close();
      continue;
    }
    return {
      async [Symbol.asyncDispose]() {
        await Deno.remove(path).catch(() => {});
        file.close();
      },
    };
  }
}
