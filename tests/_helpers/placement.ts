/** Whether a graph stays on WebGPU. */

import { loadOnnxRuntimeWeb } from "../../deps.ts";
import { encodeModel } from "../../models/encode.ts";
import type { Graph } from "../../models/graph.ts";

/** Creates a session that refuses to put a node anywhere but on WebGPU. */
export async function placeOnWebGpu(graph: Graph): Promise<void> {
  const ort = await loadOnnxRuntimeWeb();
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = "fatal";
  const session = await ort.InferenceSession.create(encodeModel(graph, { target: "webgpu" }), {
    executionProviders: ["webgpu"],
    logSeverityLevel: 4,
    extra: { session: { disable_cpu_ep_fallback: "1" } },
  });
  await session.release();
}
