import assert from "node:assert/strict";
import {
  decodeSafetensors,
  encodeSafetensors,
  SafetensorsError,
} from "../../../tasks/networks/safetensors.ts";

/** A file put together by hand from the format's description. */
function byHand(header: string, floats: number[], length = header.length): Uint8Array {
  const file = new Uint8Array(8 + header.length + 4 * floats.length);
  const view = new DataView(file.buffer);
  view.setBigUint64(0, BigInt(length), true);
  file.set(new TextEncoder().encode(header), 8);
  floats.forEach((x, i) => view.setFloat32(8 + header.length + 4 * i, x, true));
  return file;
}

const HEADER =
  '{"__metadata__":{"by":"hand"},"b":{"dtype":"F32","shape":[],"data_offsets":[24,28]},' +
  '"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}';

Deno.test("a file written by the format's description is read", () => {
  const { tensors, metadata } = decodeSafetensors(byHand(HEADER, [1, 2, 3, 4, 5, 6, 7]));
  assert.deepEqual(metadata, { by: "hand" });
  assert.deepEqual(tensors, [
    { name: "a", dims: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) },
    { name: "b", dims: [], data: Float32Array.of(7) },
  ]);
});

Deno.test("a tensor of no elements may be named before or behind the one that begins where it does", () => {
  const full = '"full":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}';
  const empty = '"empty":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}';
  for (const entries of [[full, empty], [empty, full]]) {
    const { tensors } = decodeSafetensors(byHand(`{${entries}}`, [7]));
    assert.deepEqual(tensors.map(({ name, data }) => [name, ...data]), [["empty"], ["full", 7]]);
  }
});

Deno.test("what is written is laid out as the format says, and read back", () => {
  const backing = Float32Array.of(9, 0.5, -0.25, 9);
  const file = {
    tensors: [
      { name: "conv1.weight", dims: [2, 1], data: backing.subarray(1, 3) },
      { name: "empty", dims: [0, 4], data: new Float32Array() },
    ],
    metadata: { step: "3" },
  };
  const bytes = encodeSafetensors(file);
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  assert.equal(length % 8, 0);
  assert.deepEqual(JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length))), {
    __metadata__: { step: "3" },
    "conv1.weight": { dtype: "F32", shape: [2, 1], data_offsets: [0, 8] },
    empty: { dtype: "F32", shape: [0, 4], data_offsets: [8, 8] },
  });
  assert.equal(new DataView(bytes.buffer).getFloat32(8 + length + 4, true), -0.25);
  assert.deepEqual(decodeSafetensors(bytes), file);
});

Deno.test("bytes that are no whole file of float32 tensors are refused", () => {
  const whole = byHand(HEADER, [1, 2, 3, 4, 5, 6, 7]);
  const refused: [string, Uint8Array][] = [
    ["too short", whole.subarray(0, 7)],
    ["torn", whole.subarray(0, whole.length - 1)],
    ["longer than it says", byHand(HEADER, [1, 2, 3, 4, 5, 6, 7, 8])],
    ["a header beyond the file", byHand(HEADER, [], 1e9)],
    ["no JSON", byHand(HEADER.replace("}", "]"), [1, 2, 3, 4, 5, 6, 7])],
    ["another type", byHand(HEADER.replace("F32", "F64"), [1, 2, 3, 4, 5, 6, 7])],
    ["a gap", byHand(HEADER.replace("[24,28]", "[20,24]"), [1, 2, 3, 4, 5, 6, 7])],
    ["a shape that does not fit", byHand(HEADER.replace("[2,3]", "[2,2]"), [1, 2, 3, 4, 5, 6, 7])],
    ["a header of null", byHand("null", [])],
    ["a header that is a list", byHand("[]", [])],
    ["an entry of null", byHand('{"a":null}', [])],
    ["offsets that are none", byHand('{"a":{"dtype":"F32","shape":[1],"data_offsets":4}}', [1])],
    ["no shape", byHand('{"a":{"dtype":"F32","shape":null,"data_offsets":[0,4]}}', [1])],
    ["a type that is no text", byHand('{"a":{"dtype":{},"shape":[1],"data_offsets":[0,4]}}', [1])],
    [
      "a weight named __metadata__",
      byHand('{"__metadata__":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', [1]),
    ],
    ["text of null", byHand('{"__metadata__":null}', [])],
    ["a negative shape", byHand(HEADER.replace("[2,3]", "[-2,-3]"), [1, 2, 3, 4, 5, 6, 7])],
  ];
  for (const [what, bytes] of refused) {
    assert.throws(() => decodeSafetensors(bytes), SafetensorsError, what);
  }
});

Deno.test("tensors that do not fit their shapes, or share a name, are not written", () => {
  const data = new Float32Array(3);
  const file = (...tensors: { name: string; dims: number[]; data: Float32Array }[]) => () =>
    encodeSafetensors({ tensors, metadata: {} });
  assert.throws(file({ name: "a", dims: [2], data }), RangeError);
  assert.throws(file({ name: "a", dims: [3], data }, { name: "a", dims: [3], data }), RangeError);
  assert.throws(file({ name: "__metadata__", dims: [3], data }), /no tensor can be named/);
  const proto = file({ name: "__proto__", dims: [3], data })();
  assert.deepEqual(decodeSafetensors(proto).tensors.map(({ name }) => name), ["__proto__"]);
});
