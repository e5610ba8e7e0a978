import assert from "node:assert/strict";
import { loadOnnxRuntimeWeb } from "../../../deps.ts";
import { awdLstm } from "../../../models/architectures/awd_lstm.ts";
import { encodeModel } from "../../../models/encode.ts";
import { Graph } from "../../../models/graph.ts";
import type { DeviceKind } from "../../../runtime/devices/device.ts";
import { openDevice } from "../../../runtime/devices/open.ts";
import { relativeError } from "../_evaluate.ts";
import { SMALL, stepGraph, stretches, train, type Trajectory } from "./_awd_lstm_run.ts";
import { hasWebGpu, webGpuNote } from "../../_helpers/web_gpu.ts";

Deno.test(`AWD-LSTM trains alike on every device${webGpuNote}`, async () => {
  const text = stretches([4, 3, 4, 4, 2, 3, 4, 4, 4, 3], [0, 6]);
  const run = async (kind: DeviceKind, inParts = false): Promise<Trajectory> => {
    await using device = await openDevice(kind);
    const length = kind === "webgpu" ? () => 4 : undefined;
    return await train(device, text, { layers: 2 }, length, inParts);
  };
  const cpu = await run("cpu");
  const others: Parameters<typeof run>[] = [["wasm"]];
  if (hasWebGpu) others.push(["webgpu"], ["webgpu", true]);
  for (const [kind, inParts] of others) {
    const other = await run(kind, inParts);
    for (const what of ["losses", "entropies", "norms"] as const) {
      const error = relativeError(other[what], cpu[what]);
      assert(error < 1e-3, `${kind}: ${what} ${other[what]}\n${cpu[what]}`);
    }
    for (const what of ["gradients", "variables"] as const) {
      for (const [name, value] of cpu[what]) {
        const error = relativeError(other[what].get(name)!, value);
        assert(error < 1e-3, `${kind}: ${what} ${name} ${error}`);
      }
    }
  }
});

/** Loads a model into the engine's WebGPU provider, which may hand no node to the CPU. */
async function loadOnGpu(model: Uint8Array): Promise<void> {
  const ort = await loadOnnxRuntimeWeb();
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = "fatal";
  const session = await ort.InferenceSession.create(model, {
    executionProviders: ["webgpu"],
    logSeverityLevel: 4,
    extra: { session: { disable_cpu_ep_fallback: "1" } },
  });
  await session.release();
}

Deno.test({
  name: `every node of AWD-LSTM's graphs runs on WebGPU${webGpuNote}`,
  ignore: !hasWebGpu,
  async fn() {
    const g = new Graph();
    const x = g.input("x", "float32", [4]);
    g.output("y", g.op("Mod", [x, g.scalar(2)], { fmod: 1 }));
    await assert.rejects(loadOnGpu(encodeModel(g, { target: "webgpu" })), /CPU|fallback/i);

    for (const weightDrop of ["rows", "elements"] as const) {
      const awd = awdLstm({ ...SMALL, layers: 2, weightDrop });
      await loadOnGpu(encodeModel(stepGraph(awd, 3).graph, { target: "webgpu" }));
      const { graph } = awd.build({ batchSize: 2, mode: "eval", length: 3 });
      await loadOnGpu(encodeModel(graph, { target: "webgpu" }));
    }
  },
});
