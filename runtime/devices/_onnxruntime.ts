/**
 * What onnxruntime's native and web engines have in common: metadata, results, profiles.
 *
 * @module
 */

import { arrayOf, type Port } from "./_binding.ts";
import type { DeviceKind, HostTensor, NodeTime, Submission } from "./device.ts";

/** An engine's tensor whose data are in this process's memory. */
interface EngineTensor {
  readonly type: string;
  readonly dims: readonly number[];
  readonly data: unknown;
}

/** An engine's description of an input or output. */
interface EngineMetadata {
  readonly name: string;
  readonly isTensor: boolean;
  readonly type?: string;
  readonly shape?: readonly (number | string)[];
}

/** What a session says that was asked to end a profile it does not keep. */
export const NO_PROFILE =
  "cannot end a profile: compile the session with { profile: true }, and end it once";

/** An engine's session as far as its making goes. */
interface EngineSession {
  release(): Promise<void>;
}

/**
 * Creates an engine's session and wraps it; what cannot be wrapped is released.
 *
 * @throws {Error} the engine refuses the model, or what `wrap` throws
 */
export async function wrapSession<S extends EngineSession, T>(
  kind: DeviceKind,
  create: () => Promise<S>,
  wrap: (session: S) => T,
): Promise<T> {
  let session: S;
  try {
    session = await create();
  } catch (cause) {
    throw new Error(`cannot compile the model for ${kind}: ${(cause as Error).message}`, { cause });
  }
  try {
    return wrap(session);
  } catch (error) {
    await session.release();
    throw error;
  }
}

/** The inputs or outputs of a compiled model. */
export function portsOf(metadata: readonly EngineMetadata[]): Port[] {
  return metadata.map(({ name, isTensor, type, shape }) => {
    if (!isTensor || type === undefined || shape === undefined) {
      throw new TypeError(
        `"${name}" is no tensor: sequences, maps and optionals are not supported`,
      );
    }
    return { name, type, dims: shape };
  });
}

/** A result in the form the caller gets. */
export function toHost(tensor: EngineTensor): HostTensor {
  arrayOf(tensor.type);
  return { type: tensor.type, dims: tensor.dims, data: tensor.data } as HostTensor;
}

/** The run of an engine that does not return before its end. */
export function finished(outputs: Record<string, HostTensor>): Submission {
  return { ready: true, outputs: () => Promise.resolve(outputs) };
}

/** A place for an engine to write its profile. */
export async function profileFile(): Promise<{ prefix: string }> {
  return { prefix: `${await Deno.makeTempDir({ prefix: "celgc-profile-" })}/run` };
}

/** Reads a profile written under `prefix` and removes it. */
export async function readProfile(prefix: string): Promise<NodeTime[]> {
  const folder = prefix.slice(0, prefix.lastIndexOf("/"));
  try {
    for await (const entry of Deno.readDir(folder)) {
      return parseProfile(await Deno.readTextFile(`${folder}/${entry.name}`));
    }
    throw new Error(`the engine wrote no profile to ${folder}`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** An event in onnxruntime's profile, a list of Chrome trace events; durations in µs. */
interface TraceEvent {
  readonly cat?: string;
  readonly name?: string;
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
  for (const { cat, name = "", dur = 0, args = {} } of events) {
    const milliseconds = dur / 1000;
    if (cat === "Api") {
      const [node, operator = ""] = name.split("&");
      times.push({ node, operator, provider: WEBGPU, milliseconds });
    } else if (cat === "Node" && name.endsWith(KERNEL)) {
      const { op_name: operator = "", provider = "" } = args;
      if (onGpu && provider === WEBGPU) continue;
      times.push({ node: name.slice(0, -KERNEL.length), operator, provider, milliseconds });
    }
  }
  return times;
}
