import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { deno } from "../../_helpers/deno.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";
import { hasWebGpu, webGpuNote } from "../../_helpers/web_gpu.ts";
import { fillFactors } from "./factors.ts";
import { runAll } from "./gpu.ts";
import { AHEAD, type Measurement, timedWithoutWait } from "./measure.ts";
import { choiceOf, type Part, partsOf } from "./parts.ts";
import type { Findings } from "./report.ts";
import { runPart } from "./run_part.ts";
import { tablesOf } from "./tables.ts";

/** A part that runs a piece of code. */
const part = (code: string): Part => ({
  name: "a part",
  engine: "cpu",
  limit: 60,
  command: Deno.execPath(),
  args: () => ["eval", code],
});

/** Runs a piece of code as a part: how it has ended, and what it has said. */
async function outcomeOf(code: string, limit = 60, stop?: AbortSignal) {
  const said: Measurement[] = [];
  return { ...await runPart(part(code), limit, (each) => said.push(each), stop), said };
}

const HANGS = "await new Promise(() => setInterval(() => {}, 1000));";

Deno.test("a part that hangs is ended, and what it has said counts", async () => {
  const copy = { what: "copy", bytes: 1 }, lines = [copy, { what: "doing", text: "the product" }];
  const code = lines.map((line) => `console.log('${JSON.stringify(line)}');`).join("") + HANGS;
  const { why, hung, said } = await outcomeOf(code, 3);
  assert.equal(why, "not done after 3 s, at: the product");
  assert.equal(hung, false);
  assert.deepEqual(said, [copy]);
});

Deno.test("what a part has started ends with it", async () => {
  const inner = JSON.stringify(HANGS), stop = new AbortController();
  const code = `
    const child = new Deno.Command(Deno.execPath(), { args: ["eval", ${inner}] }).spawn();
    console.log('{"what":"child","pid":' + child.pid + '}');
    ${HANGS}`;
  let child = 0;
  const { why, hung } = await runPart(part(code), 60, ({ pid }) => {
    child = Number(pid);
    stop.abort();
  }, stop.signal);
  assert.deepEqual([why, hung], ["stopped", false]);
  assert.ok(child > 0);
  const isThere = () => Deno.stat(`/proc/${child}/exe`).then(() => true, () => false);
  for (let i = 0; i < 100 && await isThere(); i++) await new Promise((on) => setTimeout(on, 20));
  assert.equal(await isThere(), false);
});

Deno.test("why a part has failed is told in a line", async () => {
  const failed = await outcomeOf("console.log('no JSON {'); throw new Error('no card')");
  assert.deepEqual(failed, { why: "no card", hung: false, said: [] });
  assert.equal((await outcomeOf("0")).why, "it has said nothing");
  const absent = { ...part(""), command: "/nowhere/python" };
  assert.match((await runPart(absent, 1, () => {})).why!, /^\/nowhere\/python cannot be run: /);
});

const NOTHING: Findings = { date: "", minutes: 8, seconds: 1, measurements: [], leftOut: [] };

Deno.test("a choice of the engine is a part of its own, and its losses stand beside those without it", () => {
  const choice = { ...choiceOf(false), python: null, torchDevice: "cpu" } as const;
  const names = partsOf(choice).map(({ name }) => name);
  for (const how of ["operators alone", "jspi", "NCHW", "native"]) {
    assert.ok(names.includes(`resnet20, batch 64, ${how}`), how);
  }
  assert.equal(new Set(names).size, names.length);
  const losses = { what: "losses", engine: "celgc", model: "resnet20", batch: 64 };
  const table = tablesOf({
    ...NOTHING,
    measurements: [
      { ...losses, device: "webgpu", losses: [2, 1] },
      { ...losses, device: "webgpu", variant: "NCHW", losses: [2, 1.5] },
      { ...losses, device: "cpu", losses: [2, 1.25] },
    ],
  });
  assert.match(table, /\| CPU: 2.0000, 1.2500 \| card: 2.0000, 1.0000 \| 2.0e-1 \*\*apart\*\* \|/);
  assert.match(table, /\| card, NCHW: 2.0000, 1.5000 \| 5.0e-1 \*\*apart\*\* \|/);
});

Deno.test("a loss that is no number is apart, and a table that cannot be made costs itself alone", () => {
  const losses = { what: "losses", engine: "celgc", model: "resnet20", batch: 64 };
  const measurements = [
    { ...losses, device: "webgpu", losses: [2, null] },
    { ...losses, device: "cpu", losses: [2, 1] },
    { what: "card", description: "no limits" },
  ];
  const tables = tablesOf({ ...NOTHING, measurements, leftOut: [{ part: "p", why: "w" }] });
  assert.match(tables, /card: 2.0000, NaN \| Infinity \*\*apart\*\*/);
  assert.match(tables, /A table could not be made: /);
  assert.match(tables, /Left out:\n\n- p: w$/);
});

Deno.test("what an error has between bars is in its cell of the table", () => {
  const step = { what: "step", engine: "torch", model: "gpt-nano", batch: 1, variant: "compile" };
  const tables = tablesOf({ ...NOTHING, measurements: [{ ...step, error: "int | None" }] });
  assert.match(tables, /\| torch, compile \| int \\\| None \| /);
});

Deno.test("what a round of 8 ranks spends on communication is said beside the aim", () => {
  const each = { what: "ranks", model: "resnet20", batch: 16, interval: 16, stepsPerSecond: 1 };
  const parts = { roundMs: 200, readbackMs: 1, waitingMs: 2, exchangeMs: 0.5, uploadMs: 0.5 };
  const of = (ranks: number, stepsMs: number) => ({
    ...{ ...each, ...parts, ranks, stepsMs },
    communicationShare: 1 - stepsMs / 200,
  });
  const said = (...measurements: Measurement[]) => tablesOf({ ...NOTHING, measurements });
  const table = said(of(8, 196), of(1, 199));
  assert.match(table, /\| 1 \|.*\n\| 8 \| 1.0 \| 200.0 \| 196.0 \| 1.00 \(0.50 %\) \| 2.00/);
  assert.match(table, /with 8 ranks on the card at I = 16: 2.00 % of the time; .* is met\./);
  assert.match(said(of(8, 190)), /5.00 % of the time; .* is missed \(4.00 % without waiting/);
  assert.match(said(of(2, 199)), /is not measured\./);
});

Deno.test("parts of an engine that hangs give way to those of the others, and no time is left for some", async () => {
  const says = (name: string) => part(`console.log('{"what":"${name}"}')`);
  const hangs = { ...part(HANGS), engine: "webgpu", limit: 0.2 } as const;
  const parts = [
    { ...hangs, name: "first" },
    { ...hangs, name: "second" },
    { ...says("late"), name: "late", engine: "webgpu" as const },
    { ...says("other"), name: "other" },
  ];
  const told: string[] = [];
  const report = {
    add: ({ what }: Measurement) => void told.push(what),
    leaveOut: (name: string, why: string) => void told.push(`${name}: ${why}`),
  };
  const { signal } = new AbortController(), now = performance.now() / 1000;
  await runAll(parts, now + 60, report, signal);
  const hung = ["first", "second"].map((name) => `${name}: not done after 0 s`);
  assert.deepEqual(told, [...hung, "other", "late"]);
  told.length = 0;
  await runAll(parts.slice(3), now, report, signal);
  assert.deepEqual(told, ["other: no time left"]);
});

Deno.test("the bench ends by a signal with what there is, in both files, and says what it left out", async () => {
  await using folder = await temporaryFolder();
  const out = `${folder.path}/card.json`,
    main = fileURLToPath(new URL("../main.ts", import.meta.url));
  const options = ["--python", "none", "--only", "on the CPU", "--out", out];
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", main, "gpu", ...options],
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const table = new Response(child.stdout).text();
  const begun = child.stderr.getReader();
  while (!new TextDecoder().decode((await begun.read()).value).includes("resnet20 on the CPU …")) {
    // Something else is told first.
  }
  child.kill("SIGTERM");
  await begun.cancel();
  assert.equal((await child.status).code, 143);
  const { leftOut } = JSON.parse(await Deno.readTextFile(out)) as Findings;
  const parts = ["PyTorch", "resnet20 on the CPU", "awd-lstm on the CPU"];
  assert.deepEqual(leftOut.slice(0, 3).map(({ part }) => part), parts);
  assert.match(leftOut[1].why, /^stopped/);
  assert.equal(leftOut[2].why, "stopped before it");
  assert.match(await table, /- awd-lstm on the CPU: stopped before it\n/);
  assert.match(await Deno.readTextFile(`${folder.path}/card.md`), /stopped before it/);
});

Deno.test({
  name: `a network's step is measured on a card${webGpuNote}`,
  ignore: !hasWebGpu,
  async fn() {
    await using folder = await temporaryFolder();
    const out = `${folder.path}/gpu.json`,
      program = fileURLToPath(new URL("./gpu.ts", import.meta.url));
    const options = [
      "--small",
      "--python",
      "none",
      "--seconds",
      "0.01",
      "--only",
      "gpt-tiny, batch 1",
    ];
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
    assert.match(stdout, /\| gpt-tiny, batch 1 \| celgc, captured \|/);
    const { measurements, leftOut } = JSON.parse(await Deno.readTextFile(out)) as Findings;
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

Deno.test("factors whose product is checked have exact sums in 16-bit floats, in any order", () => {
  const small = 64, factors = new Float32Array(2 * small * small);
  fillFactors(small, factors);
  const [row, column] = [0, 5].map((at, which) =>
    Array.from(
      { length: small },
      (_, k) => factors[which * small * small + (which === 0 ? at * small + k : k * small + at)],
    )
  );
  assert.deepEqual(row, Array(small).fill(1));
  assert.equal(column.reduce((sum, x) => sum + x), 1);
  // A column at the edge that a card is measured with.
  const { edge } = choiceOf(false);
  const terms = Array.from({ length: edge }, (_, k) => column[k < small ? k : k % 4]);
  const orders = [terms, terms.toSorted((a, b) => a - b), terms.toSorted((a, b) => b - a)];
  for (const order of orders) {
    assert.equal(order.reduce((sum, x) => Math.f16round(sum + Math.f16round(x)), 0), 1);
  }
});

Deno.test("what is timed without the wait at its end is timed by few calls and by many", async () => {
  const counts = new Set<number>();
  const work = (calls: number) => Promise.resolve(void counts.add(calls));
  assert.ok(await timedWithoutWait(work, 0.001, 100) >= 0);
  assert.deepEqual([...counts], [AHEAD, AHEAD + 100]);
});
