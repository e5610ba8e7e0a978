/**
 * The attributes that each operator is known to have. A later operator set may add one that changes what
 * the operator says: a file that has it is refused rather than misread.
 */

import { type Application, OperatorError } from "../operator.ts";
import { OnnxFileError } from "./file/onnx_graph.ts";

const WINDOW = "auto_pad ceil_mode dilations kernel_shape pads strides";
const RECURRENT = "activation_alpha activation_beta activations clip direction hidden_size layout";
const ATTENTION = "is_causal kv_num_heads q_num_heads scale softcap";
const RESIZE = "antialias axes coordinate_transformation_mode cubic_coeff_a exclude_outside " +
  "extrapolation_value keep_aspect_ratio_policy mode nearest_mode";

/** By operator, where it has any. */
const ATTRIBUTES: Readonly<Record<string, string>> = {
  ArgMax: "axis keepdims select_last_index",
  ArgMin: "axis keepdims select_last_index",
  Attention: `${ATTENTION} qk_matmul_output_mode softmax_precision`,
  AveragePool: `${WINDOW} count_include_pad`,
  BatchNormalization: "epsilon momentum training_mode spatial",
  Cast: "to",
  Celu: "alpha",
  Concat: "axis",
  Constant: "value value_float value_floats value_int value_ints",
  ConstantOfShape: "value",
  Conv: `${WINDOW} group`,
  ConvTranspose: `${WINDOW} group output_padding output_shape`,
  CumSum: "exclusive reverse",
  DepthToSpace: "blocksize mode",
  Dropout: "seed ratio",
  Einsum: "equation",
  Elu: "alpha",
  EyeLike: "dtype k",
  Flatten: "axis",
  GRU: `${RECURRENT} linear_before_reset`,
  Gather: "axis",
  GatherElements: "axis",
  GatherND: "batch_dims",
  Gelu: "approximate",
  Gemm: "alpha beta transA transB",
  GroupNormalization: "epsilon num_groups",
  HardSigmoid: "alpha beta",
  InstanceNormalization: "epsilon",
  LRN: "alpha beta bias size",
  LSTM: `${RECURRENT} input_forget`,
  LayerNormalization: "axis epsilon",
  LeakyRelu: "alpha",
  LogSoftmax: "axis",
  LpNormalization: "axis p",
  LpPool: `${WINDOW} p`,
  MaxPool: `${WINDOW} storage_order`,
  Mod: "fmod",
  NegativeLogLikelihoodLoss: "ignore_index reduction",
  OneHot: "axis",
  Pad: "mode",
  RMSNormalization: "axis epsilon",
  RNN: RECURRENT,
  ReduceSum: "keepdims noop_with_empty_axes",
  Reshape: "allowzero",
  Resize: RESIZE,
  RotaryEmbedding: "interleaved num_heads rotary_embedding_dim",
  ScatterElements: "axis reduction",
  ScatterND: "reduction",
  Selu: "alpha gamma",
  Shape: "end start",
  Softmax: "axis",
  SoftmaxCrossEntropyLoss: "ignore_index reduction",
  SpaceToDepth: "blocksize",
  Split: "axis",
  ThresholdedRelu: "alpha",
  TopK: "axis largest sorted",
  Transpose: "perm",
  Trilu: "upper",
};

/** Attributes that only say how precisely to compute, and with what; here it is float32 throughout. */
const PRECISION = ["saturate", "round_mode", "stash_type", "softmax_precision"];

/** Attributes that are a number, with or without a fraction, whatever operator has them. */
const NUMBERS = ("alpha beta bias cubic_coeff_a epsilon extrapolation_value gamma lambd momentum " +
  "scale softcap").split(" ");

/** Attributes that are a type, by name where they have been read. */
const TYPES = ["dtype", "to"];

/** The most inputs, where a later operator set has added one. */
const MOST_INPUTS: Readonly<Record<string, number>> = { Pad: 3, Attention: 6 };

/**
 * Refuses what the operator is not known to take. Of attributes that are looked at while a graph is built, the kind is
 * checked there.
 *
 * @throws OnnxFileError that names it; OperatorError where it is of another kind
 */
export function checkAttributes(call: Application, opset: number): void {
  const { op, inputs, attributes } = call;
  if (op.includes(".")) return;
  const known = (ATTRIBUTES[op] ?? (op.startsWith("Reduce") ? "keepdims noop_with_empty_axes" : ""))
    .split(" ");
  const odd = Object.keys(attributes).find((name) =>
    !known.includes(name) && !PRECISION.includes(name)
  );
  if (odd !== undefined) {
    throw new OnnxFileError(
      `the attribute "${odd}" of ${op} (opset ${opset}) is not known: export the model in opset 17, ` +
        "or without it",
    );
  }
  for (const [name, value] of Object.entries(attributes)) {
    const kind = NUMBERS.includes(name) ? "number" : TYPES.includes(name) ? "type" : null;
    if (kind === null || typeof value === (kind === "number" ? "number" : "string")) continue;
    throw new OperatorError(call, `its attribute ${name} must be a ${kind}`);
  }
  const most = MOST_INPUTS[op];
  if (most !== undefined && inputs.slice(most).some((input) => input)) {
    throw new OnnxFileError(
      `input ${most} of ${op} (opset ${opset}) is not known: export the model in opset 17`,
    );
  }
}
