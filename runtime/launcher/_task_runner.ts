/**
 * The `deno task` that runs the launcher. It passes signals on, but not SIGKILL: killed, it would leave a
 * launcher and ranks that nobody knows of.
 *
 * @module
 */

/** How often it is looked for, in ms. */
const LOOK_MS = 250;

/**
 * Calls back when the `deno task` that has started this process is gone. Nobody else's end is looked
 * at: a shell that ends leaves its background jobs on purpose.
 *
 * @returns ends the watch
 */
export function watchTaskRunner(onGone: () => void): () => void {
  const parent = Deno.ppid;
  if (!isTaskRunner(parent)) return () => {};
  const timer = setInterval(() => {
    if (Deno.ppid === parent) return;
    clearInterval(timer);
    onGone();
  }, LOOK_MS);
  return () => clearInterval(timer);
}

function isTaskRunner(pid: number): boolean {
  try {
    const [program, ...args] = commandLine(pid);
    return /(^|[/\\])deno$/.test(program) && args.includes("task");
  } catch {
    return false; // It may not be looked at.
  }
}

function commandLine(pid: number): string[] {
  if (Deno.build.os === "windows") return [""];
  if (Deno.build.os === "linux") return Deno.readTextFileSync(`/proc/${pid}/cmdline`).split("\0");
  const { stdout } = new Deno.Command("ps", { args: ["-o", "args=", "-p", String(pid)] })
    .outputSync();
  return new TextDecoder().decode(stdout).trim().split(" ");
}
