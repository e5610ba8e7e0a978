/** ONNX's own checker, from Debian's python3-onnx. */

import { hasModule, PYTHON } from "./python.ts";

export const hasOnnx = await hasModule("onnx");

/** What a test's name says when it is skipped. */
export const onnxNote = hasOnnx ? "" : " (skipped: python3-onnx is not installed)";

/** Checks models; returns what is wrong with them, one line each. */
export async function checkOnnx(files: Readonly<Record<string, Uint8Array>>): Promise<string[]> {
  const folder = await Deno.makeTempDir();
  try {
    const paths: string[] = [];
    for (const [name, bytes] of Object.entries(files)) {
      const path = `${folder}/${name}.onnx`;
      await Deno.writeFile(path, bytes);
      paths.push(path);
    }
    const script = new URL("onnx_check.py", import.meta.url).pathname;
    const command = new Deno.Command(PYTHON, { args: [script, ...paths], stdin: "null" });
    const { success, stdout, stderr } = await command.output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    return new TextDecoder().decode(stdout).split("\n").filter((line) => line !== "")
      .map((line) => line.replace(`${folder}/`, ""));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
