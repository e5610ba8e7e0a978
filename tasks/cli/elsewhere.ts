/**
 * A command whose hosts do not include this one goes to the first of them, over ssh: rank 0 is there, as with
 * mpirun, and so is the run's folder. What it prints comes here, and signals go there.
 *
 * @module
 */

import type { ChildProcess } from "node:child_process";
import { runThere } from "../../runtime/agents/ssh.ts";
import { hostsElsewhere } from "../../runtime/launcher/across_hosts.ts";
import { ENDING_SIGNALS, onInterrupt } from "../../runtime/launcher/interrupts.ts";
import { asOptionError } from "../options/as_option_error.ts";
import type { Options } from "../options/values.ts";
import { VERSION } from "../run/version.ts";

/** What goes there, as one line of JSON; lines with names of signals follow. */
export interface Errand {
  readonly version: string;
  /** Folder to be in, if it is there as well. */
  readonly cwd: string;
  readonly command: "launch" | "sweep" | "plan";
  /** The command's options, by their names in code. */
  readonly given: Readonly<Record<string, unknown>>;
}

/** The program that does it there. */
const PROGRAM = import.meta.resolve("./errand_main.ts");

/**
 * Has a command done on the first of its hosts, unless this one is among them.
 *
 * @param given its options, by their names in code; no defaults
 * @returns its exit code; null if it is to be done here
 * @throws OptionError if the hosts cannot be read
 */
export async function goElsewhere(
  command: Errand["command"],
  given: Partial<Pick<Options, "world" | "hosts" | "hostfile">>,
): Promise<number | null> {
  const { world, hosts, hostfile } = given;
  const named = await asOptionError(null, () =>
    hostsElsewhere({
      ...world ? { world } : {},
      ...hosts ? { hosts } : {},
      ...hostfile ? { hostfile } : {},
    }));
  if (named === null) return null;
  const [first, ...others] = named;
  console.error(
    `celgc: this host is not among those that are named: the ${command} begins on ${first.name}, where its ` +
      "files are",
  );
  const { hostfile: _, world: _world, ...rest } = given;
  const all = [{ ...first, name: "localhost" }, ...others];
  const errand: Errand = {
    version: VERSION,
    cwd: Deno.cwd(),
    command,
    given: { ...rest, hosts: all.map(({ name, slots }) => `${bracket(name)}:${slots}`).join(",") },
  };
  return await follow(runThere(first.name, { program: PROGRAM }), errand);
}

/** Hands over the errand, and signals after it, until it is done. */
async function follow(child: ChildProcess, errand: Errand): Promise<number> {
  child.stdin!.on("error", () => {});
  child.stdin!.write(`${JSON.stringify(errand)}\n`);
  const undo = onInterrupt(
    { handleSignals: ENDING_SIGNALS },
    (how) => void child.stdin!.write(`${how}\n`),
  );
  try {
    return await new Promise((resolve) => {
      child.once("error", (error) => {
        console.error(`celgc: ssh cannot be started: ${error.message}`);
        resolve(1);
      });
      child.once("exit", (code) => resolve(code ?? 1));
    });
  } finally {
    undo();
  }
}

/** A host's name as `--hosts` takes it. */
function bracket(name: string): string {
  return name.includes(":") ? name.replace(/[^@]*$/, "[$&]") : name;
}
