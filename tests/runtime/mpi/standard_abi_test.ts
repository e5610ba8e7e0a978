/** A library with the common ABI of MPI 5, which no distribution has yet: one of ours, over Open MPI. */

import assert from "node:assert/strict";
import { BATTERY } from "../_battery.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";
import { MPI_PEERS, mpirun } from "./_mpirun.ts";

const [peer] = MPI_PEERS;
const hasCompiler = await new Deno.Command("gcc", { args: ["--version"], stdout: "null" }).output()
  .then(({ success }) => success, () => false);
const missing = peer.missing ?? (hasCompiler ? null : "there is no gcc");

Deno.test({
  name: `a library with the standard ABI gets the standard's constants${
    missing === null ? "" : ` (skipped: ${missing})`
  }`,
  ignore: missing !== null,
  async fn() {
    await using folder = await temporaryFolder();
    const library = `${folder.path}/libmpi_abi.so.1`;
    const source = new URL(import.meta.resolve("./standard_abi.c")).pathname;
    const args = ["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, source, "-ldl"];
    const { success, stderr: said } = await new Deno.Command("gcc", { args }).output();
    assert.ok(success, new TextDecoder().decode(said));
    const { code, stdout, stderr } = await mpirun(peer, 2, "tests/runtime/programs/battery.ts", {
      env: { CELGC_MPI_LIBRARY: library },
    });
    assert.equal(code, 0, stderr);
    const passed = stdout.split("\n").filter((line) => line.startsWith("passed "));
    assert.equal(passed.length, BATTERY.length, stderr);
  },
});
