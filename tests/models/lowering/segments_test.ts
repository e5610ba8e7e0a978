/** Recurrences by the device's own kernels, between parts of a graph, beside the whole graph. */

import assert from "node:assert/strict";
import { differentiate } from "../../../models/autodiff.ts";
import { awdLstm } from "../../../models/architectures/awd_lstm.ts";
import { encodeModel } from "../../../models/encode.ts";
import { Graph, type Value } from "../../../models/graph.ts";
import { lowerInParts } from "../../../models/lowering/mod.ts";
import { appendClippedStep, PLAIN_STEP } from "../../../optimizers/clipped_step.ts";
import { sgd } from "../../../optimizers/update_rules/sgd.ts";
import { Random } from "../../../runtime/base/random.ts";
import type { Device, HostTensor } from "../../../runtime/devices/device.ts";
import { openDevice } from "../../../runtime/devices/open.ts";
import {
  decodeSegmented,
  isSegmented,
  KERNEL_OPERATORS,
} from "../../../runtime/devices/segments/segmented_model.ts";
import { hasWebGpu, webGpuNote } from "../../_helpers/web_gpu.ts";

const ALL = new Set(KERNEL_OPERATORS), SUFFIX = ".passed";

const inParts = (graph: Graph, kernels: Device["kernels"] = ALL) =>
  encodeModel(graph, { target: "webgpu", kernels });

interface Case {
  readonly length: number;
  readonly batch: number;
  readonly size: number;
  /** Rows of the weight that are kept, of 4 · size; null for all, without an index. */
  readonly kept: number | null;
  /** What the loss is made of. */
  readonly reads: readonly ("states" | "cells")[];
}

/** An LSTM whose loss reads its states, its cells or both, with the gradients by all that it is made of. */
function lstm({ length, batch, size, kept, reads }: Case) {
  const g = new Graph(), random = new Random(3, "lstm");
  const feeds: Record<string, HostTensor> = {};
  const input = (name: string, dims: number[], scale = 1): Value => {
    const count = dims.reduce((a, b) => a * b, 1);
    const data = Float32Array.from({ length: count }, () => scale * random.normal());
    feeds[name] = { type: "float32", dims, data };
    return g.input(name, "float32", dims);
  };
  const indices = (name: string, values: number[]): Value => {
    feeds[name] = { type: "int32", dims: [values.length], data: Int32Array.from(values) };
    return g.input(name, "int32", [values.length]);
  };
  const x = g.mul(input("x", [length, batch, 4 * size]), 1.5);
  // What kernels read has been computed, or is a variable; a feed that is float32 may be read as well.
  const weight = g.mul(input("weight", [kept ?? 4 * size, size], 0.4), 1);
  const states = ["hidden", "cell"].map((name) => g.mul(input(name, [batch, size]), 1));
  const rest: Value[] = [];
  if (kept !== null) {
    // The last place stands for all rows that are missing.
    const rows = Array.from({ length: 4 * size }, (_, row) => row).filter((row) => row % 3 !== 1)
      .slice(0, kept - 1);
    const places = Array.from({ length: 4 * size }, (_, row) => {
      const place = rows.indexOf(row);
      return place < 0 ? kept - 1 : place;
    });
    const missing = places.indexOf(kept - 1);
    rest.push(indices("rows", [...rows, ...Array(kept - rows.length).fill(missing)]));
    rest.push(indices("positions", places));
    const scale = Float32Array.from({ length: kept }, (_, i) => i < rows.length ? 1 + i % 3 : 0);
    feeds.scale = { type: "float32", dims: [kept], data: scale };
    rest.push(g.input("scale", "float32", [kept]));
  }
  const inputs = [x, weight, ...states];
  const [h, c] = g.opMany("celgc.LSTM", [...inputs, ...rest], {}, 3);
  const terms = reads.map((name) => {
    const value = { states: h, cells: c }[name];
    return g.mean(g.mul(g.mul(value, value), input(`by ${name}`, [length, batch, size])));
  });
  const loss = terms.reduce((sum, term) => g.add(sum, term));
  g.output("loss", loss);
  g.output("loss again", loss);
  g.output("states", h);
  differentiate(g, loss, inputs).forEach((gradient, i) => g.output(`gradient ${i}`, gradient));
  return { g, feeds };
}

async function outputsOf(device: Device, model: Uint8Array, feeds: Record<string, HostTensor>) {
  await using session = await device.compile(model);
  // What is replayed is computed anew: the same of the same, and something else in between.
  const first = await session.run(feeds);
  const half = { ...feeds.x, data: (feeds.x.data as Float32Array).map((x) => x / 2) };
  const other = await session.run({ ...feeds, x: half as HostTensor });
  const again = await session.run(feeds);
  for (const name of session.outputs) {
    assert.deepEqual(again[name].data, first[name].data, name);
    assert.notDeepEqual(other[name].data, first[name].data, name);
  }
  return { outputs: first, captured: session.captured };
}

function assertClose(actual: Record<string, HostTensor>, expected: Record<string, HostTensor>) {
  assert.deepEqual(Object.keys(actual).sort(), Object.keys(expected).sort());
  for (const [name, { dims, data }] of Object.entries(expected)) {
    assert.deepEqual(actual[name].dims, dims, name);
    const numbers = Array.from(data, Number), size = Math.max(1e-6, ...numbers.map(Math.abs));
    const worst = Math.max(...numbers.map((x, i) => Math.abs(Number(actual[name].data[i]) - x)));
    assert.ok(worst <= 2e-5 * size, `${name}: ${worst} of ${size}`);
  }
}

const CASES: Record<string, Case> = {
  "all rows": { length: 5, batch: 3, size: 7, kept: null, reads: ["states"] },
  "some rows": { length: 4, batch: 2, size: 6, kept: 14, reads: ["states"] },
  "one step": { length: 1, batch: 1, size: 5, kept: null, reads: ["states"] },
  "wider than a workgroup, more entries than a tile": {
    length: 3,
    batch: 9,
    size: 70,
    kept: 150,
    reads: ["states"],
  },
  "a loss of states and cells": {
    length: 4,
    batch: 5,
    size: 33,
    kept: null,
    reads: ["states", "cells"],
  },
  "a loss of cells alone": { length: 3, batch: 2, size: 4, kept: null, reads: ["cells"] },
};

for (const [name, shape] of Object.entries(CASES)) {
  Deno.test({
    name: `an LSTM by the GPU's kernels is the CPU's: ${name}${webGpuNote}`,
    ignore: !hasWebGpu,
    async fn() {
      const { g, feeds } = lstm(shape);
      await using cpu = await openDevice("cpu");
      const expected = await outputsOf(cpu, encodeModel(g, { target: "cpu" }), feeds);
      await using gpu = await openDevice("webgpu");
      const model = inParts(g);
      assert.ok(isSegmented(model));
      const actual = await outputsOf(gpu, model, feeds);
      assertClose(actual.outputs, expected.outputs);
      assert.ok(actual.captured);
    },
  });
}

Deno.test({
  name:
    `what is not a number in one gate of a recurrence stays so by the GPU's kernels${webGpuNote}`,
  ignore: !hasWebGpu,
  async fn() {
    const length = 3,
      batch = 1,
      size = 2,
      { g, feeds } = lstm({
        ...{ length, batch, size },
        kept: null,
        reads: ["states", "cells"],
      });
    await using cpu = await openDevice("cpu");
    await using gpu = await openDevice("webgpu");
    await using onCpu = await cpu.compile(encodeModel(g, { target: "cpu" }));
    await using onGpu = await gpu.compile(inParts(g));
    const isFinite = ({ data }: HostTensor) => Array.from(data, Number).map(Number.isFinite);
    for (let gate = 0; gate < 4; gate++) {
      for (const value of [NaN, Infinity, -Infinity]) {
        const data = Float32Array.from(feeds.x.data as Float32Array);
        data[gate * size] = value; // of the first unit at the first step
        const fed = { ...feeds, x: { ...feeds.x, data } as HostTensor };
        const [expected, actual] = [await onCpu.run(fed), await onGpu.run(fed)];
        const names = Number.isNaN(value) ? onCpu.outputs : ["states", "loss"];
        for (const name of names) {
          assert.deepEqual(
            isFinite(actual[name]),
            isFinite(expected[name]),
            `${name}: ${value} in gate ${gate}`,
          );
        }
      }
    }
  },
});

Deno.test("a graph is cut at its recurrences, and all it returns comes from the last part", () => {
  const { g } = lstm(CASES["some rows"]);
  g.input("for nobody", "float32", [2]);
  const { parts, passed } = lowerInParts(g, ALL, SUFFIX)!;
  assert.deepEqual(
    parts.map((part) => "node" in part ? part.node.op : "graph"),
    ["graph", "celgc.LSTM", "graph", "celgc.LSTMGradient", "graph"],
  );
  const last = parts.at(-1)!;
  assert.ok("graph" in last);
  assert.deepEqual([...last.graph.outputs.keys()], [...g.outputs.keys()]);
  // What is fed is fed to whom it is for, and to the last part if it is for nobody.
  const readBy = parts.map((part) =>
    "node" in part
      ? part.inputs
      : part.graph.nodes.flatMap(({ inputs }) => inputs.map((input) => input && input.name))
  );
  assert.ok(last.graph.inputs.has("for nobody"));
  for (const [i, part] of parts.entries()) {
    if ("node" in part) continue;
    for (const name of part.graph.inputs.keys()) {
      assert.ok(name === "for nobody" ? part === last : readBy[i].includes(name), name);
    }
  }
  for (const name of g.inputs.keys()) {
    assert.ok(name === "for nobody" || readBy.some((names) => names.includes(name)), name);
  }
  for (const value of passed.values()) assert.equal(value.type, "float32");
  // Everything that a part reads of another was passed by one before.
  const known = new Set(g.inputs.keys());
  for (const part of parts) {
    const reads = "node" in part
      ? part.inputs.filter((name) => name !== null)
      : [...part.graph.inputs.keys()];
    for (const name of reads) assert.ok(known.has(name), name);
    for (const name of "node" in part ? part.outputs : part.passes.values()) known.add(name);
  }
});

Deno.test("what is not float32 is computed again where it is needed, not passed on", () => {
  const g = new Graph();
  const x = g.input("x", "float32", [3, 2, 8]), r = g.mul(g.input("r", "float32", [8, 2]), 2);
  const limit = g.mul(g.input("limit", "float32", [2, 2]), 3), large = g.greater(limit, 0);
  const [h] = g.opMany("celgc.LSTM", [g.mul(x, 2), r, limit, limit], {}, 3);
  g.output("y", g.where(large, h, 0));
  const { parts, passed } = lowerInParts(g, ALL, SUFFIX)!;
  assert.equal(parts.length, 3);
  const last = parts[2];
  assert.ok("graph" in last);
  assert.ok(last.graph.nodes.some(({ op }) => op === "Greater"));
  assert.ok([...passed.values()].every(({ type }) => type === "float32"));
});

Deno.test("a graph without recurrences, or with one that starts from constants, stays whole", () => {
  const plain = new Graph();
  plain.output("y", plain.mul(plain.input("x", "float32", [2]), 2));
  assert.equal(lowerInParts(plain, ALL, SUFFIX), null);
  assert.ok(!isSegmented(inParts(plain)));
  const g = new Graph(), zeros = g.constant("float32", [2, 2], 0);
  const x = g.input("x", "float32", [3, 2, 8]), r = g.input("r", "float32", [8, 2]);
  g.output("y", g.opMany("celgc.LSTM", [x, r, zeros, zeros], {}, 3)[0]);
  assert.equal(lowerInParts(g, ALL, SUFFIX), null);
  assert.ok(!isSegmented(inParts(g)));
});

Deno.test("a model in parts is read as it was written", () => {
  const { g } = lstm(CASES["some rows"]);
  const bytes = inParts(g), { passed, parts } = decodeSegmented(bytes);
  assert.deepEqual(
    parts.map((part) => "kernel" in part ? part.kernel.operator : part.graph[0]),
    [8, "celgc.LSTM", 8, "celgc.LSTMGradient", 8],
  );
  const total = parts.reduce((sum, part) => "graph" in part ? sum + part.graph.length : sum, 0);
  assert.ok(total < bytes.length);
  assert.ok(passed.every(({ dims }) => dims.every(Number.isInteger)));
  assert.deepEqual(inParts(g), bytes, "the same graph gives the same bytes");
});

Deno.test({
  name: `a session in parts refuses what a whole one refuses${webGpuNote}`,
  ignore: !hasWebGpu,
  async fn() {
    const { g, feeds } = lstm(CASES["some rows"]);
    await using gpu = await openDevice("webgpu");
    const session = await gpu.compile(inParts(g));
    assert.deepEqual(session.inputs.toSorted(), [...g.inputs.keys()].toSorted());
    const { x, rows, ...rest } = feeds;
    await assert.rejects(session.run({ ...rest, rows }), /"x" .*was not fed/);
    await assert.rejects(session.run({ ...rest, x }), /"rows" .*was not fed/);
    await assert.rejects(session.run({ ...feeds, y: x }), /cannot feed "y"/);
    const short = { type: "int32", dims: [1], data: Int32Array.of(0) } as const;
    await assert.rejects(session.run({ ...feeds, rows: short }), /cannot feed "rows"/);
    await session.run(feeds);
    await session[Symbol.asyncDispose]();
    await assert.rejects(session.run(feeds), /was disposed of/);
    await using cpu = await openDevice("cpu");
    await assert.rejects(cpu.compile(inParts(g)), /cannot compile the model for cpu/);
  },
});

Deno.test({
  name: `AWD-LSTM's step at length 70 is at most 700 dispatches${webGpuNote}`,
  ignore: !hasWebGpu,
  async fn() {
    const model = awdLstm({ vocabulary: 40, embedding: 8, hidden: 12 }), length = 70, batchSize = 2;
    const { graph, loss, variables } = model.build({ batchSize, length, mode: "train" });
    const parameters = variables.filter(({ role }) => role === "parameter");
    const gradients = differentiate(graph, loss, parameters.map(({ value }) => value));
    appendClippedStep(graph, parameters, gradients, { ...PLAIN_STEP, rule: sgd() });
    await using gpu = await openDevice("webgpu");
    await using state = await gpu.allocate(variables.map(({ name, dims }) => ({ name, dims })));
    await using session = await gpu.compile(inParts(graph, gpu.kernels), {
      state: [state],
      updates: Object.fromEntries(variables.map(({ name }) => [`${name}.next`, name])),
      capture: false,
    });
    const words = new Int32Array(length * batchSize).fill(3);
    const scalar = (x: number) =>
      ({ type: "float32", dims: [], data: Float32Array.of(x) }) as const;
    const { prototype } = GPUComputePassEncoder, { dispatchWorkgroups } = prototype;
    let dispatches = 0;
    prototype.dispatchWorkgroups = function (...args) {
      dispatches++;
      return dispatchWorkgroups.apply(this, args);
    };
    try {
      await session.run({
        ...model.masks(batchSize, { seed: 1, rank: 0, step: 0 }),
        ...model.feeds.training({ input: words, target: words }, {
          batchSize,
          length,
          restart: true,
        }),
        learning_rate: scalar(1),
        clip_threshold: scalar(1),
      });
    } finally {
      prototype.dispatchWorkgroups = dispatchWorkgroups;
    }
    assert.ok(dispatches > 6 * length && dispatches <= 700, `${dispatches} dispatches`);
  },
});
