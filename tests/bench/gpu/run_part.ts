/**
 * Runs a part of `bench gpu` in a process of its own.
 *
 * @module
 */

import { cardMemory, type Measurement } from "./measure.ts";
import type { Part } from "./parts.ts";

/** How a part has ended. */
export interface Outcome {
  /** Why something of it is missing, if so. */
  readonly why?: string;
  /** Whether it has used its time up without a word. */
  readonly hung: boolean;
}

/** ms in which a process that has been killed, and what it has said, are waited for. */
const LAST_WAIT = 2000;

/**
 * Runs a part and ends it, with all that it has started, after so many seconds.
 *
 * @param into is called with each measurement as soon as it is made
 * @param stop ends it before
 */
export async function runPart(
  part: Part,
  limit: number,
  into: (measurement: Measurement) => void,
  stop?: AbortSignal,
): Promise<Outcome> {
  const args = [...part.args(Date.now(), await cardMemory())],
    isGroup = Deno.build.os !== "windows";
  let child;
  try {
    child = new Deno.Command(part.command, {
      args,
      // Without a window system Mesa complains of the missing folder, which would be taken for what is wrong.
      env: { XDG_RUNTIME_DIR: Deno.env.get("XDG_RUNTIME_DIR") ?? "/dev/null/folder" },
      stdout: "piped",
      stderr: "piped",
      detached: isGroup,
    }).spawn();
  } catch (error) {
    return { why: `${part.command} cannot be run: ${(error as Error).message}`, hung: false };
  }
  let said = 0, at: string | undefined;
  const lines = (async () => {
    let rest = "";
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      const whole = (rest + text).split("\n");
      rest = whole.pop()!;
      for (const measurement of whole.map(measurementOf)) {
        if (measurement?.what === "doing") at = String(measurement.text);
        else if (measurement !== undefined) {
          said++;
          into(measurement);
        }
      }
    }
  })().catch(() => {}); // what has been said until then counts
  const complaint = new Response(child.stderr).text().catch(() => "");
  const end = await ended(child, limit, stop);
  if (end === "late" || end === "stopped") {
    kill(isGroup ? -child.pid : child.pid);
    child.unref(); // one that waits for its driver may not end even so
  }
  const whole = Promise.all([child.status, lines, complaint]);
  await Promise.race([whole, new Promise((done) => setTimeout(done, LAST_WAIT))]);
  const where = at === undefined ? "" : `, at: ${at}`;
  if (end === "stopped") return { why: `stopped${where}`, hung: false };
  if (end === "late") {
    return { why: `not done after ${limit.toFixed(0)} s${where}`, hung: said === 0 };
  }
  if (end !== 0) {
    const why = lastLine(await Promise.race([complaint, ""])) ?? `exit code ${end}`;
    return { why: why + where, hung: false };
  }
  return said === 0 ? { why: "it has said nothing", hung: false } : { hung: false };
}

/** Waits for an exit code, for the end of the time, or for the signal. */
async function ended(
  child: Deno.ChildProcess,
  limit: number,
  stop?: AbortSignal,
): Promise<number | "late" | "stopped"> {
  let timer, stopped!: () => void;
  const others = new Promise<"late" | "stopped">((done) => {
    timer = setTimeout(() => done("late"), 1000 * limit);
    stopped = () => done("stopped");
  });
  stop?.addEventListener("abort", stopped);
  if (stop?.aborted) stopped();
  try {
    return await Promise.race([child.status.then(({ code }) => code), others]);
  } finally {
    clearTimeout(timer);
    stop?.removeEventListener("abort", stopped);
  }
}

function kill(process: number): void {
  try {
    Deno.kill(process, "SIGKILL");
  } catch {
    // it has just ended
  }
}

/** What a line says, if it is a measurement. */
function measurementOf(line: string): Measurement | undefined {
  const json = /^(?:\[\d+\] )?(\{.*\})$/.exec(line)?.[1]; // a rank's line has its number in front
  try {
    const value = JSON.parse(json ?? "null");
    return typeof value?.what === "string" ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The line that says what is wrong, without colours. */
function lastLine(text: string): string | undefined {
  // deno-lint-ignore no-control-regex
  const lines = text.replaceAll(/\x1b\[[\d;]*m/g, "").split("\n").map((line) => line.trim());
  const line = lines.find((line) => /error/i.test(line)) ?? lines.findLast((line) => line !== "");
  return line?.replace(/^(error: )?(Uncaught )?(\(in promise\) )?(Error: )?/, "");
}
