import assert from "node:assert/strict";
import { modelCard, writeModelCard } from "../../../../tasks/run/words/model_card.ts";
import type { Summary } from "../../../../tasks/logs/records.ts";
import { resolveOptions } from "../../../../tasks/options/resolve.ts";
import { newConfig, type RunConfig } from "../../../../tasks/run/folder.ts";
import { temporaryFolder } from "../../../_helpers/temporary_folder.ts";

const SUMMARY = {
  testAccuracy: 0.875,
  testLoss: 0.5,
  untrainedLoss: 2.3,
  trainLoss: 0.25,
  ranks: 2,
  steps: 10,
  epochs: 1.5,
  rounds: 3,
  trainSeconds: 2,
  stepsPerSecond: 5,
  samplesPerSecond: 160,
  communicationShare: 0.125,
  totalBytesSent: 1e6,
  clipRate: 0.5,
  maxDrift: 0.25,
  driftBound: 4.8,
  identicalWeights: true,
  weightsHash: "ab".repeat(32),
  device: "cpu: an engine",
} satisfies Summary;

function configOf(given: Record<string, unknown>): RunConfig {
  const config = newConfig(resolveOptions(given), new Date("2026-01-02T03:04:05Z"));
  const facts = { device: "cpu", steps: 10, stepsPerEpoch: 6.25, parameters: 75_290 };
  const plan = { ...facts, trainSamples: 200, testSamples: 50, initialWeights: "cd".repeat(32) };
  return { ...config, plan };
}

Deno.test("a card says what was trained, how, and what came of it", () => {
  const config = configOf({ ranks: 2, interval: 3, partition: "dirichlet:0.5" });
  const card = modelCard(config, SUMMARY);
  assert.match(card, /^---\nlibrary_name: onnx\ntags: \[celgc, image-classification\]\n---\n/);
  assert.match(card, /^# resnet8 on generated-images$/m);
  assert.match(card, /^\| network \| resnet8, 75,290 trained weights \|$/m);
  assert.match(card, /^\| data \| generated-images: 200 training images, 50 to test \|$/m);
  assert.match(card, /^\| test accuracy \| 87\.5 % \|$/m);
  assert.match(card, /^ {4}celgc launch --interval 3 --ranks 2 --partition dirichlet:0\.5$/m);
  assert.ok(card.includes(SUMMARY.weightsHash) && card.includes(config.versions.onnxruntime));
  assert.equal(card.includes(`commit ${config.commit}`), config.commit !== undefined);
});

Deno.test("a card of images says what the network takes, and what its scores are of", () => {
  const config = configOf({}), mean = [0.5, 0.25, 0.125] as const, std = [0.1, 0.2, 0.3] as const;
  const cardOf = (classes: readonly string[]) => {
    const plan = { ...config.plan!, images: { side: 16, classes, mean, std } };
    return modelCard({ ...config, plan }, SUMMARY);
  };
  const card = cardOf(["cat", "dog"]);
  assert.match(card, /^\| classes \| cat, dog; in the order of the scores \|$/m);
  assert.match(
    card,
    /^\| takes \| \[samples, 3, 16, 16\]: .* 0\.5000, 0\.2500, 0\.1250, over .* \|$/m,
  );
  const many = cardOf(Array.from({ length: 1000 }, (_, i) => `class ${i}`));
  assert.match(many, /^\| classes \| 1000, which config\.json names in the order .* \|$/m);
});

Deno.test("a card names files as they are in the run's folder, and programs as what they are", () => {
  const model = "/home/somebody/secret/net.onnx", weights = "/home/somebody/w.safetensors";
  const card = modelCard(configOf({ model, weights }), SUMMARY);
  assert.match(card, /--model network\.onnx --weights initial\.safetensors$/m);
  assert.ok(!card.includes("somebody"), card);
  const own = { ...configOf({}), own: { model: "mine", task: true as const } };
  assert.match(modelCard(own, SUMMARY), /^# mine on data of its own$/m);
});

Deno.test("a card is written anew at each end, and a README of somebody else is left", async () => {
  await using folder = await temporaryFolder();
  const path = `${folder.path}/README.md`, config = configOf({});
  await writeModelCard(folder.path, config, SUMMARY);
  await writeModelCard(folder.path, config, { ...SUMMARY, testAccuracy: 0.9 });
  assert.match(await Deno.readTextFile(path), /test accuracy \| 90\.0 %/);
  await Deno.writeTextFile(path, "# My notes\n");
  await writeModelCard(folder.path, config, SUMMARY);
  assert.equal(await Deno.readTextFile(path), "# My notes\n");
});
