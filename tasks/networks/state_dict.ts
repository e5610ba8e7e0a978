/**
 * Weights in and out: a model's variables as a PyTorch state dict in the safetensors format, by
 * the names and shapes PyTorch gives them.
 *
 * @module
 */

import type { Variable } from "../../models/mod.ts";
import { readLocation } from "./onnx_model.ts";
import { OptionError } from "../options/kinds.ts";
import { decodeSafetensors, type NamedTensor, SafetensorsError } from "./safetensors.ts";

/** What PyTorch counts and nothing here needs. */
const COUNTER = /(^|\.)num_batches_tracked$/;

/** What wrappers such as DataParallel put before every name. */
const WRAPPERS = ["module.", "_orig_mod."];

/** Most names that a message lists of a kind. */
const SHOWN = 5;

/** Tensors by name, and whether they are all a model's. */
export interface Weights {
  readonly tensors: readonly NamedTensor[];
  /** False where there may be others among them, as in a checkpoint. */
  readonly exact: boolean;
}

/** A variable as far as its weights are concerned. */
export type WeightVariable = Pick<Variable, "name" | "dims">;

/**
 * Reads a state dict from a safetensors file.
 *
 * @param location its path or URL
 * @param flag the option that named it, for the message
 * @throws OptionError when it is not to be had, or is something else
 */
export async function readWeightsFile(location: string, flag: string): Promise<Weights> {
  const file = await readLocation(location, flag);
  return { tensors: decodeWeights(file, `${flag} ${location}`), exact: true };
}

/** Reads the bytes of a state dict; `what` is what a message calls them. Throws OptionError. */
export function decodeWeights(file: Uint8Array, what: string): NamedTensor[] {
  try {
    return [...decodeSafetensors(file, { convert: true }).tensors];
  } catch (error) {
    if (!(error instanceof SafetensorsError)) throw error;
    throw new OptionError(`${what}: ${error.message}`, { cause: error });
  }
}

/** How to match a state dict. */
export interface MatchOptions {
  /** The option that named it, and what, for the message. */
  readonly what: string;
  /** Names whose tensors are those of other names: `decoder.weight` is `encoder.weight`. */
  readonly ties?: Readonly<Record<string, string>>;
  /** What a tensor is called here, see `TrainableModel.weightName`. */
  readonly weightName?: ((name: string) => string | null) | undefined;
}

/**
 * The data of each variable from a state dict, by name. Counters of batch norm are passed over, names
 * that a wrapper has prefixed are found without the prefix.
 *
 * @throws OptionError that lists what is missing, unexpected or of another shape
 */
export function matchWeights(
  variables: readonly WeightVariable[],
  { tensors, exact }: Weights,
  { what, ties = {}, weightName = (name) => name }: MatchOptions,
): Map<string, Float32Array> {
  const weights = unwrapped(tensors.filter(({ name }) => !COUNTER.test(name))).flatMap((tensor) => {
    const name = weightName(tensor.name);
    return name === null ? [] : [{ ...tensor, name }];
  });
  const byName = untie(weights, ties, what);
  const missing: string[] = [], misshapen: string[] = [];
  const matched = new Map<string, Float32Array>();
  for (const { name, dims } of variables) {
    const tensor = byName.get(name);
    byName.delete(name);
    if (!tensor) missing.push(`${name} [${dims}]`);
    else if (`${tensor.dims}` !== `${dims}`) {
      misshapen.push(`${name} [${tensor.dims}] instead of [${dims}]`);
    } else matched.set(name, tensor.data);
  }
  const unexpected = !exact
    ? []
    : Array.from(byName.values(), ({ name, dims }) => `${name} [${dims}]`);
  const faults = [
    listed("missing", missing),
    listed("of another shape", misshapen),
    listed("unexpected", unexpected),
  ].filter((text) => text !== "");
  if (faults.length === 0) return matched;
  throw new OptionError(`${what} does not fit the model: ${faults.join("; ")}`);
}

/**
 * Weights as a state dict, tied tensors under each of their names.
 *
 * @param data of each variable, in their order
 */
export function stateDict(
  variables: readonly WeightVariable[],
  data: readonly Float32Array[],
  ties: Readonly<Record<string, string>> = {},
): NamedTensor[] {
  const tensors = variables.map(({ name, dims }, i) => ({ name, dims, data: data[i] }));
  const tied = Object.entries(ties).flatMap(([name, same]) =>
    tensors.filter((each) => each.name === same).map((each) => ({ ...each, name }))
  );
  return [...tensors, ...tied];
}

function unwrapped(tensors: readonly NamedTensor[]): NamedTensor[] {
  const prefix = WRAPPERS.find((each) => tensors.every(({ name }) => name.startsWith(each)));
  if (!prefix || tensors.length === 0) return [...tensors];
  return unwrapped(tensors.map((each) => ({ ...each, name: each.name.slice(prefix.length) })));
}

/** Takes tensors under their second names out, once it is certain that they are the same. */
function untie(
  tensors: readonly NamedTensor[],
  ties: Readonly<Record<string, string>>,
  what: string,
): Map<string, NamedTensor> {
  const byName = new Map(tensors.map((each) => [each.name, each]));
  for (const [name, same] of Object.entries(ties)) {
    const second = byName.get(name), first = byName.get(same);
    if (!second) continue;
    byName.delete(name);
    if (!first) byName.set(same, { ...second, name: same });
    else if (!first.data.every((value, i) => value === second.data[i])) {
      throw new OptionError(`${what}: ${name} is not ${same}, but here the two are one tensor`);
    }
  }
  return byName;
}

function listed(kind: string, names: readonly string[]): string {
  if (names.length === 0) return "";
  const more = names.length - SHOWN;
  return `${kind} ${names.slice(0, SHOWN).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}
