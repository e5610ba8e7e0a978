/**
 * Profiles as onnxruntime writes them, native and web.
 *
 * @module
 */

import type { NodeTime } from "./device.ts";

/** What a file is to begin with that an engine writes its profile to: in a folder of its own, in the given one. */
export async function profilePrefix(dir?: string): Promise<string> {
  return `${await Deno.makeTempDir({ dir, prefix: "celgc-profile-" })}/run`;
}

const folderOf = (prefix: string) => prefix.slice(0, prefix.lastIndexOf("/"));

/** Removes what was written under `prefix`, and its folder, if they are there. */
export async function dropProfile(prefix: string): Promise<void> {
  await Deno.remove(folderOf(prefix), { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
}

/** Reads a profile and removes it. @param end has the engine write it, under `prefix` */
export async function readProfile(prefix: string, end: () => void): Promise<NodeTime[]> {
  await using dropped = new AsyncDisposableStack();
  dropped.defer(() => dropProfile(prefix));
  end();
  const folder = folderOf(prefix);
  for await (const entry of Deno.readDir(folder)) {
    return parseProfile(await Deno.readTextFile(`${folder}/${entry.name}`));
  }
  throw new Error(`the engine wrote no profile to ${folder}`);
}

/** An event in onnxruntime's profile, a list of Chrome trace events; times in µs. */
interface TraceEvent {
  readonly cat?: string;
  readonly name?: string;
  readonly ts?: number;
  readonly dur?: number;
  readonly args?: { readonly op_name?: string; readonly provider?: string };
}

const WEBGPU = "WebGpuExecutionProvider";
const KERNEL = "_kernel_time";

/**
 * The kernel times in onnxruntime's profile. What its WebGPU provider notes for a node is how long the
 * host took to ask for it; the GPU's own times stand apart, named by node, operator and program.
 */
export function parseProfile(text: string): NodeTime[] {
  const times: NodeTime[] = [];
  const events = JSON.parse(text) as TraceEvent[];
  const onGpu = events.some(({ cat }) => cat === "Api");
  for (const { cat, name = "", ts = 0, dur = 0, args = {} } of events) {
    const start = ts / 1000, milliseconds = dur / 1000;
    if (cat === "Api") {
      const [node, operator = ""] = name.split("&");
      times.push({ node, operator, provider: WEBGPU, start, milliseconds });
    } else if (cat === "Node" && name.endsWith(KERNEL)) {
      const { op_name: operator = "", provider = "" } = args;
      if (onGpu && provider === WEBGPU) continue;
      const node = name.slice(0, -KERNEL.length);
      times.push({ node, operator, provider, start, milliseconds });
    }
  }
  return times;
}
