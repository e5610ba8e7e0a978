/**
 * Graphs that train: building them from ONNX operators, differentiating them, writing them as ONNX models,
 * and the networks of the experiments.
 *
 * @module
 */

export { differentiate } from "./autodiff.ts";
export { type AwdLstm, awdLstm, type AwdLstmBuildOptions } from "./architectures/awd_lstm.ts";
export type {
  AwdLstmConfig,
  AwdLstmDropout,
  AwdLstmOptions,
} from "./architectures/awd_lstm_options.ts";
export type {
  AwdLstmFeeds,
  StretchOptions,
  TensorFeeds,
  TextStretch,
} from "./architectures/awd_lstm_feeds.ts";
export type { FloatTensor, MaskKey } from "./architectures/dropout.ts";
export {
  type Gpt,
  gpt,
  type GptBuildOptions,
  type GptPredictOptions,
} from "./architectures/gpt.ts";
export { type GptConfig, type GptOptions, POSITIONS } from "./architectures/gpt_options.ts";
export { encodeModel, type EncodeOptions, OPSET } from "./encode.ts";
export type { KernelOperator } from "../runtime/devices/segments/segmented_model.ts";
export type { Body } from "./body.ts";
export {
  checkModel,
  formatModelReport,
  type ModelReport,
  type OperatorReport,
} from "./foreign/check.ts";
export { externalFiles, withDataInside } from "./foreign/file/external_data.ts";
export { LOSSES, type LossName } from "./architectures/losses.ts";
export { type ForeignModel, foreignModel } from "./foreign/model.ts";
export type { ForeignModelOptions } from "./foreign/options.ts";
export { OnnxFileError, type OnnxInput } from "./foreign/file/onnx_graph.ts";
export { Graph, type Node, type Value } from "./graph.ts";
export type { ConvOptions, Operand, Operations } from "./operations.ts";
export {
  classifierOutputs,
  filled,
  type Initializer,
  kaimingNormal,
  LayerBuilder,
  uniform,
} from "./architectures/layers.ts";
export { mlp, type MlpOptions } from "./architectures/mlp.ts";
export { lower, type Target } from "./lowering/mod.ts";
export {
  type BuildOptions,
  type Mode,
  type Model,
  type ModelGraph,
  parametersOf,
  type Role,
  type Variable,
} from "./model.ts";
export { type Application, type Attribute, type Attributes, OperatorError } from "./operator.ts";
export { type Coverage, operatorCoverage } from "./ops/mod.ts";
export { resnet, RESNET_DEPTHS, type ResNetOptions } from "./architectures/resnet.ts";
export type { ElementType, Tensor, TensorData, TensorType } from "./tensor.ts";
