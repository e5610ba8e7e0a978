/**
 * Ends what a launcher leaves behind that was killed before it could do so itself.
 *
 * Ranks end with their launcher by themselves, but for one that is busy or stopped, and for what ranks
 * have started. So a small process beside the launcher holds the other end of a pipe, knows the ranks'
 * process groups, and ends those that are left when the pipe closes.
 *
 * @module
 */

import { type ChildProcess, spawn } from "node:child_process";

/**
 * Reads `+ group` and `- group`; at the end, kills the groups left and removes the folder `$1`. `NAME.left` in it is the
 * copy of a file elsewhere, whose path is in `NAME.left.path`: that goes too, unless it says something else by then.
 */
const SCRIPT = `
trap '' HUP INT TERM
groups=' '
while read -r sign group; do
  case $sign in
    +) groups="$groups$group " ;;
    -) groups="\${groups%% $group *} \${groups#* $group }" ;;
  esac
done
for group in $groups; do kill -s KILL -- "-$group" 2>/dev/null; done
[ -z "$1" ] && exit
for copy in "$1"/*.left; do
  [ -f "$copy" ] || continue
  file=$(cat "$copy.path")
  [ "$(cat "$file")" = "$(cat "$copy")" ] && rm -f -- "$file"
done
rm -rf -- "$1"
`;

/** Knows the process groups of a job's ranks, and outlives the launcher by a moment. */
export class Watchdog {
  readonly #child: ChildProcess | null;
  readonly #ended = Promise.withResolvers<void>();

  /** @param folder of the job's own, to be removed with it; null for none */
  constructor(folder: string | null) {
    this.#child = start(folder);
    // Without it ranks look after themselves.
    this.#child?.once("error", () => this.#ended.resolve());
    this.#child?.once("exit", () => this.#ended.resolve());
    this.#child?.stdin?.on("error", () => {});
    this.#child?.unref();
  }

  /** A process group to look after, by the process that leads it. */
  add(group: number): void {
    this.#child?.stdin?.write(`+ ${group}\n`);
  }

  /** A group that has ended. */
  remove(group: number): void {
    this.#child?.stdin?.write(`- ${group}\n`);
  }

  /** Ends the watch, and what is left of the groups; resolves when nothing of it is left. */
  async close(): Promise<void> {
    if (this.#child === null) return;
    this.#child.ref();
    this.#child.stdin?.end();
    await this.#ended.promise;
  }
}

/** Null where there are no process groups, or the launcher may not start a shell. */
function start(folder: string | null): ChildProcess | null {
  if (Deno.build.os === "windows") return null;
  try {
    return spawn("/bin/sh", ["-c", SCRIPT, "celgc-watchdog", folder ?? ""], {
      stdio: ["pipe", "ignore", "ignore"],
      detached: true, // Ctrl-C is not meant for it.
      env: { PATH: "/usr/bin:/bin" },
    });
  } catch {
    return null;
  }
}
