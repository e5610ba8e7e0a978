/**
 * What the name of a network, or a text about its file, says by itself, without reading anything.
 *
 * @module
 */

import { type ForeignModelOptions, LOSSES } from "../../models/mod.ts";
import { closest, hintOf } from "./kinds.ts";

/** Whether a network's name is the path or URL of an ONNX file. */
export function isModelFile(name: string): boolean {
  return name.endsWith(".onnx") || isUrl(name);
}

/** Whether a network is one of those that are built in and read texts. */
export function isLanguageModel(name: string): name is "awd-lstm" | "gpt" {
  return name === "awd-lstm" || name === "gpt";
}

/** Whether a location is a URL that can be fetched. */
export const isUrl = (name: string): boolean => /^(https?|file):/.test(name);

/** What to do with a file of another kind, by its ending; "" for what is none. */
export function exportHint(name: string): string {
  const ending = /\.(pt|pth|ckpt|bin|h5|keras|tflite|safetensors)$/i.exec(name)?.[1].toLowerCase();
  switch (ending) {
    case undefined:
      return "";
    case "h5":
    case "keras":
    case "tflite":
      return ` (a .${ending} file is made one by tf2onnx)`;
    case "safetensors":
      return " (a .safetensors file holds weights and no network: give it as --weights)";
    default:
      return ` (from a .${ending} file: load the model in PyTorch, and torch.onnx.export it)`;
  }
}

/** What a network is called in folders and tables: a file's name without what surrounds it. */
export function modelName(name: string): string {
  return isModelFile(name) ? /([^/\\]*?)(\.onnx)?([?#].*)?$/.exec(name)![1] || "onnx" : name;
}

/** Reads `name=n,name=n`. Throws RangeError. */
export function parseDims(text: string): Record<string, number> {
  return Object.fromEntries(
    text.split(",").map((part) => {
      const [, name, digits] = /^\s*(.+)=(\d+)\s*$/.exec(part) ?? [];
      const length = Number(digits);
      if (Number.isSafeInteger(length) && length > 0) return [name, length];
      throw new RangeError(`must be NAME=LENGTH, separated by commas, not "${text}"`);
    }),
  );
}

/** Reads a loss's name, or `output:NAME`. Throws RangeError. */
export function parseLoss(text: string): NonNullable<ForeignModelOptions["loss"]> {
  const output = /^output:(.+)$/.exec(text)?.[1];
  if (output) return { output };
  const known = LOSSES.find((name) => name === text);
  if (known) return known;
  const hint = hintOf(closest(text, LOSSES));
  throw new RangeError(
    `must be one of ${LOSSES.join(", ")}, or output:NAME, not "${text}"${hint}`,
  );
}
