import assert from "node:assert/strict";
import { join } from "node:path";
import { SPANS_FILE } from "../../../tasks/trace/spans.ts";
import { TRACE_FILE, writeTrace } from "../../../tasks/trace/chrome_trace.ts";
import { celgc } from "../../_helpers/deno.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";
import { position, writeRun } from "../run_folder.ts";

interface Event {
  readonly name: string;
  readonly cat?: string;
  readonly ph: string;
  readonly tid: number;
  readonly ts: number;
  readonly dur: number;
  readonly args?: Record<string, unknown>;
}

/** The events of a trace, which must be as Chrome's format has them. */
function read(path: string): Event[] {
  const { traceEvents, ...rest } = JSON.parse(Deno.readTextFileSync(path));
  assert.deepEqual(rest, { displayTimeUnit: "ms" });
  for (const event of traceEvents) checkEvent(event);
  return traceEvents;
}

/** Metadata by name, and the argument that it must have. */
const METADATA: Record<string, [string, string]> = {
  process_name: ["name", "string"],
  thread_name: ["name", "string"],
  thread_sort_index: ["sort_index", "number"],
};

/**
 * Trace Event Format, "Event Descriptions": which fields an event of each phase must have, and of which type. Phase I,
 * an older spelling of i, is not taken.
 */
function checkEvent(event: Record<string, unknown>): void {
  const told = JSON.stringify(event), { ph, s, args } = event;
  const has = (type: string, ...names: string[]) => {
    for (const name of names) assert.equal(typeof event[name], type, `${name} of ${told}`);
  };
  has("string", "name", "ph");
  has("number", "pid", "tid");
  if (ph === "M") {
    const [argument, type] = METADATA[String(event.name)];
    return assert.equal(typeof (args as Record<string, unknown>)[argument], type, told);
  }
  has("number", "ts");
  assert.ok(Number(event.ts) >= 0, told);
  if (ph === "C") {
    return assert.ok(Object.values(args as object).every(Number.isFinite), told);
  }
  has("string", "cat");
  if (ph === "X") has("number", "dur");
  else assert.ok(ph === "i" && ["g", "p", "t"].includes(String(s)), told);
  assert.ok(ph !== "X" || Number(event.dur) >= 0, told);
}

/** Two ranks that meet at every second step; rank 1 is slow, and an evaluation follows step 2. */
function lines(steps: number) {
  const clock = [0, 0];
  return Array.from({ length: steps }, (_, i) => i + 1).flatMap((t) => {
    const records = [0, 1].map((rank) => {
      const work = rank === 1 ? 30 : 10, meets = t % 2 === 0;
      // Rank 0 comes 40 ms early to each meeting, which then takes 5 ms.
      const syncMs = meets ? (rank === 0 ? 45 : 5) : 0;
      clock[rank] += work + syncMs;
      const seconds = clock[rank] / 1000;
      const of = { ...position(t, 2), rank, seconds };
      return {
        type: "step",
        ...of,
        loss: 3 / t,
        gradNorm: 1,
        clipped: false,
        stepMs: work + syncMs,
        syncMs,
      };
    });
    if (t !== 2) return records;
    for (const rank of [0, 1]) clock[rank] += 100;
    return [...records, { type: "eval", ...position(t, 2), loss: 1, accuracy: 0.5, count: 10 }];
  });
}

Deno.test("each rank has a track of steps, waiting, exchanges and evaluations", async () => {
  await using folder = await temporaryFolder();
  const run = await writeRun(
    folder.path,
    "run",
    { algorithm: "celgc", model: "resnet8" },
    lines(4),
  );
  const events = read((await writeTrace(run))!);
  const of = (tid: number) =>
    events.filter((event) => event.ph === "X" && event.tid === tid)
      .map(({ name, ts, dur }) => [name, ts / 1000, dur / 1000]);
  assert.deepEqual(of(0), [
    ["step 1", 0, 10],
    ["step 2", 10, 55],
    ["waiting", 20, 40],
    ["exchange", 60, 5],
    ["evaluation", 65, 100],
    ["step 3", 165, 10],
    ["step 4", 175, 55],
    ["waiting", 185, 40],
    ["exchange", 225, 5],
  ]);
  assert.deepEqual(of(1).slice(0, 4), [
    ["step 1", 0, 30],
    ["step 2", 30, 35],
    ["exchange", 60, 5],
    ["evaluation", 65, 100],
  ]);
  assert.deepEqual(
    events.filter(({ name }) => name === "thread_name").map(({ tid, args }) => [tid, args!.name]),
    [[0, "rank 0"], [1, "rank 1"]],
  );
  const losses = events.filter(({ ph }) => ph === "C").map(({ args }) => args!.loss);
  assert.deepEqual(losses, [3, 1.5, 1, 0.75]);
});

Deno.test("of a long run the beginning and the end are traced, and the file stays small", async () => {
  await using folder = await temporaryFolder();
  const run = await writeRun(folder.path, "run", {}, lines(500));
  const path = (await writeTrace(run, 40))!;
  const steps = read(path).filter(({ ph, tid, name }) =>
    ph === "X" && tid === 1 && /^step/.test(name)
  );
  assert.deepEqual(steps.map(({ name }) => Number(name.slice(5))), [
    ...Array.from({ length: 10 }, (_, i) => i + 1),
    ...Array.from({ length: 10 }, (_, i) => 491 + i),
  ]);
  assert.ok(read(path).some(({ name }) => name === "480 steps left out"));
  assert.ok((await Deno.stat(path)).size < 40 * 4 * 200);
});

Deno.test("checkpoints and kernels have tracks of their own, without what a restart has taken back", async () => {
  await using folder = await temporaryFolder();
  const run = await writeRun(folder.path, "run", {}, lines(4));
  const at = (start: number, kind: string, of: object) => ({
    kind,
    name: kind === "kernel" ? "Conv" : "checkpoint",
    start,
    milliseconds: 2,
    of,
  });
  const spans = [
    { from: 0 },
    at(-5, "kernel", { node: "before the first step" }),
    at(10, "kernel", { node: "a" }),
    at(11.5, "kernel", { node: "b" }),
    at(66, "checkpoint", { step: 2 }),
    at(200, "checkpoint", { step: 3 }),
    { from: 150 },
    at(175, "checkpoint", { step: 3 }),
  ].map((line) => JSON.stringify(line) + "\n").join("");
  await Deno.writeTextFile(join(run, SPANS_FILE), spans + '{"kind":"kernel","na');
  const events = read((await writeTrace(run))!);
  const of = (tid: number) =>
    events.filter((event) => event.ph === "X" && event.tid === tid)
      .map(({ name, ts, dur, args }) => [name, ts / 1000, dur / 1000, Object.values(args!)[0]]);
  assert.deepEqual(of(2), [["Conv", 10, 2, "a"], ["Conv", 12, 1.5, "b"]]);
  assert.deepEqual(of(3), [["checkpoint", 66, 2, 2], ["checkpoint", 175, 2, 3]]);
  assert.deepEqual(
    events.filter(({ name }) => name === "thread_name").map(({ tid, args }) => [tid, args!.name]),
    [[0, "rank 0"], [1, "rank 1"], [2, "rank 0: kernels"], [3, "rank 0: checkpoints"]],
  );
});

Deno.test("a folder without a log has no trace", async () => {
  await using folder = await temporaryFolder();
  assert.equal(await writeTrace(folder.path), null);
  await assert.rejects(Deno.stat(join(folder.path, TRACE_FILE)), Deno.errors.NotFound);
});

Deno.test("a run with --trace leaves one, whose events of a rank do not overlap", async () => {
  await using folder = await temporaryFolder();
  const out = join(folder.path, "run");
  const args =
    "--ranks 2 --device cpu --max-steps 6 --interval 2 --batch-size 4 --train-size 40 --test-size 20 " +
    "--trace-kernels 2 --checkpoint-every 3";
  const { code, stderr } = await celgc(
    "launch",
    ...args.split(" "),
    "--trace",
    "--quiet",
    "--out",
    out,
  );
  assert.equal(code, 0, stderr);
  const events = read(join(out, TRACE_FILE)).filter(({ ph }) => ph === "X");
  const steps = events.filter(({ tid, name }) => tid === 0 && /^step \d/.test(name));
  const kernels = events.filter(({ cat }) => cat === "kernel");
  assert.ok(kernels.some(({ name }) => /Conv|MatMul|Gemm/.test(name)));
  // Of the first two steps, the same in each. Between clocks of two kinds there is a delay, so at its edges a step's
  // may be beyond it.
  const half = kernels.length / 2, halves = [kernels.slice(0, half), kernels.slice(half)];
  assert.ok(half > 50, `${half}`);
  const [first, second] = halves.map((of) => of.map(({ name }) => name).sort());
  assert.deepEqual(first, second);
  for (const [i, of] of halves.entries()) {
    const { ts, dur } = steps[i], { ts: middle } = of[half >> 1];
    assert.ok(middle >= ts && middle <= ts + dur, `${i}: ${ts}, ${middle}, ${dur}`);
  }
  const inStep = ({ ts, dur }: Event) =>
    kernels.filter((kernel) => kernel.ts >= ts && kernel.ts + kernel.dur <= ts + dur).length;
  assert.deepEqual(steps.slice(2).map(inStep), steps.slice(2).map(() => 0));
  const saved = events.filter(({ cat }) => cat === "checkpoint");
  assert.deepEqual(saved.map(({ args }) => args!.step), [3, 6]);
  assert.ok(saved[0].ts >= steps[2].ts + steps[2].dur - 1000 && saved[0].dur > 0);
  const left = [...Deno.readDirSync(out)].map(({ name }) => name);
  assert.ok(!left.some((name) => name.startsWith("celgc-profile")), `${left}`);
  for (const rank of [0, 1]) {
    const whole = events.filter(({ tid, name }) => tid === rank && !/waiting|exchange/.test(name));
    assert.equal(whole.filter(({ name }) => /^step \d/.test(name)).length, 6);
    for (const [i, { ts }] of whole.entries()) {
      const before = whole[i - 1];
      if (before) {
        assert.ok(ts >= before.ts + before.dur - 1000, `${before.name}, ${whole[i].name}`);
      }
    }
    assert.ok(events.some(({ tid, name }) => tid === rank && name === "exchange"));
  }
});
