import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { deno } from "../../_helpers/deno.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";
import { hasWebGpu, webGpuNote } from "../../_helpers/web_gpu.ts";
import type { Report } from "./gpu.ts";
import type { Measurement } from "./measure.ts";
import { choiceOf, type Part, partsOf } from "./parts.ts";
import { runPart } from "./run_part.ts";
import { tablesOf } from "./tables.ts";

/** A part that runs a piece of code. */
const part = (code: string): Part => ({
  name: "a part",
  limit: 60,
  command: Deno.execPath(),
  args: () => ["eval", code],
});

Deno.test("a part that hangs is ended, and what it has said counts", async () => {
  const said: Measurement[] = [];
  const hangs =
    `console.log('{"what":"copy","bytes":1}'); await new Promise(() => setInterval(() => {}, 1000));`;
  const why = await runPart(part(hangs), 3, said);
  assert.equal(why, "not done after 3 s");
  assert.deepEqual(said, [{ what: "copy", bytes: 1 }]);
});

Deno.test("why a part has failed is told in a line", async () => {
  const said: Measurement[] = [];
  const why = await runPart(part("console.log('no JSON'); throw new Error('no card')"), 60, said);
  assert.match(why!, /no card/);
  assert.equal(await runPart(part("0"), 60, said), "it has said nothing");
  assert.deepEqual(said, []);
});

Deno.test("a choice of the engine is a part of its own, and its losses stand beside those without it", () => {
  const choice = { ...choiceOf(false), python: null, torchDevice: "cpu" } as const;
  const names = partsOf(choice).map(({ name }) => name);
  for (const how of ["operators alone", "jspi", "NCHW", "native"]) {
    assert.ok(names.includes(`resnet20, batch 64, ${how}`), how);
  }
  assert.equal(new Set(names).size, names.length);
  const losses = { what: "losses", engine: "celgc", model: "resnet20", batch: 64 };
  const table = tablesOf({
    date: "",
    minutes: 8,
    measurements: [
      { ...losses, device: "webgpu", losses: [2, 1] },
      { ...losses, device: "webgpu", variant: "NCHW", losses: [2, 1.5] },
      { ...losses, device: "cpu", losses: [2, 1.25] },
    ],
    leftOut: [],
  });
  assert.match(table, /\| CPU: 2.0000, 1.2500 \| card: 2.0000, 1.0000 \| 2.0e-1 \|/);
  assert.match(table, /\| card: 2.0000, 1.0000 \| card, NCHW: 2.0000, 1.5000 \| 5.0e-1 \|/);
});

Deno.test({
  name: `a network's step is measured on a card${webGpuNote}`,
  ignore: !hasWebGpu,
  async fn() {
    await using folder = await temporaryFolder();
    const out = `${folder.path}/gpu.json`,
      program = fileURLToPath(new URL("./gpu.ts", import.meta.url));
    const options = ["--small", "--python", "none", "--seconds", "0.01", "--only", "batch 2"];
    const { stdout, code } = await deno([
      "run",
      "-A",
      "--no-check",
      program,
      ...options,
      "--out",
      out,
    ]);
    assert.equal(code, 0);
    assert.match(stdout, /\| resnet8, batch 2 \| celgc, captured \|/);
    const { measurements, leftOut } = JSON.parse(await Deno.readTextFile(out)) as Report;
    assert.deepEqual(leftOut, [{ part: "PyTorch", why: "as asked" }]);
    assert.deepEqual(measurements.map(({ what, variant }) => [what, variant]), [
      ["losses", undefined],
      ["step", "captured"],
    ]);
    const [{ losses }, { ms, runs, every }] = measurements;
    assert.equal((losses as number[]).length, 5);
    assert.ok(Number(ms) > 0);
    assert.deepEqual([Number(runs) % 8, every], [0, 8]);
  },
});
