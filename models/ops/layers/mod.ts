/**
 * The operators that make layers of a network, one family a file.
 *
 * @module
 */

import type { Operators } from "../../operator.ts";
import { attentionOperators } from "./attention.ts";
import { blockedOperators } from "./blocked.ts";
import { convolutionOperators } from "./convolution.ts";
import { normalizationOperators } from "./normalization.ts";
import { onnxRecurrentOperators } from "./onnx_recurrent.ts";
import { poolingOperators } from "./pooling.ts";
import { recurrentOperators } from "./recurrent.ts";
import { resizeOperators } from "./resize.ts";
import { softmaxOperators } from "./softmax.ts";

/** The families of layers, by the name of their file. */
export const layerFamilies: Readonly<Record<string, Operators>> = {
  convolution: convolutionOperators,
  blocked: blockedOperators,
  pooling: poolingOperators,
  normalization: normalizationOperators,
  softmax: softmaxOperators,
  recurrent: recurrentOperators,
  onnx_recurrent: onnxRecurrentOperators,
  attention: attentionOperators,
  resize: resizeOperators,
};
