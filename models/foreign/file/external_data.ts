/**
 * Tensors that an ONNX file keeps in other files beside it, as recent exporters do by default (ONNX's
 * ExternalData.md): which files, and the model with all of it inside.
 *
 * @module
 */

import { onnx, toBinary } from "../../../deps.ts";
import { tensorsOf } from "./_tensors.ts";
import { decodeModel } from "./onnx_file.ts";
import { OnnxFileError } from "./onnx_graph.ts";

/** Where one tensor's bytes are. */
interface Place {
  readonly tensor: onnx.TensorProto;
  /** A path relative to the model's folder. */
  readonly location: string;
  readonly offset: number;
  /** Bytes; null up to the end. */
  readonly length: number | null;
}

/**
 * The files that a model's tensors lie in, as paths relative to its own folder; none for most.
 *
 * @throws OnnxFileError when it is no model, or a path leads out of that folder
 */
export function externalFiles(file: Uint8Array): string[] {
  return [...new Set(placesOf(decodeModel(file)).map(({ location }) => location))];
}

/**
 * The model with its tensors inside.
 *
 * @param files the content of each of {@linkcode externalFiles}
 * @throws OnnxFileError when one of them is too short for what it is said to hold
 */
export function withDataInside(
  file: Uint8Array,
  files: ReadonlyMap<string, Uint8Array>,
): Uint8Array<ArrayBuffer> {
  const model = decodeModel(file);
  for (const { tensor, location, offset, length } of placesOf(model)) {
    const bytes = files.get(location) ?? new Uint8Array(0), end = offset + (length ?? Infinity);
    if (offset > bytes.length || length !== null && end > bytes.length) {
      throw new OnnxFileError(
        `the tensor "${tensor.name}" is said to lie at ${offset} to ${end} of ${location}, which has ` +
          `${bytes.length} bytes`,
      );
    }
    tensor.rawData = bytes.slice(offset, Math.min(end, bytes.length));
    tensor.externalData = [];
    tensor.dataLocation = onnx.TensorProto_DataLocation.DEFAULT;
  }
  return new Uint8Array(toBinary(onnx.ModelProtoSchema, model));
}

function placesOf(model: onnx.ModelProto): Place[] {
  return tensorsOf(model)
    .filter(({ dataLocation }) => dataLocation === onnx.TensorProto_DataLocation.EXTERNAL)
    .map((tensor) => {
      const entries = new Map(tensor.externalData.map(({ key, value }) => [key, value]));
      const location = entries.get("location") ?? "";
      // A model is not to read what lies elsewhere on the disk.
      if (
        !location || /^([/\\]|[a-z]:)/i.test(location) || /(^|[/\\])\.\.([/\\]|$)/.test(location)
      ) {
        throw new OnnxFileError(
          `the tensor "${tensor.name}" lies in "${location}", which is no path inside the model's folder`,
        );
      }
      const number = (key: string) => {
        const text = entries.get(key);
        if (text === undefined) return null;
        const value = /^\d+$/.test(text) ? Number(text) : NaN;
        if (Number.isSafeInteger(value)) return value;
        throw new OnnxFileError(
          `the tensor "${tensor.name}" has the ${key} "${text}" in ${location}; it must be a number ` +
            `of bytes`,
        );
      };
      return { tensor, location, offset: number("offset") ?? 0, length: number("length") };
    });
}
