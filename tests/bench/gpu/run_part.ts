/**
 * Runs a part of `bench gpu` in a process of its own.
 *
 * @module
 */

import { cardMemory, type Measurement } from "./measure.ts";
import type { Part } from "./parts.ts";

/**
 * Runs a part and ends it after so many seconds.
 *
 * @param into gets what it has said by then
 * @returns why something of it is missing, if so
 */
export async function runPart(
  part: Part,
  limit: number,
  into: Measurement[],
): Promise<string | undefined> {
  const said: Measurement[] = [];
  const args = [...part.args(Date.now(), await cardMemory())];
  const child = new Deno.Command(part.command, {
    args,
    // Without a window system Mesa complains of the missing folder, which would be taken for what is wrong.
    env: { XDG_RUNTIME_DIR: Deno.env.get("XDG_RUNTIME_DIR") ?? "/dev/null/folder" },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill("SIGKILL");
  }, 1000 * limit);
  const lines = (async () => {
    let rest = "";
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      const whole = (rest + text).split("\n");
      rest = whole.pop()!;
      for (const line of whole) {
        const json = /^(?:\[\d+\] )?(\{.*\})$/.exec(line)?.[1]; // a rank's line has its number in front
        if (json !== undefined) said.push(JSON.parse(json));
      }
    }
  })();
  const complaint = new Response(child.stderr).text();
  const { code } = await child.status;
  clearTimeout(timer);
  await Promise.race([
    Promise.all([lines, complaint]),
    new Promise((done) => setTimeout(done, 2000)),
  ]);
  into.push(...said);
  if (late) return `not done after ${limit.toFixed(0)} s`;
  if (code !== 0) return lastLine(await complaint) ?? `exit code ${code}`;
  if (said.length === 0) return "it has said nothing";
}

/** The last line that says something, without colours. */
function lastLine(text: string): string | undefined {
  // deno-lint-ignore no-control-regex
  const lines = text.replaceAll(/\x1b\[[\d;]*m/g, "").split("\n").map((line) => line.trim());
  return lines.find((line) => /error/i.test(line)) ?? lines.findLast((line) => line !== "");
}
