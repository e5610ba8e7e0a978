/**
 * Does a command of another host on this one; see `elsewhere.ts`. The errand is the first line of standard input,
 * names of signals follow, and its end is the end of the command.
 *
 *     deno run -A errand_main.ts
 *
 * @module
 */

import process from "node:process";
import { ENDING_SIGNALS } from "../../runtime/launcher/interrupts.ts";
import { OptionError } from "../options/kinds.ts";
import { VERSION } from "../run/version.ts";
import type { Errand } from "./elsewhere.ts";

/** How long the command may take to end once the other host is gone, in ms. */
const END_MS = 10_000;
/** Longest errand, in characters. */
const LONGEST = 1 << 20;

/** Reads the errand, and passes on the signals that follow it. */
function readErrand(): Promise<Errand> {
  const errand = Promise.withResolvers<Errand>();
  let rest = "", known = false;
  process.stdin.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const line of lines) {
      if (!known) errand.resolve(JSON.parse(line));
      else {
        const signal = ENDING_SIGNALS.find((name) => name === line);
        if (signal !== undefined) Deno.kill(Deno.pid, signal);
      }
      known = true;
    }
    if (rest.length > LONGEST) errand.reject(new Error("the errand is too long"));
  });
  const onEnd = () => {
    if (!known) errand.reject(new Error("there is no errand"));
    setTimeout(() => Deno.exit(143), END_MS);
    Deno.kill(Deno.pid, "SIGTERM");
  };
  process.stdin.once("end", onEnd).once("error", onEnd);
  return errand.promise;
}

async function run({ version, cwd, command, given }: Errand): Promise<number> {
  if (version !== VERSION) {
    throw new OptionError(
      `this host, ${Deno.hostname()}, has version ${VERSION} of the program, the one that has sent the ` +
        `command version ${version}: run the same on all hosts`,
    );
  }
  const info = await Deno.stat(cwd).catch(() => null);
  if (info?.isDirectory) Deno.chdir(cwd);
  const commands = {
    launch: async () => (await import("./launch_command.ts")).launchCommand,
    sweep: async () => (await import("./sweep_command.ts")).sweepCommand,
    plan: async () => (await import("./plan_command.ts")).planCommand,
  };
  return await (await commands[command]()).run({ ...given }, []);
}

if (import.meta.main) {
  let code = 2;
  try {
    code = await run(await readErrand());
  } catch (error) {
    const known = error instanceof OptionError || (error as Error).name === "DataError";
    console.error(`celgc: ${known ? (error as Error).message : (error as Error).stack}`);
    if (!(error instanceof OptionError)) code = 1;
  }
  Deno.exit(code);
}
