import assert from "node:assert/strict";
import { launch, type LaunchOptions } from "../../../../tasks/launch/launch.ts";
import { readMetrics } from "../../../../tasks/logs/log_tail.ts";
import { temporaryFolder } from "../../../_helpers/temporary_folder.ts";

const SMALL = {
  task: "generated-text",
  model: "gpt",
  ranks: 2,
  device: "cpu",
  trainSize: 3000,
  testSize: 300,
  layers: 2,
  heads: 2,
  width: 12,
  context: 10,
  batchSize: 3,
  dropout: 0.1,
  positions: "rotary",
} as const satisfies LaunchOptions;

Deno.test("a GPT learns a text on two ranks, and a run that goes on ends with the same bits", async () => {
  await using folder = await temporaryFolder();
  const at = (name: string) => ({ out: `${folder.path}/${name}` });
  const whole = await launch({ ...SMALL, ...at("whole"), maxSteps: 12 });
  const { summary } = whole;
  assert.ok(summary.identicalWeights);
  assert.ok(
    summary.testPerplexity! < 0.9 * summary.untrainedPerplexity!,
    `${summary.testPerplexity}`,
  );
  const evals = readMetrics(`${whole.dir}/metrics.jsonl`).filter(({ type }) => type === "eval");
  // Every token but a text's first is predicted once.
  assert.ok(evals.length > 1 && evals.every((each) => "count" in each && each.count === 299));

  const first = await launch({ ...SMALL, ...at("parts"), maxSteps: 7, checkpointEvery: 7 });
  const rest = await launch({ resume: first.dir, maxSteps: 12 });
  assert.equal(rest.summary.weightsHash, summary.weightsHash);
  assert.equal(rest.summary.testLoss, summary.testLoss);
});

Deno.test("a network may know more tokens than a text has, and not fewer", async () => {
  await using folder = await temporaryFolder();
  const run = { ...SMALL, ranks: 1, maxSteps: 1, out: `${folder.path}/run` } as const;
  const { dir } = await launch({ ...run, vocabulary: 200 });
  const next = await launch({
    ...run,
    vocabulary: 200,
    weights: dir,
    maxSteps: 0,
    out: `${folder.path}/next`,
  });
  const file = (folder: string) => Deno.readFile(`${folder}/model.safetensors`);
  assert.deepEqual(await file(next.dir), await file(dir));
  await assert.rejects(
    launch({ ...run, vocabulary: 100, weights: dir, out: `${folder.path}/less` }),
    /--vocabulary 100 is less than the 176 words of the text/,
  );
});
