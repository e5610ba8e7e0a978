/** Helpers of the tests that start real ranks. */

import { launchProgram, type LaunchProgramOptions } from "../../runtime/launcher/launch.ts";

/** The URL of a rank program of the runtime's tests. */
export function program(name: string): URL {
  return new URL(import.meta.resolve(`../runtime/programs/${name}.ts`));
}

/**
 * Launches a job quietly and keeps what each rank printed: `lines` of its output, `errors` of its errors, where notes are too
 * (on a busy machine any rank can be named a straggler).
 */
export async function run(options: LaunchProgramOptions) {
  const [lines, errors] = [0, 1].map(() =>
    Array.from({ length: options.ranks }, (): string[] => [])
  );
  const started = performance.now();
  const outcome = await launchProgram({
    quiet: true,
    handleSignals: false,
    onOutput: (rank, line, stream) => (stream === "stdout" ? lines : errors)[rank].push(line),
    ...options,
  });
  return { ...outcome, lines, errors, ms: performance.now() - started };
}

/** Whether a process is there and is no zombie. */
export function isAlive(pid: number): boolean {
  try {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    return stat.slice(stat.lastIndexOf(")") + 2)[0] !== "Z";
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  if (Deno.build.os === "linux") return false;
  try {
    Deno.kill(pid, "SIGURG"); // ignored by whoever does not ask for it
    return true;
  } catch {
    return false;
  }
}

/** Waits until none of the processes is left; returns those that are after `ms`. */
export async function survivors(pids: readonly number[], ms: number): Promise<number[]> {
  const until = performance.now() + ms;
  while (performance.now() < until && pids.some(isAlive)) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return pids.filter(isAlive);
}

/** The numbers after "pid " in the ranks' output. */
export function pidsIn(lines: Iterable<string>): number[] {
  return [...lines].flatMap((line) => {
    const match = /(?:^|\s)pid (\d+)$/.exec(line);
    return match ? [Number(match[1])] : [];
  });
}
