/** Whether a graph stays on WebGPU, and whether there is one. */

import { loadOnnxRuntimeWeb } from "../../deps.ts";
import { encodeModel } from "../../models/encode.ts";
import type { Graph } from "../../models/graph.ts";
import { openDevice } from "../../runtime/devices/open.ts";

/** Whether WebGPU has an adapter; tests that need one say so if it has not, and are skipped. */
export const hasWebGpu = await openDevice("webgpu").then(
  (device) => device[Symbol.asyncDispose]().then(() => true),
  () => false,
);

/** What a test's name says when it is skipped. */
export const webGpuNote = hasWebGpu ? "" : " (skipped: no WebGPU adapter)";

// Without a window system Mesa complains of the missing folder each time an adapter is asked for.
if (!Deno.env.has("XDG_RUNTIME_DIR")) Deno.env.set("XDG_RUNTIME_DIR", "/dev/null/folder");

/** Creates a session that refuses to put a node anywhere but on WebGPU. */
export async function place(graph: Graph): Promise<void> {
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
