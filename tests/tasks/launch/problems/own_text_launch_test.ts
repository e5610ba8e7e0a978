import assert from "node:assert/strict";
import { generate } from "../../../../tasks/generation/generate.ts";
import { launch, type LaunchOptions } from "../../../../tasks/launch/launch.ts";
import { celgc, deno, ROOT } from "../../../_helpers/deno.ts";
import { temporaryFolder } from "../../../_helpers/temporary_folder.ts";

const WORDS = "the cat sat on a mat; häuser — don't 12 😀".split(" ");
/** Lines of words, each word always followed by the same. */
const TEXT = Array.from(
  { length: 900 },
  (_, line) => Array.from({ length: 7 }, (_, i) => WORDS[(line + i) % WORDS.length]).join(" "),
).join("\n");

const SMALL = {
  task: "text",
  ranks: 2,
  device: "cpu",
  layers: 1,
  heads: 2,
  width: 8,
  context: 8,
  batchSize: 2,
  optimizer: "adamw",
  lr: 0.02,
  clip: 0.02,
  evalTokens: 100,
} as const satisfies LaunchOptions;

const flags = (options: Record<string, unknown>) =>
  Object.entries(options).flatMap(([name, value]) => [
    `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
    `${value}`,
  ]);

const TOKENIZERS: Record<string, number> = {
  "bytes": 256,
  "char": 27,
  "words": 12,
  "bpe:280": 280,
};

for (const [tokenizer, size] of Object.entries(TOKENIZERS)) {
  Deno.test(`a text of one's own is learnt as ${tokenizer}, and gone on with`, async () => {
    await using folder = await temporaryFolder();
    const data = `${folder.path}/text`, out = `${folder.path}/run`;
    await Deno.writeTextFile(data, TEXT);
    const given = flags({ ...SMALL, data, out, tokenizer, maxSteps: 30 });
    const { code, stdout, stderr } = await celgc("launch", ...given, "--json");
    assert.equal(code, 0, stderr);
    const summary = JSON.parse(stdout);
    assert.ok(summary.identicalWeights);
    assert.ok(summary.testPerplexity < 0.8 * summary.untrainedPerplexity, stdout);
    // The network starts from knowing nothing.
    assert.ok(Math.abs(Math.log(summary.untrainedPerplexity / size)) < 0.3, stdout);
    const files = [...Deno.readDirSync(out)].map(({ name }) => name);
    assert.ok(files.includes("tokenizer.json") && !files.some((name) => name.includes("tokens-")));
    assert.equal(files.includes("vocabulary.txt"), tokenizer === "words");
    let text = "";
    for await (const token of generate(out, { prompt: "the cat", tokens: 12 })) text += token.text;
    assert.ok(text.isWellFormed() && text.length > 0);
  });
}

Deno.test("a run that goes on reads the text with the tokenizer that it has kept, to the same bits", async () => {
  await using folder = await temporaryFolder();
  const data = `${folder.path}/text`;
  await Deno.writeTextFile(data, TEXT);
  const at = (name: string) => ({
    ...SMALL,
    data,
    tokenizer: "bpe:270",
    out: `${folder.path}/${name}`,
  });
  const whole = await launch({ ...at("whole"), maxSteps: 9 });
  // The same tokens by the file that the first run has kept.
  const file = `${folder.path}/tokenizer.json`;
  await Deno.copyFile(`${whole.dir}/tokenizer.json`, file);
  const first = await launch({ ...at("parts"), tokenizer: file, maxSteps: 5, checkpointEvery: 5 });
  await Deno.remove(file);
  const rest = await launch({ resume: first.dir, data, maxSteps: 9 });
  assert.equal(rest.summary.weightsHash, whole.summary.weightsHash);
  await Deno.writeTextFile(`${first.dir}/tokenizer.json`, "{}");
  await assert.rejects(
    launch({ resume: first.dir, data, maxSteps: 10 }),
    /tokenizer\.json is altered/,
  );
});

Deno.test("an AWD-LSTM learns a text of one's own, its splits in files", async () => {
  await using folder = await temporaryFolder();
  for (const split of ["train", "valid", "test"]) {
    await Deno.writeTextFile(
      `${folder.path}/${split}.txt`,
      TEXT.slice(0, split === "train" ? 9000 : 900),
    );
  }
  const run = await launch({
    task: "text",
    model: "awd-lstm",
    data: folder.path,
    ranks: 2,
    device: "cpu",
    embedding: 6,
    hidden: 8,
    layers: 2,
    batchSize: 2,
    lr: 8,
    clip: 2,
    maxSteps: 6,
    out: `${folder.path}/run`,
  });
  assert.ok(run.summary.identicalWeights);
  assert.ok(run.summary.testPerplexity! < run.summary.untrainedPerplexity!);
  assert.equal(run.config.plan!.trainSamples, new TextEncoder().encode(TEXT.slice(0, 9000)).length);
});

Deno.test("a text much larger than memory is learnt: what a process holds does not grow with it", async () => {
  await using folder = await temporaryFolder();
  const line = "what is read is not kept, and what is kept is not read\n";
  const piece = new TextEncoder().encode(line.repeat(20_000));
  const peaks: number[] = [];
  for (const [name, pieces] of [["small", 1], ["large", 120]] as const) {
    const data = `${folder.path}/${name}`;
    {
      using file = await Deno.open(data, { write: true, createNew: true });
      for (let i = 0; i < pieces; i++) await file.write(piece);
    }
    const program = new URL("tests/tasks/programs/train_own_text.ts", ROOT).href;
    const { code, stdout, stderr } = await deno(["run", "-A", "--no-check", program, data]);
    assert.equal(code, 0, stderr);
    peaks.push(Number(/peak (\d+)/.exec(stdout)![1]));
  }
  // 132 MB of text are 528 MB as int32 in memory; a process takes more or less by its garbage.
  const grown = (peaks[1] - peaks[0]) / 1e6;
  assert.ok(grown < 100, `${peaks} bytes`);
});

Deno.test("a text of one's own is swept over tokenizers and planned, and its network exported", async () => {
  await using folder = await temporaryFolder();
  const data = `${folder.path}/text`, out = `${folder.path}/sweep`;
  await Deno.writeTextFile(data, TEXT);
  const given = flags({ ...SMALL, data, maxSteps: 4 });
  const [swept, plan] = await Promise.all([
    celgc("sweep", ...given, "--tokenizer", "bytes,char", "--out", out),
    celgc("plan", ...given, "--tokenizer", "words", "--json"),
  ]);
  assert.equal(swept.code, 0, swept.stderr);
  const cells = [...Deno.readDirSync(out)].filter(({ isDirectory }) => isDirectory)
    .map(({ name }) => name).sort();
  assert.deepEqual(cells, ["tokenizer=bytes", "tokenizer=char"]);
  const vocabularies = cells.map((cell) => {
    const { plan } = JSON.parse(Deno.readTextFileSync(`${out}/${cell}/config.json`));
    return plan.trainSamples;
  });
  // Some characters are several bytes.
  assert.ok(vocabularies[0] > vocabularies[1], `${vocabularies}`);
  assert.equal(plan.code, 0, plan.stderr);
  assert.ok(JSON.parse(plan.stdout).settings.length > 0);
  for (const [cell, size] of [["tokenizer=bytes", 256], ["tokenizer=char", 22]] as const) {
    const file = `${folder.path}/${cell}.onnx`;
    const run = ["--weights", `${out}/${cell}`, "--out", file, "--json"];
    const { code, stdout, stderr } = await celgc("export", ...run);
    assert.equal(code, 0, stderr);
    const { inputs, weights } = JSON.parse(stdout);
    assert.deepEqual(inputs, ["input"]);
    assert.ok(weights.includes("transformer.wte.weight"));
    const { loadOnnxRuntimeNode } = await import("../../../../deps.ts");
    const { InferenceSession, Tensor } = await loadOnnxRuntimeNode();
    const session = await InferenceSession.create(file);
    const { batchSize, context } = SMALL;
    const input = new Tensor("int32", new Int32Array(batchSize * context), [batchSize, context]);
    const { logits } = await session.run({ input });
    assert.deepEqual(logits.dims, [batchSize, context, size]);
    await session.release();
  }
});

Deno.test("shares to hold out are refused where a text's files say what is held out", async () => {
  await using folder = await temporaryFolder();
  for (const split of ["train", "valid", "test"]) {
    await Deno.writeTextFile(`${folder.path}/${split}.txt`, TEXT.slice(0, 3000));
  }
  for (const share of ["testFraction", "validFraction"] as const) {
    await assert.rejects(
      launch({ ...SMALL, data: folder.path, [share]: 0.1, maxSteps: 1, out: `${folder.path}-run` }),
      new RegExp(
        `--${share.slice(0, -8)}-fraction 0.1 has no effect: .* set of its own; leave it out`,
      ),
    );
  }
});
