import assert from "node:assert/strict";
import config from "../../../deno.json" with { type: "json" };
import { refuseOldDeno, VERSION } from "../../../tasks/run/version.ts";
import { deno, ROOT } from "../../_helpers/deno.ts";

Deno.test("the version that a run records is the package's", () => {
  assert.equal(VERSION, config.version);
});

Deno.test("a Deno that is too old is told so, before anything else is loaded", async () => {
  const said = ["1.46.3", "2.0.0", "2.8.9", "2.9.0", "2.10.1", "3.0.0"].map(refuseOldDeno);
  assert.deepEqual(said.map((text) => text === null), [false, false, false, true, true, true]);
  const old = "data:text/javascript," + encodeURIComponent(
    `Object.defineProperty(Deno, "version", { value: { deno: "2.7.14" } });`,
  );
  const main = new URL("tasks/cli/main.ts", ROOT).href;
  const args = ["run", "-A", "--no-check", `--preload=${old}`, main, "launch"];
  const { code, stdout, stderr } = await deno(args);
  assert.equal(stderr, "celgc: Deno 2.9 or later is required, and this is 2.7.14: deno upgrade\n");
  assert.deepEqual({ code, stdout }, { code: 1, stdout: "" });
});
