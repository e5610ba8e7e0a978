/** Runs Deno programs and the command line as a user does. */

/** The repository, as a URL of a folder. */
export const ROOT = new URL("../../", import.meta.url);

/** How a process ended. */
export interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs `deno` and waits. */
export async function deno(args: string[], options: Deno.CommandOptions = {}): Promise<Ended> {
  const command = new Deno.Command(Deno.execPath(), {
    args,
    stdin: "null",
    env: { NO_COLOR: "1" },
    ...options,
  });
  const { code, stdout, stderr } = await command.output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

/** Runs a command of the project's own command line. */
export function celgc(...args: string[]): Promise<Ended> {
  return deno(["run", "-A", new URL("tasks/cli/main.ts", ROOT).href, ...args]);
}
