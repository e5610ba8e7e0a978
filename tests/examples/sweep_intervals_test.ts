import assert from "node:assert/strict";
import { temporaryFolder } from "../_helpers/temporary_folder.ts";

Deno.test("sweep over I: each interval beside the baseline, in ten lines", async () => {
  await using folder = await temporaryFolder();
  const program = new URL("./sweep_intervals.ts", import.meta.url).href;
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", program, folder.path, "2"],
  }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assert.equal(code, 0, err);
  const lines = out.trimEnd().split("\n");
  assert.deepEqual(lines.map((line) => line.replace(/loss \d\S+,/, "loss,").replace(/\S+×/, "×")), [
    "algorithm=naive-parallel: loss, 2 rounds, ×",
    "interval=1: loss, 2 rounds, ×",
    "interval=2: loss, 1 rounds, ×",
    "interval=4: loss, 1 rounds, ×",
    "interval=8: loss, 1 rounds, ×",
  ]);
});
