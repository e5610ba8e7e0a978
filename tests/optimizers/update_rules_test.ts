/** What holds for every update rule, of `--optimizer` and of one's own. */

import assert from "node:assert/strict";
import { adamW, Graph, init, PLAIN_STEP, sgd, train, trainOptions } from "../../mod.ts";
import { UPDATE_RULES, type UpdateRule } from "../../mod.ts";
import { appendClippedStep } from "../../optimizers/clipped_step.ts";
import type { RuleEntry, RuleOptions } from "../../optimizers/rule_registry.ts";
import { defaultOptions } from "../../tasks/options/table.ts";
import { clusterModel, clusters } from "../_helpers/clusters.ts";
import { temporaryFolder } from "../_helpers/temporary_folder.ts";
import { noise, SHAPES, startWeights, type StepInput, takeSteps } from "./_step_device.ts";

const made = (entry: RuleEntry, more: Partial<RuleOptions> = {}): UpdateRule =>
  entry.create({ ...defaultOptions(), ...entry.defaults, ...more });

/** Each with its defaults, and SGD with what it keeps if it is told to. SGD's weight decay is cut with its step. */
const RULES: readonly UpdateRule[] = [
  ...Object.values(UPDATE_RULES).map((entry) => made(entry)),
  made(UPDATE_RULES.sgd, { momentum: 0.9, nesterov: true }),
];

const gradientsOf = (seed: number, scale = 1) =>
  Object.fromEntries(
    Object.entries(SHAPES).map(([name, dims], i) => {
      const size = dims.reduce((a, b) => a * b, 1);
      return [name, noise(size, 10 * seed + i).map((x) => Math.fround(scale * x))];
    }),
  );

const stepsOf = (count: number, scale = 1): StepInput[] =>
  Array.from({ length: count }, (_, i) => ({
    gradients: gradientsOf(i + 1, scale),
    learningRate: 0.01,
    clipThreshold: 0.01,
  }));

const largest = (a: Record<string, number[]>, b: Record<string, number[]>) =>
  Math.max(
    ...Object.keys(a).map((name) =>
      a[name].reduce((most, x, i) => Math.max(most, Math.abs(x - b[name][i])), 0)
    ),
  );

for (const [i, rule] of RULES.entries()) {
  const name = `${rule.name}${i < RULES.length - 1 ? "" : " with momentum"}`;

  Deno.test(`${name}: a gradient of zeros moves only what decays`, async () => {
    const start = startWeights(), zero = gradientsOf(1, 0);
    const options = { clips: true, rule };
    const input = { gradients: zero, learningRate: 0.01, clipThreshold: 0.01 };
    const [{ weights, gradNorm }] = await takeSteps(options, start, [input]);
    assert.equal(gradNorm, 0);
    for (const [which, values] of Object.entries(weights)) {
      values.forEach((x, at) => {
        const before = start[which][at];
        assert.ok(Number.isFinite(x));
        // Decay shrinks each weight, by λ = 0.01 of it times η at most, and turns none around.
        assert.ok(Math.abs(x - before) <= 0.0002 * Math.abs(before), `${which}: ${before} → ${x}`);
      });
    }
  });

  Deno.test(`${name}: gradients that are cut to γ/η may be ten times as long`, async () => {
    const options = { clips: true, rule }, start = startWeights();
    const once = (await takeSteps(options, start, stepsOf(3))).at(-1)!.weights;
    const tenfold = (await takeSteps(options, start, stepsOf(3, 10))).at(-1)!.weights;
    assert.ok(largest(once, start) > 1e-5, "it moves");
    assert.ok(largest(once, tenfold) < 2e-6, `${largest(once, tenfold)}`);
  });

  Deno.test(`${name}: the same steps have the same bits`, async () => {
    const options = { clips: true, rule };
    const [first, second] = [
      await takeSteps(options, startWeights(), stepsOf(4)),
      await takeSteps(options, startWeights(), stepsOf(4)),
    ];
    assert.deepEqual(first, second);
  });

  Deno.test(`${name}: what it keeps has its parameter's shape, and a next value`, () => {
    const g = new Graph(), sizes = Object.entries(SHAPES);
    const inputs = (suffix: string) =>
      sizes.map(([name, dims]) => g.input(`${name}${suffix}`, "float32", dims));
    const parameters = inputs("").map((value, i) => ({ name: sizes[i][0], value }));
    const options = { ...PLAIN_STEP, clips: true, rule };
    const slots = appendClippedStep(g, parameters, inputs(".grad"), options);
    const expected = sizes.flatMap(([name, dims]) =>
      rule.states.map((state) => ({ name: `${name}.${state}`, dims }))
    );
    assert.deepEqual(new Set(slots.map(({ name }) => name)), new Set(expected.map((s) => s.name)));
    for (const { name, dims } of [...slots, ...sizes.map(([name, dims]) => ({ name, dims }))]) {
      const which = sizes.find(([parameter]) => name.startsWith(parameter))!;
      assert.deepEqual([...dims], which[1]);
      assert.deepEqual([...g.outputs.get(`${name}.next`)!.dims], [...dims]);
    }
  });
}

Deno.test({
  name: "a run goes on from a checkpoint with the bits of one that was never disturbed",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(context) {
    const comm = await init();
    for (const rule of [...RULES, adamW({ beta2: 0.9 }), sgd({ momentum: 0.5 })]) {
      await context.step(rule.name, async () => {
        await using folder = await temporaryFolder();
        const directory = folder.path;
        const options = trainOptions({
          ranks: 1,
          device: "cpu",
          lr: 0.05,
          clip: 0.05,
          maxSteps: 7,
        });
        const parts = { model: clusterModel(6), task: clusters(options, 0), optimizer: rule };
        const whole = await train(comm, options, parts);
        const begun = { ...options, checkpointEvery: 3, maxSteps: 3 };
        await train(comm, begun, { ...parts, checkpoints: { directory, from: null } });
        const resumed = await train(comm, options, {
          ...parts,
          checkpoints: { directory, from: 3 },
        });
        assert.equal(resumed.summary.weightsHash, whole.summary.weightsHash);
        assert.notEqual(resumed.summary.testLoss, resumed.summary.untrainedLoss);
      });
    }
  },
});
