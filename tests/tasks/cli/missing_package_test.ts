/** Commands on a machine whose cache lacks a package, and which cannot fetch it. */

import assert from "node:assert/strict";
import { cpSync, existsSync } from "node:fs";
import { join, relative } from "node:path";
import { celgc, deno, ROOT } from "../../_helpers/deno.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";

const DEPS = new URL("deps.ts", ROOT).href;
const MAIN = new URL("tasks/cli/main.ts", ROOT).href;

interface Package {
  readonly name: string;
  readonly localPath: string;
  readonly dependencies: readonly string[];
}

/** A cache that holds what the command line itself is made of, and nothing that is fetched when it is asked for. */
async function smallCache(folder: string): Promise<string> {
  const { stdout } = await deno(["info", "--json", DEPS]);
  const { modules, npmPackages } = JSON.parse(stdout);
  const { denoDir } = JSON.parse((await deno(["info", "--json"])).stdout);
  const needed = new Set<string>();
  const need = (name: string) => {
    if (needed.has(name)) return;
    needed.add(name);
    (npmPackages[name] as Package).dependencies.forEach(need);
  };
  const isDeps = ({ specifier }: { specifier: string }) => specifier === DEPS;
  for (const { code, npmPackage } of modules.find(isDeps).dependencies) {
    if (code && npmPackage) need(npmPackage); // of the others the types alone are imported
  }
  for (const each of needed) {
    const { name, localPath }: Package = npmPackages[each];
    const from = localPath.slice(0, localPath.lastIndexOf(name) + name.length);
    cpSync(from, join(folder, relative(denoDir, from)), { recursive: true });
  }
  return folder;
}

/** The command line with that cache, and no way to fetch anything. */
const celgcOf = (cache: string, ...args: string[]) =>
  deno(["run", "-A", "--no-check", "--cached-only", MAIN, ...args], { env: { DENO_DIR: cache } });

for (const [device, name] of [["cpu", "onnxruntime-node"], ["wasm", "onnxruntime-web"]]) {
  Deno.test(`${name}, which cannot be fetched, is told in one line, before there is a folder`, async () => {
    await using folder = await temporaryFolder();
    const cache = await smallCache(`${folder.path}/cache`), out = `${folder.path}/run`;
    const small = "--ranks=2 --max-steps=1 --quiet".split(" ");
    const asked = ["launch", ...small, `--device=${device}`, `--out=${out}`];
    const { code, stdout, stderr } = await celgcOf(cache, ...asked);
    assert.equal(code, 1, stderr);
    assert.equal(stdout, "");
    assert.match(
      stderr,
      /^celgc: cannot fetch onnxruntime-\w+@[\d.]+ from the npm registry: .*\n$/,
    );
    assert.ok(stderr.includes(`: npm package not found in cache: "${name}"`), stderr);
    assert.equal(existsSync(out), false);
  });
}

Deno.test("a report without the chart library, which cannot be fetched, is refused in one line", async () => {
  await using folder = await temporaryFolder();
  const cache = await smallCache(`${folder.path}/cache`), out = `${folder.path}/run`;
  const small = "--ranks=2 --device=cpu --max-steps=2 --train-size=40 --test-size=10 --quiet";
  const run = await celgc("launch", ...small.split(" "), `--out=${out}`);
  assert.equal(run.code, 0, run.stderr);
  const { code, stderr } = await celgcOf(cache, "report", out);
  assert.equal(code, 1, stderr);
  assert.match(stderr, /^celgc: cannot fetch echarts@[\d.]+ from the npm registry: .*\n$/);
});

Deno.test("installed by npm, a package that is not there is told how to get, one that fails what it fails with", async () => {
  await using folder = await temporaryFolder();
  // Where a module comes from says that it is installed.
  const files = (request: Request) =>
    fetch(new URL(new URL(request.url).pathname.replace("/node_modules/celgc/", ""), ROOT));
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, files);
  const map = `${folder.path}/map.json`, program = `${folder.path}/program.ts`;
  const fails = "data:text/javascript,throw new Error('its library is another machine’s')";
  await Deno.writeTextFile(map, JSON.stringify({ imports: { "onnxruntime-node": fails } }));
  await Deno.writeTextFile(
    program,
    `import { loadOnnxRuntimeNode, loadPng, onnxRuntimeWebUrl } from "http://127.0.0.1:${server.addr.port}/node_modules/celgc/deps.ts";
     for (const load of [loadOnnxRuntimeNode, loadPng]) {
       await load().catch(({ name, message }) => console.log(name, message));
     }
     try { onnxRuntimeWebUrl(); } catch ({ name, message }) { console.log(name, message); }`,
  );
  const env = { DENO_DIR: `${folder.path}/cache` };
  await smallCache(env.DENO_DIR);
  const args = ["run", "-A", "--no-check", "--no-config", `--import-map=${map}`, program];
  const { stdout, stderr } = await deno(args, { env });
  assert.deepEqual(stdout.trimEnd().split("\n"), [
    "Error its library is another machine’s",
    "MissingPackageError cannot load fast-png@8.0.0: install it beside celgc, npm install --ignore-scripts fast-png@8.0.0",
    "MissingPackageError cannot load onnxruntime-web@1.30.0: install it beside celgc, npm install --ignore-scripts onnxruntime-web@1.30.0",
  ], stderr);
});
