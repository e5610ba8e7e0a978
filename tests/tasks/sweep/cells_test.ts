import assert from "node:assert/strict";
import { planCells } from "../../../tasks/sweep/cells.ts";
import type { Swept } from "../../../tasks/sweep/axes.ts";

const names = (given: Swept, baseline = false) =>
  planCells(given, baseline).cells.map(({ name }) => name);

Deno.test("the cells are the product of the axes, named by them", () => {
  const { axes, cells } = planCells({ lr: [0.1, 0.2], interval: [1, 4], ranks: 2 });
  assert.deepEqual(axes, ["interval", "lr"]);
  assert.deepEqual(cells.map(({ name }) => name), [
    "interval=1_lr=0.1",
    "interval=1_lr=0.2",
    "interval=4_lr=0.1",
    "interval=4_lr=0.2",
  ]);
  assert.deepEqual(cells.map(({ options: o }) => [o.interval, o.lr, o.ranks, o.seed]), [
    [1, 0.1, 2, 1],
    [1, 0.2, 2, 1],
    [4, 0.1, 2, 1],
    [4, 0.2, 2, 1],
  ]);
  assert.deepEqual(cells[1].at, { interval: 1, lr: 0.2 });
  assert.equal(new Set(cells.map(({ hash }) => hash)).size, 4);
});

Deno.test("the baseline stands first, once for each value of what applies to it", () => {
  const { axes, cells } = planCells({ interval: [1, 4], lr: [0.1, 0.2] }, true);
  assert.deepEqual(axes, ["algorithm", "interval", "lr"]);
  assert.deepEqual(cells.map(({ name }) => name), [
    "algorithm=naive-parallel_lr=0.1",
    "algorithm=naive-parallel_lr=0.2",
    "interval=1_lr=0.1",
    "interval=1_lr=0.2",
    "interval=4_lr=0.1",
    "interval=4_lr=0.2",
  ]);
  assert.deepEqual(cells[0].at, { algorithm: "naive-parallel", interval: null, lr: 0.1 });
  assert.deepEqual(cells[2].at, { algorithm: "celgc", interval: 1, lr: 0.1 });
});

Deno.test("the baseline changes neither names nor hashes of the other cells", () => {
  const alone = planCells({ interval: [1, 4] }).cells;
  const beside = planCells({ interval: [1, 4] }, true).cells.slice(1);
  assert.deepEqual(
    beside.map(({ name, hash }) => [name, hash]),
    alone.map((c) => [c.name, c.hash]),
  );
});

Deno.test("cells that differ only in what their algorithm ignores are one cell", () => {
  assert.deepEqual(
    names({ algorithm: ["naive-parallel", "celgc", "single"], interval: [1, 2], ranks: 4 }),
    [
      "algorithm=naive-parallel",
      "algorithm=celgc_interval=1",
      "algorithm=celgc_interval=2",
      "algorithm=single",
    ],
  );
  const { cells } = planCells({ algorithm: ["celgc", "single"], ranks: 4, participants: 3 });
  assert.deepEqual(cells.map(({ options: { ranks } }) => ranks), [4, 1]);
});

Deno.test("an axis of the outer step leaves algorithms without one single", () => {
  assert.deepEqual(
    names({ algorithm: ["celgc", "diloco", "episode"], outerLr: [0.7, 1], clipBy: "max" }),
    [
      "algorithm=celgc",
      "algorithm=diloco_outer-lr=0.7",
      "algorithm=diloco_outer-lr=1",
      "algorithm=episode",
    ],
  );
});

Deno.test("the baseline waits for its averages whatever its cells do, and draws its ranks as they do", () => {
  const overlapping = planCells({ overlap: true, interval: [2, 4] }, true).cells;
  assert.deepEqual(overlapping.map(({ options: o }) => [o.algorithm, o.overlap]), [
    ["naive-parallel", false],
    ["celgc", true],
    ["celgc", true],
  ]);
  assert.deepEqual(names({ participants: [6, 8] }, true), [
    "algorithm=naive-parallel_participants=6",
    "algorithm=naive-parallel_participants=8",
    "participants=6",
    "participants=8",
  ]);
  const preset = planCells({ preset: "ptb-partial-participation", data: "dir" }, true);
  assert.deepEqual(preset.cells.map(({ options }) => options.participants), [6, 6]);
  assert.deepEqual(preset.notes, [
    "naive-parallel averages 6 of the 8 ranks too, drawn anew for each step; the others sit it out",
  ]);
  assert.deepEqual(planCells({ participants: 8 }, true).notes, []);
  assert.deepEqual(planCells({ seed: [1, 2] }).notes, []);
  assert.match(planCells({ seed: 1 }).notes.join(), /^one run, since no option has several values/);
  assert.deepEqual(
    names({ algorithm: ["celgc", "naive-parallel", "single"], overlap: [false, true] }),
    [
      "algorithm=celgc_overlap=off",
      "algorithm=celgc_overlap=on",
      "algorithm=naive-parallel",
      "algorithm=single",
    ],
  );
});

Deno.test("an option that does not apply to some cells' tasks goes with the others", () => {
  const { cells } = planCells({ task: ["generated-images", "generated-text"], hidden: [32, 64] });
  assert.deepEqual(cells.map(({ name, options: { hidden } }) => [name, hidden]), [
    ["task=generated-images", 1150],
    ["hidden=32_task=generated-text", 32],
    ["hidden=64_task=generated-text", 64],
  ]);
  assert.equal(
    planCells({ task: ["generated-images", "generated-text"], hidden: 32 }).cells.length,
    2,
  );
  assert.throws(() => planCells({ hidden: 32 }), /--hidden 32 has no effect/);
});

Deno.test("the hash is of what decides the run, given or by default", () => {
  const hash = (given: Swept) => planCells(given).cells[0].hash;
  assert.equal(hash({ ranks: 8 }), hash({}));
  assert.equal(hash({ out: "elsewhere", download: false, timeout: 5 }), hash({}));
  const on = (data: string) => hash({ task: "cifar10", data });
  assert.equal(on("x"), on(`${Deno.cwd()}/y/../x/`));
  assert.notEqual(on("x"), on("y"));
  assert.equal(
    hash({ algorithm: "naive-parallel", interval: 2 }),
    hash({ algorithm: "naive-parallel", interval: 8 }),
  );
  for (const other of [{ ranks: 4 }, { seed: 2 }, { device: "wasm" }, { interval: 5 }] as const) {
    assert.notEqual(hash(other), hash({}), JSON.stringify(other));
  }
});

Deno.test("names stay readable and apart whatever the values are", () => {
  assert.deepEqual(names({ partition: ["iid", "proportional:40,60"], ranks: 2 }), [
    "partition=iid",
    "partition=proportional-40-60",
  ]);
  assert.deepEqual(names({ decayAt: [[], [1, 2]], nesterov: [false, true], momentum: 0.5 }), [
    "nesterov=off_decay-at=none",
    "nesterov=off_decay-at=1-2",
    "nesterov=on_decay-at=none",
    "nesterov=on_decay-at=1-2",
  ]);
  const long = names({
    partition: [`proportional:${Array(64).fill("1.5625").join()}`],
    ranks: 64,
  });
  assert.ok(long[0].length <= 100, long[0]);
});

Deno.test("an impossible combination is refused before anything runs, and names the cell", () => {
  assert.throws(
    () => planCells({ ranks: [8, 2], participants: 6 }),
    /--participants must be at most --ranks, 2, not 6 \(cell ranks=2\)/,
  );
  assert.throws(() => planCells({ intervall: [1] } as Swept), /unknown option intervall/);
});

Deno.test("a sweep resumes no run, and says how it goes on", () => {
  assert.throws(
    () => planCells({ interval: [1, 4], resume: "runs/one" }),
    /--resume is for one run: a sweep goes on with the command that began it and the same --out/,
  );
});

Deno.test("a sweep without axes is one cell", () => {
  assert.deepEqual(names({ interval: 4 }), ["algorithm=celgc"]);
  assert.deepEqual(names({ interval: 4 }, true), ["algorithm=naive-parallel", "algorithm=celgc"]);
});
