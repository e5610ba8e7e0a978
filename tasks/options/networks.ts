/** The part of the table of options that is about networks from files, and weights. */

import { GROUPS, OptionError, type OptionSpec, type Table, text } from "./kinds.ts";
import { exportHint, isModelFile, parseDims, parseLoss } from "./network_names.ts";
import type { InputFileOptions, NetworkFile } from "./values.ts";

const { WHAT } = GROUPS;

/** Checks a text by reading it. */
const readable = (read: (text: string) => unknown) => (value: string): string => {
  read(value);
  return value;
};

/** What goes with a network from a file, and the weights to begin with. */
export const INPUT_FILES: Table<InputFileOptions> = {
  loss: text({
    flag: "--loss",
    group: WHAT,
    help:
      "what mlp or a network from a file minimises: cross-entropy, mse, mae, binary-cross-entropy, or " +
      "output:NAME, a loss that the file computes itself",
    default: null,
    defaultText: "an output called loss, else cross-entropy; mse of amounts",
    placeholder: "name",
    normalise: readable(parseLoss),
  }),
  dims: text({
    flag: "--dims",
    group: WHAT,
    help: "lengths of symbolic dimensions of a network's file, such as height=32,width=32",
    default: null,
    defaultText: "those of the task's data",
    placeholder: "name=n,…",
    commas: true,
    normalise: readable(parseDims),
  }),
  weights: text({
    flag: "--weights",
    group: WHAT,
    help: "weights to begin with instead of random ones: a safetensors file (path or URL) with " +
      "PyTorch's names, or the folder of a run",
    default: null,
    defaultText: "none",
    placeholder: "file",
  }),
};

/** An option that names a network, with files among its values. */
export function orFile<Name extends string>(
  spec: OptionSpec<Name>,
): OptionSpec<Name | NetworkFile> {
  const check = (value: unknown): Name | NetworkFile => {
    if (typeof value === "string" && isModelFile(value)) return value as NetworkFile;
    try {
      return spec.check(value);
    } catch (error) {
      if (!(error instanceof OptionError) || !error.fault) throw error;
      const { rule } = error.fault;
      const hint = typeof value === "string" ? exportHint(value) : "";
      const fault = { ...error.fault, rule: `${rule}, or the path or URL of an .onnx file${hint}` };
      throw new OptionError(fault, { cause: error });
    }
  };
  return {
    ...spec,
    help: `${spec.help}, or the path or URL of an .onnx file`,
    parse: check,
    check,
  };
}
