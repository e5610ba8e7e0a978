import assert from "node:assert/strict";
import { launch, type LaunchOptions } from "../../../tasks/launch/launch.ts";
import { readMetrics } from "../../../tasks/logs/log_tail.ts";
import type { EvalRecord } from "../../../tasks/logs/records.ts";
import { decodeSafetensors } from "../../../tasks/networks/safetensors.ts";
import { resolveOptions } from "../../../tasks/options/resolve.ts";
import { runHere } from "../../_helpers/run_here.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";

/** Step sizes at which the loss soon rises. */
const SMALL = {
  ranks: 2,
  interval: 2,
  epochs: 12,
  trainSize: 120,
  testSize: 20,
  validFraction: 0.2,
  trainEval: 0,
  lr: 4,
  clip: 4,
  seed: 2,
  patience: 2,
  device: "cpu",
} as const satisfies LaunchOptions;

const evaluations = (dir: string) =>
  readMetrics(`${dir}/metrics.jsonl`)
    .filter((record): record is EvalRecord => record.type === "eval");

Deno.test("a run stops when the validation loss falls no more, and keeps the best weights", async () => {
  await using folder = await temporaryFolder();
  const whole = await launch({ ...SMALL, out: `${folder.path}/whole` });
  const { summary } = whole, best = summary.best!;
  const valid = evaluations(whole.dir).filter(({ split }) => split === "valid");
  assert.ok(valid.every(({ count }) => count === 24), "a fifth of the images");
  const learnt = valid.filter(({ step }) => step > 0);
  const least = learnt.reduce((least, each) => each.loss < least.loss ? each : least);
  assert.deepEqual([best.step, best.validationLoss], [least.step, least.loss]);
  assert.equal(best.validationAccuracy, least.accuracy);
  const after = new Set(learnt.filter(({ step }) => step > best.step).map(({ step }) => step));
  assert.equal(summary.stoppedEarly, true);
  assert.equal(after.size, SMALL.patience);
  assert.equal(summary.steps, Math.max(...after));
  assert.ok(summary.steps < 12 * 96 / 32, "it ended before its epochs were over");
  const tests = evaluations(whole.dir).filter(({ split }) => split === "test");
  assert.deepEqual(tests.map(({ step, loss }) => [step, loss]), [[
    summary.steps,
    summary.testLoss,
  ]]);
  assert.ok(summary.identicalWeights);
  // It has one evaluation of each split a step, and the loss of the last tenth of its steps.
  assert.equal(new Set(valid.map(({ step }) => step)).size, valid.length);
  const losses = readMetrics(`${whole.dir}/metrics.jsonl`)
    .flatMap((record) =>
      record.type === "step" && record.step > summary.steps * 0.9 ? [record.loss] : []
    );
  const mean = losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
  assert.ok(Math.abs(summary.trainLoss! - mean) < 1e-6, `${summary.trainLoss}, not ${mean}`);

  // The best weights are those of the same run, ended there.
  const there = await runHere({
    ...SMALL,
    maxSteps: best.step,
    patience: null,
    out: `${folder.path}/there`,
  });
  const weights = async (path: string) =>
    decodeSafetensors(await Deno.readFile(path)).tensors.map(({ name, data }) => [name, [...data]]);
  const kept = `${whole.dir}/best.safetensors`;
  assert.deepEqual(await weights(kept), await weights(`${there.dir}/model.safetensors`));
  assert.equal(best.testLoss, there.summary.testLoss);
  assert.equal(best.testAccuracy, there.summary.testAccuracy);

  // And so in a run that goes on from a checkpoint behind them.
  const out = `${folder.path}/parts`, stop = best.step + 1;
  await runHere({ ...SMALL, maxSteps: stop, checkpointEvery: stop, out });
  await Deno.remove(`${out}/best.safetensors`);
  const resumed = await runHere({ resume: out, maxSteps: 1000 });
  assert.deepEqual(resumed.summary.best, best);
  assert.equal(resumed.summary.weightsHash, summary.weightsHash);
  assert.equal(resumed.summary.steps, summary.steps);
  assert.equal(resumed.summary.trainLoss, summary.trainLoss);
  assert.deepEqual(await weights(`${out}/best.safetensors`), await weights(kept));
});

Deno.test("patience asks for a validation set, and a text has one", () => {
  assert.throws(
    () => resolveOptions({ patience: 2 }),
    /^OptionError: --patience needs a validation/,
  );
  assert.equal(resolveOptions({ patience: 2, task: "generated-text" }).patience, 2);
  assert.throws(
    () => resolveOptions({ validFraction: 0.1, task: "generated-text" }),
    /--valid-fraction 0.1 has no effect with --task generated-text/,
  );
  assert.throws(() => resolveOptions({ validFraction: 1 }), /--valid-fraction must be a number/);
});
