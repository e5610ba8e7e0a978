/**
 * The `deno task` that runs the launcher. It passes signals on, but not SIGKILL: killed, it would leave a
 * launcher and ranks that nobody knows of.
 *
 * @module
 */

/** How often it is looked for, in ms. */
const LOOK_MS = 250;

/**
 * Sends this process SIGTERM, as the `deno task` that has started it would, when that is gone. Nobody
 * else's end is looked at: a shell that ends leaves its background jobs on purpose.
 *
 * @returns ends the watch
 */
export function watchTaskRunner(): () => void {
  const parent = Deno.ppid;
  if (!isTaskRunner(parent)) return () => {};
  const timer = setInterval(() => {
    if (Deno.ppid === parent) return;
    clearInterval(timer);
    Deno.kill(Deno.pid, "SIGTERM");
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
