/** Models in float64, brought to float32: what is trained here is float32 throughout. */

import { onnx } from "../../../deps.ts";
import { eachGraph, nodesOf, tensorsOf } from "./_tensors.ts";
import { OnnxFileError } from "./onnx_graph.ts";

const { DOUBLE, FLOAT } = onnx.TensorProto_DataType;

/**
 * Whether a model is written in float64: its input is, or all its weights are. One that only computes a part
 * in it stays as it is.
 */
export function isFloat64(model: onnx.ModelProto): boolean {
  const { input = [], initializer = [] } = model.graph ?? {};
  const inside = new Set(initializer.map(({ name }) => name));
  const data = input.some(({ name, type }) =>
    !inside.has(name) && type?.value.case === "tensorType" && type.value.value.elemType === DOUBLE
  );
  const weights = initializer.filter(({ dims, dataType }) =>
    dims.length > 0 && (dataType === DOUBLE || dataType === FLOAT)
  );
  return data || weights.length > 0 && weights.every(({ dataType }) => dataType === DOUBLE);
}

/**
 * Makes every float64 of a model a float32.
 *
 * @throws OnnxFileError when a tensor's bytes are no whole numbers
 */
export function narrow(model: onnx.ModelProto): void {
  for (const tensor of tensorsOf(model)) {
    if (tensor.dataType !== DOUBLE) continue;
    const { rawData } = tensor;
    if (rawData.length % Float64Array.BYTES_PER_ELEMENT !== 0) {
      throw new OnnxFileError(
        `the tensor "${tensor.name}" of float64 has ${rawData.length} bytes, no multiple of 8`,
      );
    }
    const numbers = rawData.length > 0
      ? new Float64Array(rawData.slice().buffer as ArrayBuffer)
      : tensor.doubleData;
    tensor.floatData = Array.from(numbers, Math.fround);
    tensor.rawData = new Uint8Array(0);
    tensor.doubleData = [];
    tensor.dataType = FLOAT;
  }
  eachGraph(model, ({ input, output }) => {
    for (const { type } of [...input, ...output]) {
      if (type?.value.case === "tensorType" && type.value.value.elemType === DOUBLE) {
        type.value.value.elemType = FLOAT;
      }
    }
  });
  for (const { attribute } of nodesOf(model)) {
    for (const each of attribute) {
      if ((each.name === "to" || each.name === "dtype") && Number(each.i) === DOUBLE) {
        each.i = BigInt(FLOAT);
      }
    }
  }
}
