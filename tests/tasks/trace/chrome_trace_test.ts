import assert from "node:assert/strict";
import { join } from "node:path";
import { TRACE_FILE, writeTrace } from "../../../tasks/trace/chrome_trace.ts";
import { celgc } from "../../_helpers/deno.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";
import { position, writeRun } from "../run_folder.ts";

interface Event {
  readonly name: string;
  readonly ph: string;
  readonly tid: number;
  readonly ts: number;
  readonly dur: number;
  readonly args?: Record<string, unknown>;
}

const read = (path: string): Event[] => JSON.parse(Deno.readTextFileSync(path)).traceEvents;

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

Deno.test("a folder without a log has no trace", async () => {
  await using folder = await temporaryFolder();
  assert.equal(await writeTrace(folder.path), null);
  await assert.rejects(Deno.stat(join(folder.path, TRACE_FILE)), Deno.errors.NotFound);
});

Deno.test("a run with --trace leaves one, whose events of a rank do not overlap", async () => {
  await using folder = await temporaryFolder();
  const out = join(folder.path, "run");
  const args =
    "--ranks 2 --device cpu --max-steps 6 --interval 2 --batch-size 4 --train-size 40 --test-size 20";
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
