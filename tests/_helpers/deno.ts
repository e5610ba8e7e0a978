/** Runs Deno programs and the command line as a user does. */

/** The repository, as a URL of a folder. */
export const ROOT = new URL("../../", import.meta.url);

/** How a process ended. */
export interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

/** A command that runs `deno`, with nothing on its standard input. */
export function denoCommand(args: string[], options: Deno.CommandOptions = {}): Deno.Command {
  return new Deno.Command(Deno.execPath(), {
    args,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    ...options,
    env: { NO_COLOR: "1", ...options.env },
  });
}

/** A command of the project's own command line. */
export function celgcCommand(...args: string[]): Deno.Command {
  return denoCommand(["run", "-A", "--no-check", new URL("tasks/cli/main.ts", ROOT).href, ...args]);
}

/** A finished command's code and texts. */
export function endedAs({ code, stdout, stderr }: Deno.CommandOutput): Ended {
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

/** Runs `deno` and waits. */
export async function deno(args: string[], options?: Deno.CommandOptions): Promise<Ended> {
  return endedAs(await denoCommand(args, options).output());
}

/** Runs a command of the project's own command line and waits. */
export async function celgc(...args: string[]): Promise<Ended> {
  return endedAs(await celgcCommand(...args).output());
}
