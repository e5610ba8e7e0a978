import assert from "node:assert/strict";
import { encodeModel, Graph } from "../../../../models/mod.ts";
import { ALGORITHM_NAMES, ALGORITHMS } from "../../../../optimizers/registry.ts";
import { Random } from "../../../../runtime/base/random.ts";
import { launch } from "../../../../tasks/launch/launch.ts";
import { readMetrics } from "../../../../tasks/logs/log_tail.ts";
import type { Options } from "../../../../tasks/options/table.ts";
import { celgc } from "../../../_helpers/deno.ts";
import { temporaryFolder } from "../../../_helpers/temporary_folder.ts";
import { trainInProcess } from "../../../_helpers/train_in_process.ts";
import { encodeNpz, floats, wholes } from "../../npy.ts";

/** Points in three clusters, whose names are texts, and what they weigh. */
function table(rows: number): string {
  const random = new Random(4, "table");
  const lines = Array.from({ length: rows }, (_, i) => {
    const label = i % 3, x = random.normal() + 3 * label, y = 100 * (random.normal() - 2 * label);
    return `${x.toFixed(3)};${y.toFixed(2)};${["eel", "cat", "dog"][label]};${
      (x + y / 100).toFixed(3)
    }`;
  });
  return ["length;width;kind;weight", ...lines].join("\n");
}

const SMALL = ["--task", "arrays", "--ranks", "2", "--device", "cpu", "--batch-size", "4"];

Deno.test("a table is learnt, swept, planned, reported, listed, exported and described", async () => {
  await using folder = await temporaryFolder();
  const data = `${folder.path}/table.csv`, out = `${folder.path}/run`;
  await Deno.writeTextFile(data, table(120));
  const given = [...SMALL, "--data", data, "--target", "kind", "--inputs", "length,width"];
  const more = ["--epochs", "8", "--patience", "8", "--valid-fraction", "0.2"];
  const run = await celgc("launch", ...given, ...more, "--out", out, "--json");
  assert.equal(run.code, 0, run.stderr);
  const summary = JSON.parse(run.stdout);
  assert(summary.identicalWeights && summary.testAccuracy > 0.8, run.stdout);
  assert(summary.best.testAccuracy > 0.8 && summary.validationAccuracy > 0.8, run.stdout);
  const { inputs, target } = JSON.parse(await Deno.readTextFile(`${out}/arrays.json`));
  assert.deepEqual(inputs[0].from, ["length", "width"]);
  assert.deepEqual(target, { from: ["kind"], dims: [], classes: ["cat", "dog", "eel"] });
  const card = await Deno.readTextFile(`${out}/README.md`);
  assert.match(card, /tags: \[celgc, tabular-classification\]/);
  assert.match(card, /arrays: 77 training samples, 24 to test/);
  assert.match(card, /--inputs length,width --target kind/);

  const file = `${folder.path}/model.onnx`;
  const exported = await celgc("export", "--weights", out, "--out", file, "--json");
  assert.equal(exported.code, 0, exported.stderr);
  const names = JSON.parse(exported.stdout);
  assert.deepEqual([names.inputs, names.outputs], [["input"], ["logits"]]);
  const weights = `${out}/model.safetensors`;
  const step = [
    "--model",
    "mlp",
    "--graph",
    "step",
    "--out",
    `${folder.path}/s.onnx`,
  ];
  assert.equal((await celgc("export", "--weights", weights, ...step)).code, 0);
  const nothing = await celgc("export", ...step);
  assert.equal(nothing.code, 2);
  assert.match(nothing.stderr, /--model mlp has the inputs and outputs of its data: give the run/);

  const cells = ["--interval", "1,2", "--max-steps", "4", "--out", `${folder.path}/sweep`];
  const [swept, plan] = await Promise.all([
    celgc("sweep", ...given, ...cells),
    celgc("plan", ...given, "--max-steps", "4", "--json"),
  ]);
  assert.equal(swept.code, 0, swept.stderr);
  assert.match(swept.stdout, /accuracy/);
  const page = await celgc("report", `${folder.path}/sweep`, "--out", `${folder.path}/page.html`);
  assert.equal(page.code, 0, page.stderr);
  assert.equal(plan.code, 0, plan.stderr);
  // An exported network learns the same table as a file.
  const again = await celgc(
    ...["launch", ...given, "--model", file, "--max-steps", "2", "--out", `${folder.path}/again`],
  );
  assert.equal(again.code, 0, again.stderr);
  const listed = await celgc("runs", folder.path);
  assert.match(listed.stdout, /arrays +mlp/);
});

Deno.test("amounts have their error in the log, the summary, the report and the list of runs", async () => {
  await using folder = await temporaryFolder();
  const data = `${folder.path}/table.csv`, out = `${folder.path}/run`;
  await Deno.writeTextFile(data, table(90));
  const given = [...SMALL, "--data", data, "--target", "weight", "--inputs", "length,width"];
  const run = await celgc(
    ...["launch", ...given, "--epochs", "6", "--log", "tensorboard", "--out", out],
  );
  assert.equal(run.code, 0, run.stderr);
  assert.match(run.stdout, /test RMSE +[\d.]+ +\(untrained [\d.]+\)\ntest R² +0\.\d{4}/);
  const evals = readMetrics(`${out}/metrics.jsonl`)
    .flatMap((record) => record.type === "eval" && record.split !== "train" ? record : []);
  assert(
    evals.length >= 7 &&
      evals.every(({ rmse, r2, count }) => rmse! > 0 && r2! <= 1 && count === 18),
  );
  assert(evals.at(-1)!.r2! > 0.8, `${evals.at(-1)!.r2}`);
  assert.match(await Deno.readTextFile(`${out}/README.md`), /tabular-regression/);
  assert.match((await celgc("runs", folder.path)).stdout, /RMSE \d/);
  const page = `${folder.path}/page.html`;
  assert.equal((await celgc("report", out, "--out", page)).code, 0);
  assert.match(await Deno.readTextFile(page), /Test RMSE/);
});

Deno.test("of amounts that clipped steps hardly come to a run says what helps", async () => {
  await using folder = await temporaryFolder();
  const rows = Array.from(
    { length: 40 },
    (_, i) => `${i},${i % 2},${(i % 2 ? 1 : -1) * 5e4 + 0.5}`,
  );
  const data = `${folder.path}/table.csv`;
  await Deno.writeTextFile(data, ["a,small,price", ...rows].join("\n"));
  const noteOf = async (...args: string[]) => {
    const out = `${folder.path}/${args.join("")}`;
    const short = ["--data", data, "--inputs", "a", "--max-steps", "2", "--out", out];
    const { code, stderr } = await celgc("launch", ...SMALL, ...short, ...args);
    assert.equal(code, 0, stderr);
    return /note: what is predicted has a deviation of (\d+), .* --standardise all /.exec(stderr)
      ?.[1];
  };
  const deviation = Number(await noteOf("--target", "price"));
  assert.ok(deviation > 3e4 && deviation < 6e4, `${deviation}`);
  assert.equal(await noteOf("--target", "price", "--standardise", "all"), undefined);
  assert.equal(await noteOf("--target", "small", "--loss", "mse"), undefined);
});

Deno.test("a run on arrays goes on from its checkpoint to the same bits", async () => {
  await using folder = await temporaryFolder();
  const data = `${folder.path}/table.csv`;
  await Deno.writeTextFile(data, table(60));
  const at = (name: string): Partial<Options> => ({
    ...{ task: "arrays", data, target: "kind", inputs: "length,width", ranks: 2, device: "cpu" },
    ...{ width: 8, batchSize: 4, out: `${folder.path}/${name}` },
  });
  const whole = await launch({ ...at("whole"), maxSteps: 9 });
  const first = await launch({ ...at("parts"), maxSteps: 5, checkpointEvery: 5 });
  const rest = await launch({ resume: first.dir, data, maxSteps: 9 });
  assert.equal(rest.summary.weightsHash, whole.summary.weightsHash);
});

Deno.test("every algorithm and every partition learns arrays, with the same bits on all ranks", async () => {
  await using folder = await temporaryFolder();
  const data = `${folder.path}/table.csv`;
  await Deno.writeTextFile(data, table(60));
  const given: Partial<Options> = {
    ...{ task: "arrays", data, target: "kind", inputs: "length,width", width: 4, batchSize: 4 },
    ...{ maxSteps: 6, evalEvery: 100 },
  };
  const learns = async (options: Partial<Options>) => {
    const { summary } = await trainInProcess({ ...given, ...options }, () => ({}));
    assert.equal(summary.identicalWeights, true, JSON.stringify(options));
    assert(summary.testLoss > 0 && summary.testLoss !== summary.untrainedLoss);
  };
  for (const algorithm of ALGORITHM_NAMES) {
    await learns({ algorithm, ranks: ALGORITHMS[algorithm].ranks === "one" ? 1 : 2 });
  }
  for (const partition of ["whole", "proportional:70,30", "dirichlet:1", "shards:2"]) {
    await learns({ partition, ranks: 2 });
  }
  await learns({
    ranks: 2,
    batchNorm: "recalibrate",
    accumulate: 2,
    labelSmoothing: 0.1,
    ema: 0.9,
  });
});

Deno.test("images as arrays are learnt by a ResNet, and channels are standardised", async () => {
  await using folder = await temporaryFolder();
  const random = new Random(8, "images"), count = 24, side = 8;
  const pixels = Array.from(
    { length: count * 3 * side * side },
    (_, i) => random.integer(80) + (Math.floor(i / (3 * side * side)) % 2) * 100,
  );
  const data = `${folder.path}/images.npz`,
    y = wholes([count], pixels.slice(0, count).map((_, i) => i % 2));
  await Deno.writeFile(data, await encodeNpz({ x: floats([count, 3, side, side], pixels), y }));
  const { summary } = await launch({
    ...{
      task: "arrays",
      data,
      model: "resnet8",
      ranks: 2,
      device: "cpu",
      batchSize: 4,
      maxSteps: 6,
    },
    out: `${folder.path}/run`,
  });
  assert(summary.identicalWeights && summary.testLoss < summary.untrainedLoss);
});

Deno.test("a network's file of amounts is fed them in the shape that it predicts", async () => {
  await using folder = await temporaryFolder();
  const g = new Graph(), x = g.input("x", "float32", [1, 2]);
  const y = g.matmul(x, g.input("fc.weight", "float32", [2, 1]));
  g.output("y", g.reshape(y, [-1]));
  const model = `${folder.path}/linear.onnx` as const, data = `${folder.path}/table.csv`;
  const initializers = { "fc.weight": Float32Array.of(0.1, 0.2) };
  await Deno.writeFile(model, encodeModel(g, { initializers }));
  await Deno.writeTextFile(data, table(60));
  const { summary } = await launch({
    ...{ task: "arrays", data, model, target: "weight", inputs: "length,width", ranks: 2 },
    ...{ device: "cpu", maxSteps: 30, out: `${folder.path}/run` },
  });
  assert(summary.testRmse! < summary.untrainedRmse!);
});

Deno.test("what cannot be learnt is refused in one line before anything is started", async () => {
  await using folder = await temporaryFolder();
  const data = `${folder.path}/table.csv`;
  await Deno.writeTextFile(data, table(30));
  const refuse = async (options: Partial<Options>, pattern: RegExp) => {
    const given: Partial<Options> = {
      task: "arrays",
      data,
      target: "kind",
      ranks: 2,
      device: "cpu",
    };
    await assert.rejects(
      launch({ ...given, ...options, out: `${folder.path}/run` }),
      (error: Error) => {
        assert.equal(error.name, "OptionError", `${error}`);
        assert.match(error.message, pattern);
        return !error.message.includes("\n");
      },
    );
  };
  await refuse({ target: "species" }, /--target names "species", which is not there; .*"length"/);
  await refuse({ inputs: "kind" }, /"kind" is the target, and cannot be an input as well/);
  await refuse({ target: "weight" }, /in line 2, column "kind", stands "eel", which is no number/);
  await refuse({ loss: "mse" }, /it is texts, and --loss mse is for numbers/);
  await refuse(
    { model: "resnet8" },
    /learns classes from float32 images .* the arrays are float32 \[3\]/,
  );
  await refuse({ model: "gpt" }, /learns from text, --task arrays is arrays: take --model mlp/);
  await refuse({ loss: "output:cost" }, /--loss output:cost is for a network from a file/);
  await refuse(
    { target: "weight", inputs: "length", partition: "shards:2" },
    /shards divides classes, and the target is amounts/,
  );
  await refuse({ imageSize: 32 }, /--image-size 32 has no effect with --task arrays/);
  await refuse(
    { task: "generated-images", data: null, target: "kind" },
    /--target kind has no effect with --task generated-images/,
  );
  const parts = await Deno.makeTempDir();
  for (const split of ["train", "test", "valid"]) {
    await Deno.writeTextFile(`${parts}/${split}.csv`, table(9));
  }
  const held = { data: parts, inputs: "length,width" };
  await refuse(
    { ...held, testFraction: 0.3 },
    /--test-fraction 0\.3 has no effect: .* a test set of its own/,
  );
  await refuse(
    { ...held, validFraction: 0.3 },
    /--valid-fraction 0\.3 has no effect: .* a validation set/,
  );
  await Deno.remove(parts, { recursive: true });
  await refuse({ data: null }, /--task arrays needs --data, an \.npz or \.csv file/);
  assert.deepEqual([...Deno.readDirSync(folder.path)].map(({ name }) => name), ["table.csv"]);
});
