/**
 * What the importer of ONNX files can be told.
 *
 * @module
 */

import type { Tensor } from "../tensor.ts";
import type { LossName } from "../architectures/losses.ts";

/** Options of `foreignModel`. */
export interface ForeignModelOptions {
  /** What the model is called. @default {"onnx"} */
  readonly name?: string;
  /**
   * What is minimised: a loss of prediction and target that is appended, or `{ output }`, a scalar that the
   * file itself computes. @default {an output "loss" if the file has one, else "cross-entropy", or "mse" where
   * `classes` is false}
   */
  readonly loss?: LossName | { readonly output: string };
  /** The prediction's axis of classes, for cross entropy; see `lossNamed`. */
  readonly classAxis?: number;
  /** Whether `target` holds class indices whatever the loss; see `lossNamed`. @default {as the loss has it} */
  readonly classes?: boolean;
  /** How much of each label goes to all classes alike in training, ε, for cross entropy. @default {0} */
  readonly labelSmoothing?: number;
  /** The output that is the prediction. @default {the first} */
  readonly prediction?: string;
  /** Lengths of the file's symbolic dimensions, such as `{ sequence: 70 }`; the batch's comes by itself. */
  readonly dims?: Readonly<Record<string, number>>;
  /**
   * Shapes of what is fed, the batch first: the lengths of axes that are open all the same. A file whose
   * second axis is the batch is fed the two exchanged, and predictions `[batch · time, classes]` are
   * those of a target `[batch, time]`. `input` is the shape of the one input there is, or the shapes of several
   * by their names. Of a file's other inputs `attention_mask`, `token_type_ids` and `position_ids` are supplied.
   * @default {none}
   */
  readonly shapes?: {
    readonly input: readonly number[] | Readonly<Record<string, readonly number[]>>;
    readonly target: readonly number[];
  };
  /** Which tensors are trained. @default {those that stand where operators have weights} */
  readonly trained?: (name: string, tensor: Tensor) => boolean;
}
