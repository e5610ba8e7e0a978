/** Debian's Python with PyTorch, as an independent reference. */

/** Debian's, which packages of Debian are installed for. */
export const PYTHON = "/usr/bin/python3";

/**
 * Whether that has a module; if it does not, tests that need it say so and are skipped. The module is looked
 * for and not loaded, which takes PyTorch a second and more.
 */
export async function hasModule(name: string): Promise<boolean> {
  try {
    const found =
      `import importlib.util, sys; sys.exit(importlib.util.find_spec("${name}") is None)`;
    const command = new Deno.Command(PYTHON, { args: ["-c", found], stderr: "null" });
    return (await command.output()).success;
  } catch {
    return false;
  }
}

export const hasTorch = await hasModule("torch");

/** What a test's name says when it is skipped. */
export const torchNote = hasTorch ? "" : " (skipped: python3-torch is not installed)";

/** Runs a script with `input` on its standard input; returns its standard output. */
export async function runPython(
  script: URL,
  input: Uint8Array[],
  args: string[] = [],
): Promise<Uint8Array> {
  const command = new Deno.Command(PYTHON, {
    args: [script.pathname, ...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  });
  const child = command.spawn();
  const writing = new Blob(input as BlobPart[]).stream().pipeTo(child.stdin);
  const { success, stdout, stderr } = await child.output();
  if (!success) throw new Error(`${script.pathname} failed:\n${new TextDecoder().decode(stderr)}`);
  await writing;
  return stdout;
}

/** Splits a script's output into its first line, as JSON, and the float64 numbers after it. */
export function parseOutput(output: Uint8Array): { header: unknown; numbers: Float64Array } {
  const end = output.indexOf(10);
  const header = JSON.parse(new TextDecoder().decode(output.subarray(0, end)));
  return { header, numbers: new Float64Array(output.slice(end + 1).buffer) };
}
