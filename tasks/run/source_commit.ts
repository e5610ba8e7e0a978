/**
 * Which commit of this project a run is of, where it runs from a checkout.
 *
 * @module
 */

import { dirname, isAbsolute, join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * The commit that is checked out where this project's files lie, in hexadecimal; files may have been
 * changed since. Null where it lies in no checkout (a package, a URL), or where reading it is not allowed:
 * nobody is asked.
 */
export function sourceCommit(root: URL = new URL("../../", import.meta.url)): string | null {
  if (root.protocol !== "file:") return null;
  const folder = fileURLToPath(root);
  if (Deno.permissions.querySync({ name: "read", path: folder }).state !== "granted") return null;
  try {
    return commitOf(gitFolder(join(folder, ".git")));
  } catch {
    return null;
  }
}

/** Where git keeps what it knows: a worktree has a file that names the folder. */
function gitFolder(path: string): string {
  if (Deno.statSync(path).isDirectory) return path;
  const [, named] = /^gitdir: (.+)$/m.exec(Deno.readTextFileSync(path)) ?? [];
  return isAbsolute(named) ? named : join(dirname(path), named);
}

function commitOf(git: string): string | null {
  const head = Deno.readTextFileSync(join(git, "HEAD")).trim();
  const [, ref] = /^ref: (\S+)$/.exec(head) ?? [];
  if (ref === undefined) return asCommit(head);
  // A worktree's branches are kept in common.
  const common = readIfThere(join(git, "commondir"))?.trim();
  const shared = common === undefined ? git : isAbsolute(common) ? common : join(git, common);
  const loose = readIfThere(join(shared, ref));
  if (loose !== null) return asCommit(loose.trim());
  const packed = readIfThere(join(shared, "packed-refs"))?.split("\n") ?? [];
  return asCommit(packed.find((line) => line.endsWith(` ${ref}`))?.split(" ")[0] ?? "");
}

const asCommit = (text: string) => /^[0-9a-f]{40,64}$/.test(text) ? text : null;

function readIfThere(path: string): string | null {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
