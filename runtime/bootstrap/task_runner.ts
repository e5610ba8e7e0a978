/**
 * The `deno task` that may stand between a process and whoever has started it.
 *
 * @module
 */

/** Whether a process is a `deno task`. */
export function isTaskRunner(pid: number): boolean {
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

/** The process that has started this one; a `deno task` between them does not count. */
export function parentProcess(): number {
  const parent = Deno.ppid;
  if (Deno.build.os !== "linux" || !isTaskRunner(parent)) return parent;
  // Behind the program's name in brackets: its state, its parent.
  const stat = Deno.readTextFileSync(`/proc/${parent}/stat`);
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
}
