/**
 * Arrays of one's own together with the network that is to learn them, each of which decides what the other is: the
 * network's file says which inputs it takes, the arrays what shape they are and what is predicted.
 *
 * @module
 */

import { networkInputs } from "../../models/foreign/model.ts";
import { type OncePerHost, PER_RANK } from "../../runtime/once_per_host.ts";
import type { ArraySplits } from "../data/arrays/array_data_set.ts";
import type { ArraySource } from "../data/arrays/array_source.ts";
import { arraySplitsOf, loadArrays } from "../data/arrays/load_arrays.ts";
import { importOptions, onnxFileModel } from "../networks/onnx_model.ts";
import { asOptionError } from "../options/as_option_error.ts";
import type { Options } from "../options/values.ts";
import type { TrainableModel } from "../task.ts";
import { checkArrayPartition, shapeOfArrays } from "./array_task.ts";
import { builtIn } from "./built_in.ts";

/** Arrays, and a network that takes them. */
export interface ArrayProblem {
  readonly arrays: ArraySplits;
  readonly fitting: TrainableModel;
}

/**
 * Reads the arrays and makes the network.
 *
 * @param file the network's; null for a built-in one
 * @param parts.model instead of the one that the options name
 * @param parts.source the arrays, if they have been opened
 * @throws DataError if the arrays are not as they should be
 * @throws OptionError if the network is not, or does not take them
 */
export async function openArrayProblem(
  options: Options,
  file: Uint8Array | null,
  { model, source, sharing = PER_RANK }: {
    readonly model?: TrainableModel | undefined;
    readonly source?: ArraySource | undefined;
    readonly sharing?: OncePerHost | undefined;
  } = {},
): Promise<ArrayProblem> {
  const what = `--model ${options.model}`;
  const network = file
    ? asOptionError(
      what,
      () =>
        networkInputs(file, importOptions(options)).map(({ name, type }) => ({
          name,
          whole: type.startsWith("int"),
        })),
    )
    : null;
  const arrays = source
    ? arraySplitsOf(source, options, network)
    : await loadArrays(options.data!, options, network, sharing);
  asOptionError("--task arrays", () => checkArrayPartition(arrays, options));
  const shape = shapeOfArrays(arrays);
  const fitting = model ??
    (file
      ? onnxFileModel(file, options.model, options, shape)
      : asOptionError(what, () => builtIn(options, shape)));
  return { arrays, fitting };
}
