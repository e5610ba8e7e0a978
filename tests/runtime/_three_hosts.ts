/** Jobs with a rank on this host and one on each of two others, which are processes with names of their own. */

import { fileURLToPath } from "node:url";
import { openWorld } from "../../runtime/launcher/across_hosts.ts";
import { launchProgram, type LaunchProgramOptions } from "../../runtime/launcher/launch.ts";
import { temporaryFolder } from "../_helpers/temporary_folder.ts";

const MAIN = fileURLToPath(new URL("../../tasks/cli/main.ts", import.meta.url));

/**
 * What the other hosts join with, by how their ranks reach each other. All connections between hosts are under TLS.
 *
 * @param port above which nobody else listens
 */
export function waysBetweenHosts(port: number): Record<string, (host: number) => string[]> {
  return {
    "that dial each other": () => [],
    "with one port each": (host) => ["--port", String(port + host)],
    // An address for documentation (RFC 5737): nobody has it.
    "that meet at the relay": () => ["--listen", "192.0.2.77"],
  };
}

/** Runs a job there; gives how it ended, and what each rank said last. */
export async function runOnThreeHosts(
  join: (host: number) => string[],
  options: Omit<LaunchProgramOptions, "ranks" | "on" | "quiet" | "onOutput">,
) {
  await using resources = new AsyncDisposableStack();
  const folder = resources.use(await temporaryFolder());
  const invitation = `${folder.path}/invitation`;
  // The first that is said is where the invitation is, once it is there.
  const { promise: invited, resolve: say } = Promise.withResolvers<string>();
  const opening = openWorld({ ranks: 1, world: 3, invitation, joinTimeout: 120, say });
  await Promise.race([invited, opening]);
  const agents = [1, 2].map((host) =>
    resources.use(
      new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--no-check", MAIN, "join", "--quiet", "--invitation", invitation]
          .concat(join(host), "--ranks", "1"),
        env: { CELGC_HOST: `host-${host}` },
        stdout: "null",
        stderr: "null",
      }).spawn(),
    )
  );
  const last: string[] = [];
  let outcome;
  {
    await using on = await opening;
    outcome = await launchProgram({
      ...options,
      ranks: 3,
      on,
      quiet: true,
      onOutput: (rank, line) => void (last[rank] = line),
    });
  }
  await Promise.all(agents.map(({ status }) => status));
  return { ...outcome, last };
}
