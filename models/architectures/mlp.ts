/**
 * A multilayer perceptron: fully connected layers with ReLU between them.
 *
 * @module
 */

import type { BuildOptions, Model, ModelGraph } from "../model.ts";
import { kaimingNormal, LayerBuilder, uniform } from "./layers.ts";
import { sizeOf } from "../tensor.ts";
import { type LossName, lossNamed } from "./losses.ts";

/** What makes an {@linkcode mlp}. */
export interface MlpOptions {
  /** Shape of a sample; axes are flattened. */
  readonly input: readonly number[];
  /** How many numbers are predicted: a score for each class, or the values of a regression. */
  readonly outputs: number;
  /** Shape of a sample's target of values. @default {[outputs]} */
  readonly target?: readonly number[];
  /** Hidden layers; with none it is linear. @default {2} */
  readonly layers?: number;
  /** Size of each. @default {64} */
  readonly width?: number;
  /** What is minimised; see `lossNamed`. @default {"cross-entropy"} */
  readonly loss?: LossName;
  /** Whether `target` holds class indices whatever the loss. @default {false} */
  readonly classes?: boolean;
  /** How much of each label goes to all classes alike in training, ε. @default {0} */
  readonly labelSmoothing?: number;
}

/**
 * A multilayer perceptron on `input` float32 `[batch, …]`. Weights have the names of PyTorch's
 * `nn.Sequential(nn.Linear, nn.ReLU, nn.Linear, …)`: `0.weight`, `0.bias`, `2.weight`, …; those of hidden layers
 * begin as He et al. (2015) have it, the last layer's as `nn.Linear`'s.
 *
 * @throws RangeError where a size is no positive integer
 *
 * @example
 * ```ts
 * import { mlp } from "./mlp.ts";
 * const { graph } = mlp({ input: [4], outputs: 3 }).build({ batchSize: 8, mode: "train" });
 * console.assert(graph.inputs.get("4.weight")!.dims.join() === "3,64");
 * ```
 */
export function mlp(options: MlpOptions): Model {
  const { input, outputs, layers = 2, width = 64, loss = "cross-entropy" } = options;
  const { classes = false, labelSmoothing = 0 } = options;
  for (const [what, size] of Object.entries({ outputs, width, "layers + 1": layers + 1 })) {
    if (Number.isSafeInteger(size) && size >= 1) continue;
    throw new RangeError(`${what} of an mlp is a positive integer, not ${size}`);
  }
  // A wrong loss is said at once.
  lossNamed(loss, { classes, labelSmoothing });
  return {
    name: "mlp",
    build({ batchSize, mode }: BuildOptions): ModelGraph {
      const builder = new LayerBuilder(mode), g = builder.graph;
      let x = g.input("input", "float32", [batchSize, ...input]);
      if (input.length !== 1) x = g.reshape(x, [batchSize, sizeOf(input)]);
      for (let layer = 0; layer < layers; layer++) {
        x = g.relu(builder.linear(String(2 * layer), x, width, kaimingNormal));
      }
      const last = uniform(1 / Math.sqrt(x.dims[1]));
      x = builder.linear(String(2 * layers), x, outputs, last);
      const targetDims = options.target && [batchSize, ...options.target];
      const made = lossNamed(loss, { classes, labelSmoothing, targetDims })(g, x, mode);
      return { graph: g, loss: made.loss, outputs: made, variables: builder.variables };
    },
  };
}
