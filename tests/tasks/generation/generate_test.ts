import assert from "node:assert/strict";
import { loadOnnxRuntimeNode } from "../../../deps.ts";
import { launch, type LaunchOptions } from "../../../tasks/launch/launch.ts";
import { generate, type GenerateOptions } from "../../../tasks/generation/generate.ts";
import { celgc, celgcCommand, endedAs } from "../../_helpers/deno.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";
import { hasWebGpu } from "../../_helpers/web_gpu.ts";

const RUN = {
  task: "generated-text",
  ranks: 1,
  device: "cpu",
  trainSize: 1500,
  testSize: 200,
  layers: 2,
  maxSteps: 3,
} as const satisfies LaunchOptions;

const CONTEXT = 12;

const NETWORKS: Record<string, LaunchOptions> = {
  "learned": { model: "gpt", width: 12, heads: 2, context: CONTEXT, vocabulary: 300, lr: 0.3 },
  "rotary": { model: "gpt", width: 12, heads: 2, context: CONTEXT, positions: "rotary" },
  "awd-lstm": { model: "awd-lstm", embedding: 6, hidden: 8 },
};

/** All tokens that are generated. */
async function tokensOf(run: string, options: GenerateOptions): Promise<number[]> {
  const tokens: number[] = [];
  for await (const { token } of generate(run, options)) tokens.push(token);
  return tokens;
}

/** Logits after each token of a text, by the run's own ONNX file. */
async function logitsByFile(file: string, text: readonly number[]): Promise<Float32Array[]> {
  const { InferenceSession, Tensor } = await loadOnnxRuntimeNode();
  const session = await InferenceSession.create(file);
  const lstm = session.inputNames.includes("restart"), length = lstm ? text.length : CONTEXT;
  const input = Int32Array.from({ length }, (_, i) => text[i] ?? 0);
  const state = (size: number) => new Tensor("float32", new Float32Array(size), [1, size]);
  const { logits } = await session.run({
    input: new Tensor("int32", input, lstm ? [length, 1] : [1, length]),
    ...lstm && {
      restart: new Tensor("float32", Float32Array.of(1), []),
      last: new Tensor("int32", Int32Array.of(length - 1), []),
      ...Object.fromEntries(
        [8, 6].flatMap((size, l) =>
          ["hidden", "cell"].map((what) => [`rnns.${l}.${what}`, state(size)])
        ),
      ),
    },
  });
  await session.release();
  const size = logits.dims.at(-1)!;
  return text.map((_, i) => (logits.data as Float32Array).slice(i * size, (i + 1) * size));
}

for (const [name, network] of Object.entries(NETWORKS)) {
  Deno.test(`text from a run of ${name} is what its own ONNX file predicts`, async () => {
    await using folder = await temporaryFolder();
    const out = `${folder.path}/run`;
    const { dir } = await launch({ ...RUN, ...network, out } as LaunchOptions);
    const words = (await Deno.readTextFile(`${dir}/vocabulary.txt`)).trimEnd().split("\n");
    const prompt = words.slice(3, 6).join(" ");
    const greedy = await tokensOf(dir, { prompt, tokens: CONTEXT - 2, temperature: 0 });
    const text = [3, 4, 5, ...greedy], file = `${dir}/model.onnx`;
    const logits = await logitsByFile(file, text.slice(0, CONTEXT));
    for (const [i, token] of greedy.entries()) {
      const known = logits[2 + i].subarray(0, words.length);
      assert.equal(token, known.indexOf(Math.max(...known)), `token ${i} of ${greedy}`);
    }
    if (name === "awd-lstm" && hasWebGpu) {
      const onGpu = { prompt, tokens: 4, temperature: 0, device: "webgpu" } as const;
      assert.deepEqual(await tokensOf(dir, onGpu), greedy.slice(0, 4));
    }
    if (name !== "awd-lstm") {
      // The context is full: what comes next is read from the last half of it.
      const [after] = (await tokensOf(dir, { prompt, tokens: CONTEXT - 1, temperature: 0 })).slice(
        -1,
      );
      const half = text.slice(CONTEXT - CONTEXT / 2, CONTEXT);
      const read = [...half, text[CONTEXT]], last = (await logitsByFile(file, read)).at(-1)!;
      const known = last.subarray(0, words.length);
      assert.equal(after, known.indexOf(Math.max(...known)), "after a full context");
    }
    const drawn = { prompt, tokens: 30, topK: 40 };
    const first = await tokensOf(dir, { ...drawn, seed: 5 });
    assert.deepEqual(await tokensOf(dir, { ...drawn, seed: 5 }), first);
    assert.notDeepEqual(await tokensOf(dir, { ...drawn, seed: 6 }), first);
    assert.equal(first.length, 30);
    assert.ok(first.every((token) => token < words.length));
  });
}

Deno.test("a run that has not ended gives text from its last checkpoint", async () => {
  await using folder = await temporaryFolder();
  const out = `${folder.path}/run`;
  const { dir } = await launch(
    { ...RUN, ...NETWORKS.learned, out, checkpointEvery: 3 } as LaunchOptions,
  );
  const options = { tokens: 8, temperature: 0 };
  const expected = await tokensOf(dir, options);
  await Deno.remove(`${dir}/model.safetensors`);
  await Deno.remove(`${dir}/model.onnx`);
  assert.deepEqual(await tokensOf(dir, options), expected);
});

Deno.test("the command prints prompt and text as they come, or all as JSON, and refuses in one line", async () => {
  await using folder = await temporaryFolder();
  const out = `${folder.path}/run`;
  await launch({ ...RUN, ...NETWORKS.learned, out } as LaunchOptions);
  const words = (await Deno.readTextFile(`${out}/vocabulary.txt`)).trimEnd().split("\n");
  const word = words.find((each) => each !== "<eos>")!;
  const args = ["generate", out, "--prompt", word, "--tokens", "9", "--seed", "4"];
  const [plain, json] = [await celgc(...args), await celgc(...args, "--json")];
  assert.equal(plain.code, 0, plain.stderr);
  const { prompt, text, tokens } = JSON.parse(json.stdout);
  assert.deepEqual([prompt, tokens.length, plain.stdout.trimEnd()], [
    word,
    9,
    (word + text).trimEnd(),
  ]);
  assert.equal(plain.stderr + json.stderr, "");
  assert.ok(plain.stdout.endsWith("\n"));

  for (
    const [more, message] of [
      [[out, "--prompt", "nosuchword"], /"nosuchword" is not among the \d+ words/],
      [[out, "--temperature", "-1"], /--temperature must be a number from 0, not -1/],
      [[out, "--top-k", "0"], /--top-k must be a whole number from 1, not 0/],
      [[`${folder.path}/nothing`], /nothing is no folder of a run: there is no .*config\.json/],
    ] as const
  ) {
    const { code, stdout, stderr } = await celgc("generate", ...more);
    assert.deepEqual([code, stdout], [2, ""], stderr);
    assert.match(stderr, message);
    assert.equal(stderr.trimEnd().split("\n").length, 1, stderr);
  }

  // A reader that has enough, such as head, is no error.
  const child = celgcCommand("generate", out, "--tokens", "5000").spawn();
  const reader = child.stdout.getReader();
  assert.ok((await reader.read()).value!.length > 0);
  await reader.cancel();
  const { code, stderr } = endedAs({
    ...await child.status,
    stdout: new Uint8Array(),
    stderr: new Uint8Array(await new Response(child.stderr).arrayBuffer()),
  });
  assert.deepEqual([code, stderr], [0, ""]);
});

Deno.test("a run of images has no text to give", async () => {
  await using folder = await temporaryFolder();
  const out = `${folder.path}/run`;
  const small = {
    model: "resnet8",
    batchSize: 2,
    trainSize: 10,
    testSize: 10,
    maxSteps: 0,
  } as const;
  await launch({ ...small, ranks: 1, device: "cpu", out });
  await assert.rejects(tokensOf(out, {}), {
    name: "OptionError",
    message: /resnet8, is none that text/,
  });
});
