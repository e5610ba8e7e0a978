/** The native engine reports to its maker unless it is told not to: nothing of that may be seen. */

import assert from "node:assert/strict";
import { permissionsFor, resolveDevice } from "../../../runtime/devices/open.ts";

const PROGRAM = import.meta.resolve("./_open_program.ts");
const MAIN = import.meta.resolve("../../../tasks/cli/main.ts");

await resolveDevice("cpu"); // fetches the engine before its home is empty

/** An empty home, cache and temporary folder, and an environment that asks for telemetry. */
async function freshPlace() {
  const root = await Deno.makeTempDir({ prefix: "celgc-test-" });
  const place = (name: string) => `${root}/${name}`;
  for (const name of ["home", "cache", "tmp", "out"]) await Deno.mkdir(place(name));
  const env = Deno.env.toObject();
  // The engine keeps quiet by itself where it sees a machine for continuous integration.
  for (const name of ["CI", "GITHUB_ACTIONS", "TF_BUILD", "NO_PROXY"]) delete env[name];
  return {
    out: place("out"),
    env: {
      ...env,
      NO_COLOR: "1",
      DENO_DIR: await denoDir(),
      DENO_NO_UPDATE_CHECK: "1",
      ORT_DISABLE_TELEMETRY: "0",
      HOME: place("home"),
      XDG_CACHE_HOME: place("cache"),
      TMPDIR: place("tmp"),
    },
    /** Files and folders left, but for those of `out`. */
    async leftovers() {
      const found: string[] = [];
      for (const name of ["home", "cache", "tmp"]) {
        for await (const entry of Deno.readDir(place(name))) found.push(`${name}/${entry.name}`);
      }
      return found;
    },
    [Symbol.asyncDispose]: () => Deno.remove(root, { recursive: true }),
  };
}

async function denoDir(): Promise<string> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
  return JSON.parse(new TextDecoder().decode(stdout)).denoDir;
}

async function run(command: string, args: string[], env: Record<string, string>) {
  const { code, stderr } = await new Deno.Command(command, { args, env, clearEnv: true }).output();
  return { code, stderr: new TextDecoder().decode(stderr) };
}

const RUN = ["run", "--quiet", "--no-prompt", "--no-check"];
const FLAGS = permissionsFor("cpu").map((name) => `--allow-${name}`);
const TRAIN = ["launch", "--ranks=2", "--max-steps=2", "--device=cpu", "--quiet"];

Deno.test("a program that opens the CPU leaves nothing, whatever its environment says", async () => {
  await using place = await freshPlace();
  const args = [...RUN, ...FLAGS, PROGRAM, "cpu"];
  const { code, stderr } = await run(Deno.execPath(), args, place.env);
  assert.equal(code, 0, stderr);
  assert.deepEqual(await place.leftovers(), []);
});

Deno.test("a launched rank that opens the CPU leaves nothing, nor does its launcher", async () => {
  await using place = await freshPlace();
  // Leave to load the library is all a rank needs: the launcher sees to the variable.
  const launch = ["launch", "--ranks=2", "--allow=ffi", "--env=ORT_DISABLE_TELEMETRY=0"];
  const args = [...RUN, "-A", MAIN, ...launch, PROGRAM, "--", "cpu"];
  const { code, stderr } = await run(Deno.execPath(), args, place.env);
  assert.equal(code, 0, stderr);
  assert.deepEqual(await place.leftovers(), []);
});

Deno.test("a training run leaves its own folder alone", async () => {
  await using place = await freshPlace();
  const args = [...RUN, "-A", MAIN, ...TRAIN, `--out=${place.out}/run`];
  const { code, stderr } = await run(Deno.execPath(), args, place.env);
  assert.equal(code, 0, stderr);
  assert.deepEqual(await place.leftovers(), []);
  assert.deepEqual((await Array.fromAsync(Deno.readDir(place.out))).map(({ name }) => name), [
    "run",
  ]);
});

Deno.test("the engine is not loaded where its telemetry cannot be turned off", async () => {
  await using place = await freshPlace();
  const ffi = FLAGS.filter((flag) => flag.startsWith("--allow-ffi"));
  const { code, stderr } = await run(Deno.execPath(), [...RUN, ...ffi, PROGRAM, "cpu"], place.env);
  assert.equal(code, 1);
  assert.match(stderr, /telemetry cannot be turned off .*--allow-env=ORT_DISABLE_TELEMETRY/);
  assert.deepEqual(await place.leftovers(), []);
});

const canTrace = Deno.build.os === "linux" && await hasStrace();

Deno.test({
  name: `a training run asks no name server and talks to this host alone${
    canTrace ? "" : " (skipped: strace is not installed)"
  }`,
  ignore: !canTrace,
  fn: async () => {
    await using place = await freshPlace();
    const log = `${place.out}/trace`;
    const deno = [Deno.execPath(), ...RUN, "-A", MAIN, ...TRAIN, `--out=${place.out}/run`];
    const args = ["-f", "-qq", "-e", "trace=connect,sendto,sendmsg,sendmmsg", "-o", log, ...deno];
    const { code, stderr } = await run("strace", args, place.env);
    assert.equal(code, 0, stderr);
    const calls = (await Deno.readTextFile(log)).split("\n")
      .filter((line) => /sa_family=AF_INET/.test(line));
    assert.notEqual(calls.length, 0, "the ranks' own connections are seen");
    assert.deepEqual(calls.filter((line) => !/inet_addr\("127\.|"::1"/.test(line)), []);
  },
});

async function hasStrace(): Promise<boolean> {
  try {
    const trace = new Deno.Command("strace", { args: ["true"], stdout: "null", stderr: "null" });
    return (await trace.output()).success; // some containers forbid tracing
  } catch {
    return false;
  }
}
