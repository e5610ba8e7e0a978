import { dirname } from "node:path";

/**
 * The option that would have given a program the permission it lacked.
 *
 * @param lines what the program's rank said last
 * @returns for example `--allow read=/etc/hostname`; null if it lacked none
 */
export function permissionHint(lines: readonly string[]): string | null {
  for (const line of lines) {
    // Deno tells a program no more than this sentence.
    const found = /Requires (\w+) access(?: to "?(.*?)"?)?, run again with the --allow-\w+ flag/
      .exec(line);
    if (!found) continue;
    const [, name, path] = found;
    // A file is first written beside its place: the folder of both is what a program needs.
    const what = path?.endsWith(".part") ? dirname(path) : path;
    return `--allow ${name}${what ? `=${what.replaceAll(",", ",,")}` : ""}`;
  }
  return null;
}
