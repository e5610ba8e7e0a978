/**
 * What onnxruntime's native and web engines have in common: metadata, results, profiles.
 *
 * @module
 */

import { arrayOf, type Port } from "./_binding.ts";
import type { HostTensor, NodeTime } from "./device.ts";

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

/** The kernel times in onnxruntime's profile, a list of Chrome trace events (times in µs). */
export function parseProfile(text: string): NodeTime[] {
  const events = JSON.parse(text) as {
    cat?: string;
    name?: string;
    dur?: number;
    args?: { op_name?: string; provider?: string };
  }[];
  return events
    .filter(({ cat, name }) => cat === "Node" && name?.endsWith("_kernel_time"))
    .map(({ name, dur, args }) => ({
      node: name!.slice(0, -"_kernel_time".length),
      operator: args?.op_name ?? "",
      provider: args?.provider ?? "",
      milliseconds: (dur ?? 0) / 1000,
    }));
}
