import assert from "node:assert/strict";
import { Random } from "../../../runtime/base/random.ts";
import { loadOnnxRuntimeNode } from "../../../deps.ts";
import { generateImages } from "../../../tasks/data/images/generated_images.ts";
import { normaliseBatch } from "../../../tasks/data/images/augment.ts";
import type { ImageDataSet } from "../../../tasks/data/images/image_data_set.ts";
import {
  launch,
  type LaunchOptions,
  type Run,
  RunFailedError,
} from "../../../tasks/launch/launch.ts";
import { readMetrics } from "../../../tasks/logs/log_tail.ts";
import type { MetricRecord, StepRecord } from "../../../tasks/logs/records.ts";
import { OptionError } from "../../../tasks/options/kinds.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";
import { undescribed } from "../metrics_page.ts";

/** A run of seconds: 2 ranks, 10 steps, 3 rounds. */
const SMALL = {
  ranks: 2,
  interval: 3,
  maxSteps: 10,
  trainSize: 200,
  testSize: 50,
  device: "cpu",
} as const satisfies LaunchOptions;

const modelOf = ({ dir }: Run) => Deno.readFileSync(`${dir}/model.onnx`);

/** What every record has, whatever its type. */
const POSITION = [
  "rank",
  "step",
  "epoch",
  "iteration",
  "round",
  "seconds",
  "samples",
  "bytesSent",
  "bytesReceived",
] as const satisfies (keyof MetricRecord)[];

Deno.test("a run leaves the files it promises, with every field", async (t) => {
  await using folder = await temporaryFolder();
  const seen: MetricRecord[] = [];
  const out = `${folder.path}/run`;
  const run = await launch({ ...SMALL, out, onRecord: (record) => seen.push(record) });
  const records = readMetrics(`${out}/metrics.jsonl`);
  const steps = records.filter((record) => record.type === "step");
  const rounds = records.filter((record) => record.type === "round");
  const evaluations = records.filter((record) => record.type === "eval");
  const evals = evaluations.filter(({ split }) => split === undefined);
  const averaged = evaluations.filter(({ split }) => split === "train");

  await t.step("no field that docs/metrics.md does not describe", () => {
    const { summary, ...config } = { ...run.config, summary: run.summary };
    assert.deepEqual(
      [
        ...records.flatMap((record) => undescribed(record, record.type)),
        ...undescribed(summary, "summary"),
        ...undescribed(config, "config"),
        ...undescribed(config.plan!, "plan"),
      ],
      [],
    );
  });

  await t.step("config.json: options, versions, and what came of them", async () => {
    assert.equal(run.dir, out);
    const config = JSON.parse(await Deno.readTextFile(`${out}/config.json`));
    assert.deepEqual(config, run.config);
    assert.equal(config.options.interval, 3);
    assert.equal(config.options.lr, 0.5);
    assert.equal(config.options.out, out);
    assert.equal(config.seed, 1);
    assert.equal(config.versions.deno, Deno.version.deno);
    assert.ok(config.plan);
    assert.match(config.plan.device, /^cpu: onnxruntime-node/);
    assert.ok(config.plan.device.includes(`onnxruntime-node ${config.versions.onnxruntime},`));
    assert.equal(config.plan.steps, 10);
    assert.equal(config.plan.stepsPerEpoch, 200 / 32);
  });

  await t.step("each record says where in the run it stands, and was told as it was made", () => {
    assert.deepEqual(seen, records);
    for (const record of records) {
      for (const field of POSITION) {
        assert.ok(Number.isFinite(record[field]), `${field} of ${JSON.stringify(record)}`);
      }
    }
  });

  for (const rank of [0, 1]) {
    await t.step(`each step of rank ${rank}`, () => {
      const own = steps.filter((record) => record.rank === rank);
      assert.deepEqual(own.map(({ step }) => step), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
      assert.deepEqual(own.map(({ round }) => round), [0, 0, 1, 1, 1, 2, 2, 2, 3, 3]);
      assert.deepEqual(own.map(({ samples }) => samples), own.map(({ step }) => 16 * step));
      assert.deepEqual(own.map(({ epoch }) => epoch), own.map(({ step }) => 32 * step / 200));
      for (const record of own) {
        assert.ok(record.loss > 0 && record.gradNorm > 0 && record.stepMs > 0);
        assert.equal(record.lr, 0.5);
        assert.equal(record.clipped, record.gradNorm > 0.8 / 0.5);
      }
    });
  }

  await t.step("each round: who took part, drift and its bound, bytes", () => {
    assert.deepEqual(rounds.map(({ step }) => step), [3, 6, 9, 10]);
    assert.deepEqual(rounds.map(({ final = false }) => final), [false, false, false, true]);
    // 75,290 weights and 2 · 240 statistics of 4 bytes leave a rank for the other in each round.
    const bytes = 4 * (75_290 + 480);
    for (const [i, round] of rounds.entries()) {
      assert.deepEqual(round.participants, [0, 1]);
      assert.ok(round.drift > 0 && round.drift <= round.driftBound!);
      assert.ok(Math.abs(round.driftBound! - 2 * 0.8 * 3) < 1e-12);
      assert.ok(round.syncMs > 0);
      const sent = round.bytesSent / (i + 1);
      assert.ok(sent >= bytes && sent < 1.01 * bytes, `${sent} bytes a round, ${bytes} expected`);
    }
  });

  await t.step("evaluations before the first step, at each epoch and at the end", () => {
    assert.deepEqual(evals.map(({ step }) => step), [0, 7, 10]);
    assert.ok(evals.every(({ count, batchNorm }) => count === 50 && batchNorm === "average"));
    assert.deepEqual(averaged.map(({ step }) => step), [0, 7, 10]);
    assert.ok(averaged.every(({ count, loss }) => count === 200 && loss > 0));
  });

  await t.step("the summary is what the other records add up to", () => {
    const summary = records.at(-1)!;
    assert.ok(summary.type === "summary");
    assert.equal(summary.testAccuracy, evals[2].accuracy);
    assert.equal(summary.untrainedLoss, evals[0].loss);
    assert.equal(summary.trainLossAveraged, averaged[2].loss);
    assert.equal(summary.rounds, 4);
    assert.equal(summary.identicalWeights, true);
    assert.equal(summary.clipRate, steps.filter(({ clipped }) => clipped).length / 20);
    assert.equal(summary.maxDrift, Math.max(...rounds.map(({ drift }) => drift)));
    assert.ok(summary.communicationShare > 0 && summary.communicationShare < 1);
  });

  await t.step("a log of each rank", async () => {
    for (const rank of [0, 1]) assert.ok((await Deno.stat(`${out}/rank-${rank}.log`)).isFile);
  });
});

Deno.test("model.onnx runs in plain onnxruntime, with the summary's accuracy and training loss", async () => {
  await using folder = await temporaryFolder();
  const few = { maxSteps: 60, epochs: 100, trainEval: 80 };
  const run = await launch({ ...SMALL, ...few, out: `${folder.path}/run` });
  assert.ok(run.summary.testAccuracy! > 0.15, `accuracy ${run.summary.testAccuracy}`);
  const ort = await loadOnnxRuntimeNode();
  const session = await ort.InferenceSession.create(modelOf(run));
  assert.deepEqual([session.inputNames, session.outputNames], [["input"], ["logits"]]);
  /** The ten logits of each of some images. */
  const logitsOf = async (set: ImageDataSet, indices: Uint32Array) => {
    const pixels = new Float32Array(indices.length * 3 * 32 * 32);
    normaliseBatch(set, indices, pixels);
    const input = new ort.Tensor("float32", pixels, [indices.length, 3, 32, 32]);
    const logits = (await session.run({ input })).logits.data as Float32Array;
    return Array.from(indices, (index, i) => ({
      row: [...logits.subarray(10 * i, 10 * i + 10)],
      label: set.labels[index],
    }));
  };
  const { train, test } = generateImages({ seed: 1, train: SMALL.trainSize, test: SMALL.testSize });
  const tested = await logitsOf(test, Uint32Array.from({ length: test.count }, (_, i) => i));
  const correct = tested.filter(({ row, label }) => row.indexOf(Math.max(...row)) === label);
  assert.equal(correct.length / test.count, run.summary.testAccuracy);
  const part = new Random(0, "train-eval").permutation(train.count).subarray(0, 80);
  const losses = (await logitsOf(train, part)).map(({ row, label }) =>
    Math.log(row.reduce((sum, logit) => sum + Math.exp(logit), 0)) - row[label]
  );
  const mean = losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
  assert.ok(Math.abs(mean - run.summary.trainLossAveraged!) < 1e-4 * mean);
  await session.release();
});

Deno.test("the same seed gives the same weights bit for bit, another seed does not", async () => {
  await using folder = await temporaryFolder();
  const go = (name: string, more: LaunchOptions = {}) =>
    launch({ ...SMALL, maxSteps: 5, out: `${folder.path}/${name}`, ...more });
  const [a, b, c] = [await go("a"), await go("b"), await go("c", { seed: 2 })];
  assert.equal(a.summary.weightsHash, b.summary.weightsHash);
  assert.deepEqual(modelOf(a), modelOf(b));
  assert.notEqual(a.summary.weightsHash, c.summary.weightsHash);
  const losses = (run: Run) =>
    readMetrics(`${run.dir}/metrics.jsonl`)
      .filter((record): record is StepRecord => record.type === "step")
      .sort((x, y) => x.rank - y.rank || x.step - y.step)
      .map(({ loss }) => loss);
  assert.deepEqual(losses(a), losses(b));
});

Deno.test("each policy for batch norm ends with weights that agree", async () => {
  await using folder = await temporaryFolder();
  const hashes = new Set<string>();
  for (const batchNorm of ["average", "local", "recalibrate"] as const) {
    const out = `${folder.path}/${batchNorm}`;
    const { summary } = await launch({ ...SMALL, maxSteps: 4, batchNorm, out });
    assert.equal(summary.identicalWeights, true);
    assert.equal(summary.batchNorm, batchNorm);
    hashes.add(summary.weightsHash);
  }
  assert.equal(hashes.size, 3, "the statistics are part of what is compared, or left out of it");
});

Deno.test("with partial participation each round averages the ranks that were drawn, and logs them", async () => {
  await using folder = await temporaryFolder();
  const options = { ...SMALL, ranks: 3, participants: 2, interval: 2 };
  const { dir, summary } = await launch({ ...options, out: `${folder.path}/run` });
  const rounds = readMetrics(`${dir}/metrics.jsonl`).filter((record) => record.type === "round");
  // Five, and the mean of all that the run comes to.
  assert.equal(rounds.length, 6);
  assert.deepEqual(rounds.pop()!.participants, [0, 1, 2]);
  for (const { participants, driftBound } of rounds) {
    assert.equal(participants.length, 2);
    assert.equal(driftBound, null);
  }
  assert.ok(new Set(rounds.map(({ participants }) => participants.join())).size > 1);
  assert.equal(summary.identicalWeights, true);
});

Deno.test("a folder that holds a run is not written over", async () => {
  await using folder = await temporaryFolder();
  const out = `${folder.path}/run`;
  await Deno.mkdir(out);
  await Deno.writeTextFile(`${out}/metrics.jsonl`, "precious\n");
  await assert.rejects(launch({ ...SMALL, out }), (error) => {
    assert.ok(error instanceof OptionError);
    assert.match(error.message, /holds a run already/);
    return true;
  });
  assert.equal(await Deno.readTextFile(`${out}/metrics.jsonl`), "precious\n");
});

Deno.test("a run that diverges ends with one clear message that names rank and step", async () => {
  await using folder = await temporaryFolder();
  const options = {
    ...SMALL,
    algorithm: "local-sgd",
    lr: 1e30,
    out: `${folder.path}/run`,
  } as const;
  await assert.rejects(launch(options), (error) => {
    assert.ok(error instanceof RunFailedError);
    assert.equal(error.code, 1);
    assert.match(error.message, /training has diverged: at step \d+ rank \d/);
    assert.doesNotMatch(error.message, /at file:/, "no stack for what the user can mend");
    return true;
  });
});

Deno.test("a run can be ended from code", async () => {
  await using folder = await temporaryFolder();
  const controller = new AbortController();
  const out = `${folder.path}/run`;
  const onRecord = (record: MetricRecord) => {
    if (record.type === "step") controller.abort();
  };
  const endless = { ...SMALL, maxSteps: 100_000, epochs: 100_000, evalEvery: 100_000 };
  await assert.rejects(
    launch({ ...endless, out, onRecord, signal: controller.signal }),
    RunFailedError,
  );
  assert.ok(readMetrics(`${out}/metrics.jsonl`).length > 0, "what was measured is kept");
});

Deno.test("a trace that cannot be written does not hide what a run fails with", async () => {
  await using folder = await temporaryFolder();
  const out = `${folder.path}/run`;
  const onRecord = () => Deno.mkdirSync(`${out}/trace.json`, { recursive: true });
  const doomed = { ...SMALL, lr: 1e30, clip: 1e30, trace: true, out, onRecord };
  await assert.rejects(launch(doomed), (error) => {
    assert.ok(error instanceof RunFailedError, `${error}`);
    assert.match(error.message, /training has diverged/);
    return true;
  });
});
