import assert from "node:assert/strict";
import { awdLstm } from "../../../models/architectures/awd_lstm.ts";
import { ROWS_SUFFIX } from "../../../models/architectures/awd_lstm_feeds.ts";
import { parametersOf } from "../../../models/model.ts";
import { sizeOf } from "../../../models/tensor.ts";
import type { HostTensor } from "../../../runtime/devices/device.ts";
import { openDevice } from "../../../runtime/devices/open.ts";
import {
  BATCH,
  initialVariables,
  masksOf,
  SMALL,
  STEP_SIZE,
  stepGraph,
  stretches,
  train,
  WEIGHT_DECAY,
} from "./_awd_lstm_run.ts";
import { relativeError } from "../_evaluate.ts";
import { hasTorch, parseOutput, runPython, torchNote } from "../../_helpers/peers/python.ts";

Deno.test("on Penn Treebank AWD-LSTM has the paper's 24.2 million weights, named as in PyTorch", () => {
  const model = awdLstm({ vocabulary: 10_000 }).build({ batchSize: 3, mode: "train", length: 70 });
  const parameters = parametersOf(model);
  const layer = (i: number) =>
    ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"].map((name) => `rnns.${i}.${name}`);
  assert.deepEqual(
    parameters.map(({ name }) => name),
    ["encoder.weight", ...layer(0), ...layer(1), ...layer(2), "decoder.bias"],
  );
  const count = (name: string) =>
    parameters.filter((each) => each.name.startsWith(name))
      .reduce((sum, { dims }) => sum + sizeOf(dims), 0);
  assert.equal(count("rnns.0"), 4 * 1150 * (400 + 1150 + 2));
  assert.equal(count("rnns.1"), 4 * 1150 * (1150 + 1150 + 2));
  assert.equal(count("rnns.2"), 4 * 400 * (1150 + 400 + 2));
  assert.equal(count(""), 24_221_600);
  const carried = model.variables.filter(({ role }) => role === "carry");
  assert.deepEqual(carried.map(({ name, dims }) => `${name} ${dims}`), [
    "rnns.0.hidden 3,1150",
    "rnns.0.cell 3,1150",
    "rnns.1.hidden 3,1150",
    "rnns.1.cell 3,1150",
    "rnns.2.hidden 3,400",
    "rnns.2.cell 3,400",
  ]);
});

Deno.test("initial weights are uniform as in the reference, and a pure function of the seed", () => {
  const build = () =>
    awdLstm({ ...SMALL, hidden: 64 }).build({ batchSize: 1, mode: "train", length: 5 });
  const other = new Map(build().variables.map((variable) => [variable.name, variable]));
  for (const { name, role, dims, initial } of build().variables) {
    const first = initial(3);
    assert.equal(first.length, sizeOf(dims));
    assert.deepEqual(first, other.get(name)!.initial(3));
    const bound = role === "carry" || name === "decoder.bias"
      ? 0
      : name === "encoder.weight"
      ? 0.1
      : 1 / Math.sqrt(name.startsWith("rnns.2") ? SMALL.embedding! : 64);
    const largest = first.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
    assert(largest <= bound && largest >= 0.9 * bound, `${name}: ${largest} of ${bound}`);
    if (bound === 0) continue;
    assert.notDeepEqual(first, initial(4));
    const mean = first.reduce((a, b) => a + b) / first.length;
    assert(Math.abs(mean) < 4 * bound / Math.sqrt(3 * first.length), `${name}: ${mean}`);
  }
});

Deno.test("options out of range are refused", () => {
  assert.throws(() => awdLstm({ vocabulary: 0 }), /vocabulary.*from 1, not 0/);
  assert.throws(() => awdLstm({ vocabulary: 9, dropout: { weight: 1 } }), /dropout weight.*not 1/);
  const { feeds } = awdLstm(SMALL);
  const words = new Int32Array(9);
  assert.throws(
    () =>
      feeds.training({ input: words, target: words }, { batchSize: 3, length: 2, restart: true }),
    /9 words.*2 steps and 3 columns/,
  );
});

/** A mask of a weight's rows as PyTorch multiplies with it: one factor a row. */
function factors(masks: Record<string, HostTensor>, weight: string): number[][] {
  const scale = masks[weight + ROWS_SUFFIX.scale].data;
  const positions = masks[weight + ROWS_SUFFIX.positions].data as Int32Array;
  return Array.from(positions, (at) => [Number(scale[at])]);
}

/** A tensor as nested lists. */
function nested(data: ArrayLike<number>, dims: readonly number[]): unknown {
  if (dims.length <= 1) return dims.length ? Array.from(data) : data[0];
  const size = sizeOf(dims.slice(1)), all = Array.from(data);
  return Array.from(
    { length: dims[0] },
    (_, i) => nested(all.slice(i * size, (i + 1) * size), dims.slice(1)),
  );
}

for (const weightDrop of ["rows", "elements"] as const) {
  Deno.test({
    name:
      `AWD-LSTM follows PyTorch through ten clipped steps, weight drop of ${weightDrop}${torchNote}`,
    ignore: !hasTorch,
    async fn() {
      const text = stretches([7, 5, 9, 6, 12, 5, 8, 2, 7, 6], [0, 6]);
      const awd = awdLstm({ ...SMALL, weightDrop });
      const { variables } = stepGraph(awd, 4), initial = initialVariables(stepGraph(awd, 4));
      const steps = text.map(({ input, target, restart }, step) => {
        const masks = masksOf(awd, step), dims = [input.length / BATCH, BATCH];
        const plain = Object.entries(masks).filter(([name]) => name.endsWith(".dropout"))
          .map(([name, { data, dims }]) => [
            name.includes("weight_hh") ? name.slice(0, -".dropout".length) : name,
            nested(data as Float32Array, dims),
          ]);
        const rows = weightDrop === "rows"
          ? [0, 1, 2].map((i) => `rnns.${i}.weight_hh_l0`)
            .map((name) => [name, factors(masks, name)])
          : [];
        return {
          ...STEP_SIZE,
          restart,
          input: nested(input, dims),
          target: nested(target, dims),
          masks: Object.fromEntries([...plain, ...rows]),
        };
      });
      const parameters = variables.filter(({ role }) => role === "parameter");
      const reference = runPython(new URL("./awd_lstm_reference.py", import.meta.url), [
        new TextEncoder().encode(JSON.stringify({
          config: { ...awd.config, weightDecay: WEIGHT_DECAY },
          variables: Object.fromEntries(
            parameters.map(({ name, dims }) => [name, nested(initial.get(name)!, dims)]),
          ),
          steps,
        })),
      ]);
      await using device = await openDevice("cpu");
      const ours = await train(device, text, { weightDrop });

      const { header, numbers } = parseOutput(await reference);
      const { losses, entropies, norms, names } = header as
        & Record<"losses" | "entropies" | "norms", number[]>
        & { names: string[] };
      assert(relativeError(ours.losses, losses) < 1e-4, `${ours.losses}\n${losses}`);
      assert(relativeError(ours.entropies, entropies) < 1e-4, `${ours.entropies}\n${entropies}`);
      assert(relativeError(ours.norms, norms) < 1e-4, `${ours.norms}\n${norms}`);
      const { lr, clip } = STEP_SIZE;
      assert.equal(new Set(norms.map((norm) => lr < clip / norm)).size, 2, `${norms}`);
      assert.deepEqual(names, parameters.map(({ name }) => name));
      let at = 0;
      const next = (size: number) => numbers.subarray(at, at += size);
      for (const [name, gradient] of ours.gradients) {
        const error = relativeError(gradient, next(gradient.length));
        assert(error < 1e-4, `gradient of ${name}: ${error}`);
      }
      const carried = variables.filter(({ role }) => role === "carry");
      for (const { name } of [...parameters, ...carried]) {
        const value = ours.variables.get(name)!;
        const error = relativeError(value, next(value.length));
        assert(error < 1e-4, `${name} after the last step: ${error}`);
      }
      assert.equal(at, numbers.length);
    },
  });
}

Deno.test("a window gives the same numbers in a graph of its very length, of any length, and of a greater one", async () => {
  const text = stretches([7, 4, 1, 10, 9], [0, 3]);
  await using device = await openDevice("cpu");
  const exact = await train(device, text, {}, (length) => length);
  const any = await train(device, text, {});
  const padded = await train(device, text, {}, (length) => Math.ceil(length / 6) * 6);
  for (const [how, other] of Object.entries({ any, padded })) {
    for (const what of ["losses", "entropies", "norms"] as const) {
      const error = relativeError(other[what], exact[what]);
      assert(error < 2e-6, `${how}: ${what} ${other[what]}\n${exact[what]}`);
    }
    for (const what of ["gradients", "variables"] as const) {
      for (const [name, value] of exact[what]) {
        const error = relativeError(other[what].get(name)!, value);
        assert(error < 1e-5, `${how}: ${what} ${name} ${error}`);
      }
    }
  }
});
