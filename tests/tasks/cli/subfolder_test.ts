import assert from "node:assert/strict";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { deno, ROOT } from "../../_helpers/deno.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";

/** A task typed in a folder of the project, as a shell starts it. */
function task(folder: string, ...args: string[]) {
  const { INIT_CWD: _, ...env } = Deno.env.toObject();
  const cwd = fileURLToPath(new URL(folder, ROOT));
  return deno(["task", ...args], { cwd, clearEnv: true, env });
}

Deno.test("deno task in a subfolder takes paths from there", async () => {
  const hello = await task("tests/examples/", "launch", "--ranks", "2", "hello.ts");
  assert.equal(hello.code, 0, hello.stderr);
  assert.deepEqual(hello.stdout.trim().split("\n").length, 2);
  await using folder = await temporaryFolder();
  const from = fileURLToPath(new URL("tests/examples/", ROOT));
  const out = relative(from, await Deno.realPath(folder.path));
  const small =
    "--ranks 2 --device cpu --train-size 40 --test-size 10 --max-steps 2 --json --quiet";
  const args = ["launch", ...small.split(" "), "--out", `${out}/run`];
  const run = await task("tests/examples/", ...args);
  assert.equal(run.code, 0, run.stderr);
  const page = await task("tests/examples/", "report", `${out}/run`);
  assert.equal(page.code, 0, page.stderr);
  const exported = await task("tests/examples/", "export", "--out", `${out}/graph.onnx`);
  assert.equal(exported.code, 0, exported.stderr);
  const found = [...Deno.readDirSync(folder.path)].map(({ name }) => name).sort();
  assert.ok(found.includes("run") && found.includes("graph.onnx"), found.join());
});
