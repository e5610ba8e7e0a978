/**
 * One network's training step by the WebGPU provider of onnxruntime's native library, which brings a WebGPU of its
 * own: weights stay on the card if it lets outputs do so. What it records could not be replayed, for then weights
 * would have to lie where they lay before.
 *
 *     deno run -A tests/bench/gpu/native.ts MODEL BATCH SECONDS LOSSES [PROVIDER]
 *
 * @module
 */

import { loadOnnxRuntimeNode } from "../../../deps.ts";
import { encodeModel } from "../../../models/encode.ts";
import { jobOf, stepGraph } from "../step/networks.ts";
import { AHEAD, doing, say, timed } from "./measure.ts";

const [name, ...numbers] = Deno.args, provider = Deno.args[4] ?? "webgpu";
const [batch, seconds, count] = numbers.map(Number);
const ort = await loadOnnxRuntimeNode();
const job = jobOf(name, batch), { graph, variables } = stepGraph(job);
const model = encodeModel(graph, { target: "webgpu" });
const moved = variables.filter(({ name }) => graph.outputs.has(`${name}.next`));
const stays = new Set(moved.map(({ name }) => `${name}.next`));
type Tensors = Record<string, InstanceType<typeof ort.Tensor>>;

/** Steps of a session that keeps weights on the card, or hands them out and takes them back. */
async function stepsOf(onCard: boolean) {
  const session = await ort.InferenceSession.create(model, {
    executionProviders: [provider],
    logSeverityLevel: 4,
    ...onCard && {
      preferredOutputLocation: Object.fromEntries(
        [...graph.outputs.keys()].map((name) => [name, stays.has(name) ? "gpu-buffer" : "cpu"]),
      ),
    },
  });
  let weights: Tensors = Object.fromEntries(
    variables.map(({ name, dims, initial }) => [name, new ort.Tensor("float32", initial(1), dims)]),
  );
  let taken = 0;
  return {
    session,
    async step(): Promise<number> {
      const feeds = Object.fromEntries(
        Object.entries(job.feeds(taken++)).map(([name, { type, data, dims }]) =>
          [name, new ort.Tensor(type, data as never, dims)] as const
        ),
      );
      const results = await session.run({ ...weights, ...feeds }) as Tensors;
      const next = Object.fromEntries(moved.map(({ name }) => [name, results[`${name}.next`]]));
      if (taken > 1) { for (const each of Object.keys(next)) weights[each].dispose(); }
      weights = { ...weights, ...next };
      return (results.loss.data as Float32Array)[0];
    },
  };
}

const refusals = new Set<string>();
for (const onCard of [true, false]) {
  const variant = `native, weights ${onCard ? "on the card" : "handed out and back"}`;
  try {
    doing(variant);
    const { session, step } = await stepsOf(onCard);
    const losses: number[] = [];
    for (let i = 0; i < count; i++) losses.push(await step());
    const common = { engine: "celgc", model: name, batch, device: "webgpu", variant };
    say({ what: "losses", ...common, losses });
    const work = async () => {
      for (let i = 0; i < AHEAD; i++) await step();
    };
    const spread = await timed(work, seconds, AHEAD);
    say({ what: "step", ...common, choice: "native", ...spread, samples: job.samples });
    await session.release();
    Deno.exit(); // its threads would keep the process
  } catch (error) {
    const [line] = (error as Error).message.split("\n");
    refusals.add(line.replace(/^.* was false\. /, ""));
  }
}
throw new Error(`onnxruntime-node's WebGPU: ${[...refusals].join("; ")}`);
