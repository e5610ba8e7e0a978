/** Files that are taken for ONNX models and are something else: what they are, and the way to a model. */

const EXPORT = 'export it with torch.onnx.export(model, example_input, "model.onnx")';

/** What begins how, and what to do about it. */
const FORMATS: readonly [test: (bytes: Uint8Array, text: string) => boolean, what: string][] = [
  [
    (_, text) => text.startsWith("PK\x03\x04") && /code\/|constants\.pkl/.test(text),
    `a TorchScript file: load it with torch.jit.load and ${EXPORT}`,
  ],
  [
    (_, text) => text.startsWith("PK\x03\x04") && text.includes("data.pkl"),
    `a PyTorch checkpoint, which holds weights and no graph: build the model in Python, load it and ${EXPORT}`,
  ],
  [
    (_, text) => text.startsWith("PK\x03\x04") && /metadata\.json|model\.weights\.h5/.test(text),
    'a Keras model: export it with model.export("model.onnx", format="onnx") or tf2onnx',
  ],
  [
    (_, text) => text.startsWith("PK\x03\x04"),
    "a zip archive: unpack it and give the .onnx file inside",
  ],
  [
    (bytes) => bytes[0] === 0x80 && bytes[1] >= 2 && bytes[1] <= 5,
    `a Python pickle, as older PyTorch writes checkpoints: build the model in Python, load it and ${EXPORT}`,
  ],
  [
    (bytes, text) => bytes[0] === 0x89 && text.startsWith("HDF\r\n", 1),
    "an HDF5 file, such as Keras writes: load it in Python and convert it with tf2onnx, " +
    'or model.export("model.onnx", format="onnx")',
  ],
  [
    (_, text) => text.slice(4, 8) === "TFL3",
    "a TensorFlow Lite model: convert it with python -m tf2onnx.convert --tflite FILE",
  ],
  [
    (bytes, text) => text[8] === "{" && bytes[6] === 0 && bytes[7] === 0,
    "a safetensors file, which holds weights and no graph: a model is needed beside it",
  ],
  [(bytes) => bytes[0] === 0x1f && bytes[1] === 0x8b, "a gzip archive: unpack it first"],
  [
    (_, text) => text.startsWith("version https://git-lfs"),
    "a pointer of Git LFS, not the file itself: fetch it with git lfs pull",
  ],
  [(_, text) => /^\s*<(!doctype|html)/i.test(text), "a web page: the address leads to no file"],
];

/** What a file is instead of an ONNX model, and the way out; undefined if that is not known. */
export function otherFormat(bytes: Uint8Array): string | undefined {
  // Zip archives list their members in the first bytes and at the end.
  const parts = [bytes.subarray(0, 4096), bytes.subarray(-65536)];
  const text = parts.map((part) => new TextDecoder("latin1").decode(part)).join("\n");
  return FORMATS.find(([test]) => test(bytes, text))?.[1];
}
