import assert from "node:assert/strict";
import { resolveOptions } from "../../../tasks/options/resolve.ts";
import { hashOfRun } from "../../../tasks/sweep/cells.ts";
import { coordinatesOf, labelRuns } from "../../../tasks/report/labels.ts";

const label = (...options: Record<string, unknown>[]) =>
  labelRuns(
    coordinatesOf(options.map((o) => ({ options: o, seed: 1, started: Math.random() }))),
    options.map((_, index) => `runs/run-${index}`),
  );

Deno.test("runs are labelled by what differs between their options", () => {
  assert.deepEqual(
    label(
      { algorithm: "naive-parallel", interval: 4, ranks: 8, lr: 0.1, out: "a" },
      { algorithm: "celgc", interval: 4, ranks: 8, lr: 0.1, out: "b" },
      { algorithm: "celgc", interval: 16, ranks: 8, lr: 0.3, out: "c" },
    ),
    ["naive-parallel η=0.1", "celgc I=4 η=0.1", "celgc I=16 η=0.3"],
  );
  assert.deepEqual(
    label({ ranks: 4, clip: 1, seed: 1 }, { ranks: 8, clip: 0.5, seed: 2 }),
    ["N=4 γ=1 seed=1", "N=8 γ=0.5 seed=2"],
  );
});

Deno.test("runs whose options do not tell them apart go by their folders", () => {
  assert.deepEqual(label({ lr: 1 }), ["run-0"]);
  assert.deepEqual(label({ lr: 1, out: "x" }, { lr: 1, out: "y" }), ["run-0", "run-1"]);
  assert.deepEqual(
    label({ lr: 1 }, { lr: 2 }, { lr: 2 }),
    ["η=1", "η=2 (run-1)", "η=2 (run-2)"],
  );
  assert.deepEqual(labelRuns(coordinatesOf([null, null]), ["a/out", "b/out"]), [
    "out (a/out)",
    "out (b/out)",
  ]);
});

Deno.test("an option that does not apply to an algorithm is no part of its label", () => {
  assert.deepEqual(
    label({ algorithm: "single", ranks: 1, interval: 1 }, {
      algorithm: "celgc",
      ranks: 8,
      interval: 2,
    }),
    ["single", "celgc N=8 I=2"],
  );
});

Deno.test("runs of several problems are told apart by the problem, not by all that follows from it", () => {
  const images = { ...resolveOptions({ preset: "cifar10-resnet56", data: "cifar" }) };
  const texts = { ...resolveOptions({ preset: "ptb-awd-lstm", data: "ptb" }) };
  const mixed = label(
    images,
    { ...images, interval: 16, seed: 2 },
    { ...texts, algorithm: "naive-parallel" },
    { ...texts, lr: 10 },
    { ...texts, lr: 20 },
    { ...resolveOptions({ task: "generated-images" }) },
  );
  assert.deepEqual(mixed, [
    "cifar10-resnet56 celgc I=4 seed=1",
    "cifar10-resnet56 celgc I=16 seed=2",
    "ptb-awd-lstm naive-parallel η=30",
    "ptb-awd-lstm celgc I=4 η=10",
    "ptb-awd-lstm celgc I=4 η=20",
    "generated-images resnet8 celgc",
  ]);
});

Deno.test("a log may name what every object has, and is of no problem known here", () => {
  const named = { task: "constructor", model: "toString", algorithm: "valueOf" };
  assert.deepEqual(label({ ...named, lr: 1 }, { ...named, lr: 2 }), ["η=1", "η=2"]);
  assert.equal(hashOfRun({ task: "constructor", lr: 1 }), null);
});
