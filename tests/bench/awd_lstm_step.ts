/**
 * The AWD-LSTM training step at the size of Penn Treebank, on the CPU with one thread, beside PyTorch where
 * it is installed; the two take turns, step by step, so that other load meets both.
 *
 *     deno run -A tests/bench/awd_lstm_step.ts [--batch 3,10] [--length 70] [--steps 10] [--profile]
 *
 * @module
 */

import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { parseArgs } from "node:util";
import { differentiate } from "../../models/autodiff.ts";
import { type AwdLstm, awdLstm } from "../../models/awd_lstm.ts";
import { encodeModel } from "../../models/encode.ts";
import { lower } from "../../models/lowering/mod.ts";
import { type ModelGraph, parametersOf } from "../../models/model.ts";
import { appendClippedStep, PLAIN_STEP } from "../../optimizers/clipped_step.ts";
import { openDevice } from "../../runtime/devices/open.ts";
import { Random } from "../../runtime/random.ts";

const VOCABULARY = 10_000;

const { values: options } = parseArgs({
  options: {
    batch: { type: "string", default: "3,10" },
    length: { type: "string", default: "70" },
    steps: { type: "string", default: "10" },
    profile: { type: "boolean", default: false },
  },
});

/** A PyTorch process that does one step at a time; undefined where PyTorch is not installed. */
async function openTorch(batchSize: number, length: number) {
  const python = "/usr/bin/python3";
  const probe = await new Deno.Command(python, { args: ["-c", "import torch"], stderr: "null" })
    .output().catch(() => undefined);
  if (!probe?.success) return undefined;
  const script = new URL("awd_lstm_step.py", import.meta.url).pathname;
  const child = new Deno.Command(python, {
    args: [script, ...[batchSize, length, VOCABULARY].map(String)],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  const lines = createInterface({ input: Readable.fromWeb(child.stdout as never) });
  const answers = lines[Symbol.asyncIterator]();
  return {
    async step() {
      await writer.write(new TextEncoder().encode("\n"));
      const [milliseconds, megabytes] = (await answers.next()).value!.split(" ").map(Number);
      return { milliseconds, megabytes };
    },
    async close() {
      await writer.close();
      await child.status;
    },
  };
}

function stepGraph(awd: AwdLstm, batchSize: number, length: number): ModelGraph {
  const model = awd.build({ batchSize, length, mode: "train" });
  const parameters = parametersOf(model);
  const gradients = differentiate(model.graph, model.loss, parameters.map(({ value }) => value));
  appendClippedStep(model.graph, parameters, gradients, { ...PLAIN_STEP, weightDecay: 1.2e-6 });
  return model;
}

async function openOurs(batchSize: number, length: number, profile: boolean) {
  const begin = performance.now();
  const awd = awdLstm({ vocabulary: VOCABULARY });
  const { graph, variables } = stepGraph(awd, batchSize, length);
  const model = encodeModel(graph, {
    target: "cpu",
    symbolicBatch: { name: "length", other: stepGraph(awd, batchSize, length + 1).graph },
  });
  const encoded = performance.now();
  const device = await openDevice("cpu");
  const specs = variables.map(({ name, dims }) => ({ name, dims }));
  const state = await device.allocate(specs);
  await state.edit((flat) => {
    for (const { name, initial } of variables) flat.set(initial(1), state.range(name).offset);
  });
  const filled = performance.now();
  const session = await device.compile(model, {
    state: [state],
    updates: Object.fromEntries(specs.map(({ name }) => [`${name}.next`, name])),
    profile,
  });
  const compiled = performance.now();
  console.log(
    `  ${lower(graph, "cpu").nodes.length} nodes, ${model.length >> 10} KiB; graph ` +
      `${(encoded - begin).toFixed(0)} ms, initial weights ${(filled - encoded).toFixed(0)} ms, ` +
      `session ${(compiled - filled).toFixed(0)} ms`,
  );
  const random = new Random(1, "words");
  let count = 0;
  const scalar = (x: number) => ({ type: "float32", dims: [], data: Float32Array.of(x) }) as const;
  return {
    async step() {
      const words = () =>
        Int32Array.from({ length: batchSize * length }, () => random.integer(VOCABULARY));
      const text = { input: words(), target: words() };
      const start = performance.now();
      await session.run({
        ...awd.feeds.masks(batchSize, { seed: 1, rank: 0, step: count }),
        ...awd.feeds.training(text, { batchSize, length, restart: count === 0 }),
        learning_rate: scalar(30),
        clip_threshold: scalar(7.5),
      });
      count++;
      return performance.now() - start;
    },
    async close() {
      if (profile) {
        const operators = new Map<string, { milliseconds: number; runs: number }>();
        for (const { operator, milliseconds } of await session.endProfile()) {
          const sum = operators.get(operator) ?? { milliseconds: 0, runs: 0 };
          sum.milliseconds += milliseconds / count;
          sum.runs += 1 / count;
          operators.set(operator, sum);
        }
        // A Scan's time is its body's, which is listed as well.
        const rows = [...operators].sort(([, a], [, b]) => b.milliseconds - a.milliseconds);
        for (const [operator, { milliseconds, runs }] of rows.slice(0, 12)) {
          console.log(
            `    ${operator.padEnd(16)} ${milliseconds.toFixed(1).padStart(7)} ms  ${runs} runs`,
          );
        }
      }
      await session[Symbol.asyncDispose]();
      await state[Symbol.asyncDispose]();
      await device[Symbol.asyncDispose]();
    },
  };
}

function median(list: readonly number[]): number {
  const sorted = list.toSorted((a, b) => a - b), half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

const length = Number(options.length), steps = Number(options.steps);
for (const batchSize of options.batch.split(",").map(Number)) {
  console.log(`batch ${batchSize}, ${length} steps of time:`);
  const torch = await openTorch(batchSize, length);
  const ours = await openOurs(batchSize, length, options.profile);
  const here: number[] = [], there: number[] = [];
  let peakThere = 0;
  for (let step = -2; step < steps; step++) { // the first two warm up
    const mine = await ours.step();
    const other = await torch?.step();
    if (step < 0) continue;
    here.push(mine);
    if (other) {
      there.push(other.milliseconds);
      peakThere = other.megabytes;
    }
  }
  const status = await Deno.readTextFile("/proc/self/status").catch(() => "");
  const peak = Number(/VmHWM:\s*(\d+)/.exec(status)?.[1] ?? NaN) / 1024;
  const line = (name: string, times: number[], megabytes: number) => {
    const ms = median(times), tokens = batchSize * length / ms * 1000;
    console.log(
      `  ${name.padEnd(8)} ${ms.toFixed(0).padStart(6)} ms (${Math.min(...times).toFixed(0)} to ` +
        `${Math.max(...times).toFixed(0)}), ${tokens.toFixed(0).padStart(4)} tokens/s, peak ${
          megabytes.toFixed(0)
        } MB`,
    );
  };
  line("celgc", here, peak);
  if (torch) {
    line("PyTorch", there, peakThere);
    console.log(`  ratio    ${(median(there) / median(here)).toFixed(2)}`);
  } else console.log("  PyTorch is not installed");
  await ours.close();
  await torch?.close();
}
