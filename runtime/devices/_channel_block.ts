/**
 * How onnxruntime's CPU kernels lay out blocked images on this processor.
 *
 * @module
 */

import { create, type loadOnnxRuntimeNode, onnx, toBinary } from "../../deps.ts";

type Ort = Awaited<ReturnType<typeof loadOnnxRuntimeNode>>;

/** More channels than any block has. */
const CHANNELS = 64;

/**
 * The channels in a block, found by having an image of two pixels brought into blocks; 1 where the
 * engine has no such operator. The engine decides by the processor's vectors and does not say.
 */
export async function probeChannelBlock(ort: Ort): Promise<number> {
  const options = {
    executionProviders: ["cpu"],
    intraOpNumThreads: 1,
    logSeverityLevel: 4,
  } as const;
  let session;
  try {
    session = await ort.InferenceSession.create(reorder(), options);
  } catch {
    return 1;
  }
  try {
    const x = new Float32Array(2 * CHANNELS);
    for (let channel = 0; channel < CHANNELS; channel++) x[2 * channel + 1] = 1;
    const { y } = await session.run({ x: new ort.Tensor("float32", x, [1, CHANNELS, 1, 2]) });
    // The first pixel of a block of channels comes first, then the second.
    return (y.data as Float32Array).indexOf(1);
  } catch {
    return 1;
  } finally {
    await session.release();
  }
}

function reorder(): Uint8Array {
  const port = (name: string) => ({
    name,
    type: {
      value: {
        case: "tensorType" as const,
        value: {
          elemType: onnx.TensorProto_DataType.FLOAT,
          shape: {
            dim: [1, CHANNELS, 1, 2].map((size) => ({
              value: { case: "dimValue" as const, value: BigInt(size) },
            })),
          },
        },
      },
    },
  });
  const domain = "com.microsoft.nchwc";
  const model = create(onnx.ModelProtoSchema, {
    irVersion: 8n,
    opsetImport: [{ domain: "", version: 17n }, { domain, version: 1n }],
    graph: {
      name: "reorder",
      node: [{ name: "reorder", domain, opType: "ReorderInput", input: ["x"], output: ["y"] }],
      input: [port("x")],
      output: [port("y")],
    },
  });
  return toBinary(onnx.ModelProtoSchema, model);
}
